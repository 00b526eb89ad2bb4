use tasker_types::{StepNumber, StepState, StepType, TaskState, Timestamp};

use StepState::{Completed, Failed, Pending, Ready, ResolvedManually, Running, Skipped, WaitingForRetry};

use crate::core::{Act, AttemptOutcome, ByHand, Cause, Refusal, Rerun, Says, Workers};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    act, cancel, chain, complete, fail, fail_for_good, fan, release, retry, roots, template, with_types, worker,
};

fn end(number: u32, by_hand: ByHand) -> Act {
    Act::End(StepNumber(number), by_hand)
}

fn result(text: &str) -> ByHand {
    ByHand::Complete { result: text.into(), says: Says::Nothing }
}

#[test]
fn every_kind_of_action_is_read_back_under_its_name() {
    let complete = ByHand::Complete { result: "1".into(), says: Says::Nothing };
    let hands = [ByHand::Skip, ByHand::Resolve, complete].map(|by_hand| end(0, by_hand));
    let acts = [Act::Cancel, Act::Retry(None), Act::Pause, Act::Resume, Act::Resolve];
    let others = [Act::Expire { could_start: Timestamp::from_micros(0) }];
    let kinds: Vec<&str> = acts.iter().chain(&hands).chain(&others).map(Act::kind).chain([Rerun::KIND]).collect();
    assert_eq!(kinds, Act::KINDS);
}

#[tokio::test]
async fn nothing_of_a_paused_task_is_claimed_until_it_goes_on() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(3)).await;
    let claims = w.claim(worker(1), 2).await;
    let (running, waiting) = (&claims[0], &claims[1]);
    w.one(fail(waiting)).await.unwrap();
    w.one(act(id, Act::Pause, 1)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Paused);
    assert_eq!(w.states(id), [Running, WaitingForRetry, Ready]);
    w.pass(1_000_000);
    w.due().await;
    assert!(w.claim(worker(1), 100).await.is_empty());
    // What runs goes on, and is recorded.
    w.one(complete(running)).await.unwrap();
    assert_eq!((w.states(id)[0], w.task_state(id)), (Completed, TaskState::Paused));
    w.one(act(id, Act::Resume, 2)).await.unwrap();
    w.due().await;
    assert_eq!((w.task_state(id), w.claim(worker(1), 100).await.len()), (TaskState::Running, 2));
}

#[tokio::test]
async fn what_becomes_ready_in_a_paused_task_waits_for_it_to_go_on() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(2)).await;
    let root = w.claim_one(worker(1)).await;
    w.one(act(id, Act::Pause, 1)).await.unwrap();
    let committed = w.transact_with(worker(1), 10, vec![complete(&root)]).await;
    assert_eq!(committed.claimed.len(), 0);
    assert_eq!(w.states(id), [Completed, Ready, Ready, Pending]);
    let committed = w.transact_with(worker(1), 10, vec![act(id, Act::Resume, 2)]).await;
    assert_eq!(committed.claimed.len(), 2, "they start in the same transaction");
}

#[tokio::test]
async fn what_is_given_back_to_a_paused_task_is_held_back() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![act(id, Act::Pause, 1), release(&claim)]).await;
    assert!(w.live(id, 0).unwrap().held);
    assert!(w.claim(worker(1), 1).await.is_empty());
}

#[tokio::test]
async fn a_task_of_which_nothing_started_is_pending_again_after_a_pause() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    w.transact(vec![act(id, Act::Pause, 1), act(id, Act::Resume, 2)]).await;
    assert_eq!((w.task_state(id), w.live(id, 0).unwrap().held), (TaskState::Pending, false));
}

#[tokio::test]
async fn a_paused_task_can_end_and_can_be_cancelled() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![act(id, Act::Pause, 1), complete(&claim)]).await;
    assert_eq!(w.task_state(id), TaskState::Completed);
    let id = w.start(2, chain(2)).await;
    w.transact(vec![act(id, Act::Pause, 2), cancel(id, 3)]).await;
    assert_eq!(w.task_state(id), TaskState::Cancelled);
}

#[tokio::test]
async fn only_what_is_under_way_is_paused_and_only_what_is_paused_is_resumed() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(1)).await;
    let refused = |state, wanted| Err(Refusal::TaskState { task: id, state, wanted });
    assert_eq!(w.one(act(id, Act::Resume, 1)).await, refused(TaskState::Pending, "resumed"));
    assert_eq!(w.one(act(id, Act::Resolve, 1)).await, refused(TaskState::Pending, "resolved by hand"));
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.one(act(id, Act::Pause, 1)).await, refused(TaskState::Completed, "paused"));
    assert_eq!(w.one(act(id, end(0, ByHand::Skip), 1)).await, refused(TaskState::Completed, "changed"));
    assert_eq!(w.rows.actions, []);
}

