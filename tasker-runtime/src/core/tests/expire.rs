use tasker_types::template::Lifecycle;
use tasker_types::{BatchSpec, StalenessAction, StepState, StepType, TaskId, TaskState};

use crate::core::{Act, Cause, Command, Refusal, ResolvedTemplate};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    act, at, chain, complete, cut, fail, retry, roots, stamp, template, with_types, worker,
};

/// The time that each task below has.
const LIMIT_MS: u64 = 60_000;

fn limited(mut resolved: ResolvedTemplate, staleness_action: StalenessAction) -> ResolvedTemplate {
    resolved.template.lifecycle = Some(Lifecycle { max_duration_minutes: 1, staleness_action });
    resolved
}

fn dlq(resolved: ResolvedTemplate) -> ResolvedTemplate {
    limited(resolved, StalenessAction::Dlq)
}

/// Of a task that could start at the beginning.
fn expire(task: TaskId, action: u32) -> Command {
    Command::Act { task, act: Act::Expire { could_start: at(0) }, action: stamp(action) }
}

#[tokio::test]
async fn what_waits_in_a_task_that_is_out_of_time_fails_and_nothing_begins_after_it() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 1 waits for its retry, 2 is ready, 3 comes after both.
    let id = w.start(1, dlq(template("mixed", &[&[], &[], &[0], &[1, 2]]))).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    w.pass(LIMIT_MS);
    let committed = w.transact(vec![expire(id, 1)]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Failed, 1));
    assert_eq!(w.states(id), [StepState::Completed, StepState::Failed, StepState::Failed, StepState::Pending]);
    let result = w.result(id, 2).unwrap();
    assert_eq!((result.cause, result.finished_at), (Cause::Operator, w.now));
    assert!(result.detail.as_ref().unwrap().contains("TASK_OUT_OF_TIME"), "{result:?}");
}

#[tokio::test]
async fn what_runs_in_a_task_that_is_out_of_time_ends_and_what_that_makes_ready_is_held_back() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, dlq(chain(2))).await;
    let claim = w.claim_one(worker(1)).await;
    w.pass(LIMIT_MS);
    w.one(expire(id, 1)).await.unwrap();
    assert_eq!((w.task_state(id), w.states(id)), (TaskState::Paused, vec![StepState::Running, StepState::Pending]));
    let again = w.one(expire(id, 2)).await;
    assert!(matches!(again, Err(Refusal::TaskState { .. })), "there is nothing to be done yet: {again:?}");
    let committed = w.transact_with(worker(1), 8, vec![complete(&claim)]).await;
    assert_eq!((committed.claimed.len(), w.states(id)), (0, vec![StepState::Completed, StepState::Ready]));
    w.one(expire(id, 3)).await.unwrap();
    assert_eq!((w.task_state(id), w.states(id)), (TaskState::Failed, vec![StepState::Completed, StepState::Failed]));
}

#[tokio::test]
async fn no_worker_of_a_batch_begins_in_the_place_of_one_that_is_out_of_time() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
    let mut batch = dlq(with_types(template("batch", &[&[], &[0], &[1]]), &types));
    batch.template.steps[0].batch = Some(BatchSpec { parallelism: Some(2), ..BatchSpec::default() });
    let id = w.start(1, batch).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 5)).await.unwrap();
    w.pass(LIMIT_MS);
    w.one(expire(id, 1)).await.unwrap();
    let batch = w.rows.batches[0];
    assert_eq!((batch.next, batch.failed, batch.in_flight), (2, 2, 0));
    assert_eq!((w.task_state(id), w.claim(worker(1), 100).await.len()), (TaskState::Failed, 0));
    // An operator who tries it again has all of it run.
    w.one(retry(id, 2)).await.unwrap();
    for _ in 0..6 {
        let claims = w.claim(worker(1), 100).await;
        w.transact(claims.iter().map(complete).collect()).await;
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_task_is_not_ended_before_its_time_whoever_asks() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let endless = w.start(1, chain(1)).await;
    let limited = w.start(2, dlq(roots(1))).await;
    w.pass(LIMIT_MS - 1);
    for task in [endless, limited] {
        let refused = w.one(expire(task, 1)).await;
        assert!(matches!(refused, Err(Refusal::TaskState { .. })), "{refused:?}");
    }
    w.pass(1);
    assert!(w.one(expire(endless, 1)).await.is_err());
    w.one(expire(limited, 1)).await.unwrap();
}

#[tokio::test]
async fn who_let_a_task_go_on_is_not_overtaken_by_a_look_that_came_before() {
    for (action, let_go) in [(StalenessAction::Dlq, Act::Retry(None)), (StalenessAction::Pause, Act::Resume)] {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        let id = w.start(1, limited(chain(1), action)).await;
        w.pass(LIMIT_MS);
        // Two workers find it out of time, an operator is between them.
        w.one(expire(id, 1)).await.unwrap();
        w.one(act(id, let_go, 2)).await.unwrap();
        assert!(w.one(expire(id, 3)).await.is_err(), "{action:?}");
        assert!(matches!(w.task_state(id), TaskState::Pending | TaskState::Running), "{action:?}");
        w.pass(LIMIT_MS);
        w.one(expire(id, 4)).await.unwrap();
    }
}

#[tokio::test]
async fn what_an_operator_paused_is_not_out_of_time() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, dlq(roots(1))).await;
    w.one(act(id, Act::Pause, 1)).await.unwrap();
    w.pass(LIMIT_MS);
    let refused = w.one(expire(id, 2)).await;
    assert!(matches!(refused, Err(Refusal::TaskState { .. })), "{refused:?}");
}

#[tokio::test]
async fn it_is_recorded_as_what_the_template_says() {
    use StalenessAction::{Cancel, Dlq, Pause};
    for (action, kind, state) in [
        (Dlq, "expire", TaskState::Failed),
        (Cancel, "cancel", TaskState::Cancelled),
        (Pause, "pause", TaskState::Paused),
    ] {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        let id = w.start(1, limited(chain(1), action)).await;
        w.pass(LIMIT_MS);
        w.one(expire(id, 1)).await.unwrap();
        assert_eq!((w.task_state(id), w.rows.actions[0].kind), (state, kind));
    }
}

#[tokio::test]
async fn a_skippable_step_that_is_out_of_time_is_not_skipped_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let mut skippable = dlq(chain(2));
    skippable.template.steps[0].skippable = true;
    let id = w.start(1, skippable).await;
    w.pass(LIMIT_MS);
    w.one(expire(id, 1)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Failed, StepState::Pending]);
    assert_eq!(w.task_state(id), TaskState::Failed);
}

#[tokio::test]
async fn what_was_out_of_time_can_be_retried_as_what_failed() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, dlq(chain(1))).await;
    w.pass(LIMIT_MS);
    w.one(expire(id, 1)).await.unwrap();
    w.one(retry(id, 2)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Ready]);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}
