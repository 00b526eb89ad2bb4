use tasker_types::{StepNumber, StepState, TaskId, TaskState};

use crate::core::{Act, Cause, Command, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{chain, complete, fail, retry, roots, stamp, template, worker};

fn expire(task: TaskId, step: u32, action: u32) -> Command {
    Command::Act { task, act: Act::Expire(StepNumber(step)), action: stamp(action) }
}

#[tokio::test]
async fn a_step_that_is_out_of_time_fails_and_nothing_begins_after_it() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 1 waits for its retry, 2 is ready, 3 comes after both.
    let id = w.start(1, template("mixed", &[&[], &[], &[0], &[1, 2]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;
    w.pass(10);
    let committed = w.transact(vec![expire(id, 1, 1)]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Running, 0));
    let committed = w.transact(vec![expire(id, 2, 2)]).await;
    assert_eq!((w.task_state(id), committed.finished.len()), (TaskState::Failed, 1));
    assert_eq!(w.states(id), [StepState::Completed, StepState::Failed, StepState::Failed, StepState::Pending]);
    let result = w.result(id, 2).unwrap();
    assert_eq!((result.cause, result.finished_at), (Cause::Operator, w.now));
    assert!(result.detail.as_ref().unwrap().contains("TASK_OUT_OF_TIME"), "{result:?}");
}

#[tokio::test]
async fn a_skippable_step_that_is_out_of_time_is_not_skipped_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let mut skippable = chain(2);
    skippable.template.steps[0].skippable = true;
    let id = w.start(1, skippable).await;
    w.one(expire(id, 0, 1)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Failed, StepState::Pending]);
    assert_eq!(w.task_state(id), TaskState::Failed);
}

#[tokio::test]
async fn what_was_out_of_time_can_be_retried_as_what_failed() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    w.one(expire(id, 0, 1)).await.unwrap();
    w.one(retry(id, 2)).await.unwrap();
    assert_eq!(w.states(id), [StepState::Ready]);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn only_what_is_ready_or_waits_can_be_out_of_time() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    w.claim_one(worker(1)).await;
    for step in [0, 1] {
        let refused = w.one(expire(id, step, 1)).await;
        assert!(matches!(refused, Err(Refusal::StepState { .. })), "{refused:?}");
    }
    let paused = w.start(2, roots(1)).await;
    w.one(Command::Act { task: paused, act: Act::Pause, action: stamp(2) }).await.unwrap();
    let refused = w.one(expire(paused, 0, 3)).await;
    assert!(matches!(refused, Err(Refusal::TaskState { .. })), "an operator has it: {refused:?}");
}