#[tokio::test]
async fn a_failed_step_that_is_ended_by_hand_lets_the_task_go_on() {
    for (by_hand, state, value) in
        [(ByHand::Skip, Skipped, None), (ByHand::Resolve, ResolvedManually, None), (result("7"), Completed, Some("7"))]
    {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        let id = w.start(1, chain(2)).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(fail_for_good(&claim)).await.unwrap();
        let reply = w.one(act(id, end(0, by_hand), 1)).await.unwrap();
        assert_eq!((reply.state, w.task(id).finished_at), (TaskState::Running, None));
        assert_eq!(w.states(id), [state, Ready]);
        let row = w.result(id, 0).unwrap();
        assert_eq!((row.cause, row.attempt, row.result.as_deref()), (Cause::Operator, 1, value));
        assert_eq!(w.rows.attempts[0].outcome, AttemptOutcome::Reopened, "how it failed is kept");
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        assert_eq!(w.task_state(id), TaskState::Completed);
    }
}

#[tokio::test]
async fn steps_that_are_ready_or_wait_for_a_retry_are_ended_by_hand_too() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 1).await;
    w.one(fail(&claims[0])).await.unwrap();
    w.one(act(id, end(0, result("1")), 1)).await.unwrap();
    w.one(act(id, end(1, ByHand::Skip), 2)).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (1, 1));
    w.one(act(id, end(2, ByHand::Resolve), 3)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_task_with_another_failed_step_stays_failed() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, roots(2)).await;
    let claims = w.claim(worker(1), 2).await;
    w.transact(claims.iter().map(fail_for_good).collect()).await;
    let ended = w.task(id).finished_at;
    w.pass(10);
    w.one(act(id, end(0, ByHand::Skip), 1)).await.unwrap();
    assert_eq!((w.task_state(id), w.task(id).finished_at), (TaskState::Failed, ended));
    w.one(act(id, end(1, ByHand::Skip), 2)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn what_runs_is_over_or_was_never_touched_is_not_ended_by_hand() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[1]])).await;
    let claims = w.claim(worker(1), 2).await;
    w.one(complete(&claims[0])).await.unwrap();
    for (number, state) in [(0, Completed), (1, Running), (2, Pending)] {
        let wanted = "failed, is ready or waits for its retry can be ended by hand";
        let refused = Err(Refusal::StepState { task: id, number: StepNumber(number), state, wanted });
        assert_eq!(w.one(act(id, end(number, ByHand::Skip), 1)).await, refused);
    }
    let none = Err(Refusal::NoStep { task: id, number: StepNumber(3) });
    assert_eq!(w.one(act(id, end(3, ByHand::Skip), 1)).await, none);
    assert_eq!(w.one(act(id, Act::Retry(Some(StepNumber(3))), 1)).await, none);
}

#[tokio::test]
async fn a_decision_is_completed_by_hand_with_what_it_chooses() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let decision = with_types(template("d", &[&[], &[0], &[0]]), &[(0, StepType::Decision)]);
    let id = w.start(1, decision).await;
    for by_hand in [ByHand::Skip, ByHand::Resolve, result("1")] {
        let undecided = Err(Refusal::Undecided { task: id, number: StepNumber(0) });
        assert_eq!(w.one(act(id, end(0, by_hand), 1)).await, undecided);
    }
    let result = r#"{"activated_steps":["step_2"]}"#.into();
    let says = Says::Chosen([StepNumber(2)].into());
    w.one(act(id, end(0, ByHand::Complete { result, says }), 1)).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (1, 1));
}

#[tokio::test]
async fn a_batchable_step_is_completed_by_hand_with_how_its_work_is_cut() {
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
    for (workers, states) in
        [(Some(3), vec![Completed, Pending, Pending, Ready, Ready, Ready]), (None, vec![Completed, Skipped, Ready])]
    {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        let batches = with_types(template("batches", &[&[], &[0], &[1]]), &types);
        let id = w.start(1, batches).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(fail_for_good(&claim)).await.unwrap();
        for by_hand in [ByHand::Skip, ByHand::Resolve, result("1")] {
            let undecided = Err(Refusal::Undecided { task: id, number: StepNumber(0) });
            assert_eq!(w.one(act(id, end(0, by_hand), 1)).await, undecided);
        }
        let workers = workers.map(|count| Workers { of: StepNumber(1), count });
        let by_hand = ByHand::Complete { result: "{}".into(), says: Says::Cut(workers) };
        w.one(act(id, end(0, by_hand), 1)).await.unwrap();
        let mut told = w.states(id);
        told.extend(w.rows.live.iter().filter(|row| row.number.0 > 2).map(|row| row.state));
        assert_eq!((w.task_state(id), told), (TaskState::Running, states));
        while w.task_state(id) == TaskState::Running {
            let claims = w.claim(worker(1), 10).await;
            w.transact(claims.iter().map(complete).collect()).await;
        }
        assert_eq!(w.task_state(id), TaskState::Completed);
    }
}

#[tokio::test]
async fn a_failed_task_that_is_resolved_by_hand_is_closed_for_good() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 2).await;
    w.transact(vec![complete(&claims[0]), fail_for_good(&claims[1])]).await;
    w.one(act(id, Act::Resolve, 1)).await.unwrap();
    assert_eq!((w.task_state(id), w.rows.live.len()), (TaskState::ResolvedManually, 0));
    assert_eq!(w.states(id), [Completed, Failed, Pending]);
    for again in [retry(id, 2), cancel(id, 3), act(id, end(1, ByHand::Skip), 4)] {
        assert!(w.one(again).await.is_err());
    }
}
