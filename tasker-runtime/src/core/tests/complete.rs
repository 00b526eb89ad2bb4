use tasker_types::{StepState, TaskState};

use crate::core::Cause;
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{chain, complete, fail_for_good, fan, roots, submit, task, template, worker};

#[tokio::test]
async fn a_completed_step_makes_its_successor_ready() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(3)).await;
    w.pass(10);
    let first = w.claim_one(worker(1)).await;
    assert_eq!(first.live.attempt, 1);
    assert_eq!((w.task_state(id), w.task(id).started_at), (TaskState::Running, Some(w.now)));
    w.pass(10);
    let committed = w.transact(vec![complete(&first)]).await;
    assert_eq!((committed.ready, committed.finished.len()), (1, 0));
    assert_eq!(w.states(id), [StepState::Completed, StepState::Ready, StepState::Pending]);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (2, 1));
    assert_eq!(w.live(id, 1).unwrap().ready_at, w.now);
}

#[tokio::test]
async fn a_result_keeps_its_value_its_worker_and_its_times() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(1)).await;
    let (ready_at, ()) = (w.now, w.pass(10));
    let claim = w.claim_one(worker(1)).await;
    let (claimed_at, ()) = (w.now, w.pass(10));
    w.one(complete(&claim)).await.unwrap();
    let row = w.result(id, 0).unwrap();
    assert_eq!(row.result.as_deref(), Some(r#"{"step":0,"attempt":1}"#));
    assert_eq!((row.outcome, row.cause), (StepState::Completed, Cause::Handler));
    assert_eq!((row.attempt, row.worker), (1, Some(worker(1))));
    assert_eq!((row.ready_at, row.claimed_at, row.finished_at), (Some(ready_at), Some(claimed_at), w.now));
}

#[tokio::test]
async fn the_last_completed_step_completes_the_task() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, chain(2)).await;
    for _ in 0..2 {
        w.pass(10);
        let claim = w.claim_one(worker(1)).await;
        let reply = w.one(complete(&claim)).await.unwrap();
        assert_eq!(reply.state, w.task_state(id));
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
    assert_eq!(w.task(id).finished_at, Some(w.now));
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (0, 0));
    assert_eq!(w.rows.live, []);
}

#[tokio::test]
async fn a_step_makes_all_its_successors_ready() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(3)).await;
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(w.transact(vec![complete(&claim)]).await.ready, 3);
    assert_eq!(w.states(id)[1..=3], [StepState::Ready; 3]);
    assert_eq!(w.task(id).runnable, 3);
}

#[tokio::test]
async fn a_step_waits_for_parents_that_complete_one_batch_after_the_other() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(3)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    for (claim, unmet) in claims.iter().zip([2, 1, 0]) {
        w.one(complete(claim)).await.unwrap();
        let row = w.live(id, 4).unwrap();
        assert_eq!((row.unmet, row.met), (unmet, true));
        assert_eq!(row.state, if unmet == 0 { StepState::Ready } else { StepState::Pending });
    }
}

#[tokio::test]
async fn a_step_whose_parents_complete_in_one_batch_is_ready_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fan(3)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    let committed = w.transact(claims.iter().map(complete).collect()).await;
    assert_eq!(committed.ready, 1);
    let row = w.live(id, 4).unwrap();
    assert_eq!((row.unmet, row.state), (0, StepState::Ready));
    assert_eq!(w.task(id).runnable, 1);
}

#[tokio::test]
async fn parents_may_complete_partly_in_one_batch_and_partly_in_the_next() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("w", &[&[], &[], &[], &[0, 1, 2], &[1, 2]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims[..2].iter().map(complete).collect()).await;
    assert_eq!((w.live(id, 3).unwrap().unmet, w.live(id, 4).unwrap().unmet), (1, 1));
    w.one(complete(&claims[2])).await.unwrap();
    assert_eq!(w.states(id)[3..], [StepState::Ready, StepState::Ready]);
}

#[tokio::test]
async fn a_step_with_a_failed_parent_stays_pending() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("v", &[&[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![fail_for_good(&claims[0]), complete(&claims[1])]).await;
    assert_eq!(w.states(id), [StepState::Failed, StepState::Completed, StepState::Pending]);
    assert_eq!(w.task_state(id), TaskState::Failed);
}

#[tokio::test]
async fn outcomes_of_many_tasks_are_decided_in_one_batch() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(1)).await;
    w.transact((1..=50).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    let committed = w.transact(claims.iter().map(complete).collect()).await;
    assert_eq!(committed.finished.len(), 50);
    assert!(w.rows.tasks.iter().all(|row| row.state == TaskState::Completed));
}
