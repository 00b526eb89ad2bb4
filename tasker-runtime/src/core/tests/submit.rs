use tasker_types::{StepState, TaskState};

use crate::core::{NewTask, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    chain, fan, new_task, roots, submit, submit_with_priority, task, template, worker,
};

#[tokio::test]
async fn a_submitted_task_is_pending_and_its_roots_are_ready() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("two_roots", &[&[], &[], &[0, 1]])).await;
    assert_eq!(w.task_state(id), TaskState::Pending);
    assert_eq!(w.states(id), [StepState::Ready, StepState::Ready, StepState::Pending]);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (3, 2));
    assert_eq!(w.rows.live.len(), 2, "a step that waits has no row");
    assert_eq!(w.live(id, 0).unwrap().ready_at, w.now);
}

#[tokio::test]
async fn a_submitted_task_has_its_times_and_priority() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(2)).await;
    w.pass(5);
    let reply = w.one(submit_with_priority(task(1), &pinned, -7)).await.unwrap();
    assert_eq!((reply.task, reply.state), (task(1), TaskState::Pending));
    let row = w.task(task(1)).clone();
    assert_eq!((row.created_at, row.started_at, row.finished_at), (w.now, None, None));
    assert_eq!((row.priority, w.live(task(1), 0).unwrap().priority), (-7, -7));
}

#[tokio::test]
async fn roots_are_claimed_at_once_by_a_worker_with_free_slots() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(3)).await;
    w.pass(5);
    let committed = w.transact_with(worker(1), 2, vec![submit(task(1), &pinned)]).await;
    assert_eq!((committed.claimed.len(), committed.ready), (2, 1));
    assert_eq!(w.task_state(task(1)), TaskState::Running);
    assert_eq!(w.task(task(1)).started_at, Some(w.now));
    assert_eq!(w.states(task(1)), [StepState::Running, StepState::Running, StepState::Ready]);
}

#[tokio::test]
async fn a_task_that_exists_is_not_accepted_again() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(fan(2)).await;
    let committed = w.transact(vec![submit(task(1), &pinned), submit(task(1), &pinned)]).await;
    assert!(committed.replies[0].is_ok());
    assert_eq!(committed.replies[1], Err(Refusal::Exists(task(1))));
    assert_eq!(w.one(submit(task(1), &pinned)).await, Err(Refusal::Exists(task(1))));
    assert_eq!(w.rows.tasks.len(), 1);
}

#[tokio::test]
async fn a_priority_out_of_bounds_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(chain(1)).await;
    for priority in [-101, 101, i16::MIN, i16::MAX] {
        let new = NewTask { priority, ..new_task(task(1), &pinned) };
        assert_eq!(w.one(crate::core::Command::Submit(new)).await, Err(Refusal::Priority(priority)));
    }
    for (number, priority) in [(1, -100), (2, 100)] {
        assert!(w.one(submit_with_priority(task(number), &pinned, priority)).await.is_ok());
    }
}

#[tokio::test]
async fn a_template_without_steps_is_completed_at_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(roots(0)).await;
    let committed = w.transact(vec![submit(task(1), &pinned)]).await;
    assert_eq!(w.task_state(task(1)), TaskState::Completed);
    assert_eq!(committed.finished.len(), 1);
}
