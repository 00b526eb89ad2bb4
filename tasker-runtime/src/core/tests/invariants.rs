//! The checker sees what it must see: each row that is changed by hand is found.

use tasker_types::{StepNumber, StepState, TaskState};

use crate::core::{AttemptOutcome, Cause, Dump, check};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{at, cancel, complete, fail, lose, task, template, worker};

/// Step 0 completed, 1 waits for its retry after a failure, 2 runs for the second time after a loss, 3 waits for 0 and 1.
async fn rows() -> Dump {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, template("mixed", &[&[], &[], &[], &[0, 1]])).await;
    let claims = w.claim(worker(1), 100).await;
    w.pass(10);
    w.transact(vec![complete(&claims[0]), fail(&claims[1]), lose(&claims[2])]).await;
    w.claim(worker(2), 100).await;
    w.rows.clone()
}

fn found(rows: &Dump) -> Vec<u8> {
    let mut numbers: Vec<u8> = check(rows).iter().map(|violation| violation.invariant).collect();
    numbers.dedup();
    numbers
}

#[tokio::test]
async fn each_row_that_is_wrong_is_found() {
    let good = rows().await;
    assert_eq!(check(&good), []);
    type Harm = fn(&mut Dump);
    let harms: &[(u8, Harm)] = &[
        (1, |d| d.results.push(d.results[0].clone())),
        (2, |d| d.live[0].failures = 0),
        (2, |d| d.live[1].losses = 0),
        (2, |d| d.live[1].attempt = 0),
        (2, |d| d.attempts.push(d.attempts[0].clone())),
        (2, |d| d.attempts[0].attempt = 9),
        (2, |d| d.attempts.iter_mut().for_each(|row| row.outcome = AttemptOutcome::Released)),
        (3, |d| (d.live[2].state, d.live[2].unmet, d.live[2].attempt) = (StepState::Ready, 0, 1)),
        (4, |d| d.live[1].claimed_by = None),
        (4, |d| d.live[1].claimed_at = None),
        (4, |d| d.live[0].claimed_by = Some(worker(3))),
        (6, |d| d.tasks[0].state = TaskState::Pending),
        (6, |d| d.tasks[0].state = TaskState::Cancelling),
        (7, |d| (d.tasks[0].state, d.tasks[0].finished_at) = (TaskState::Failed, Some(at(99)))),
        (8, |d| {
            d.live.retain(|row| row.state == StepState::Pending);
            d.tasks[0].runnable = 0;
        }),
        (9, |d| d.tasks[0].open_steps = 4),
        (9, |d| d.tasks[0].runnable = 1),
        (10, |d| d.live[2].unmet = 2),
        (10, |d| _ = d.live.remove(2)),
        (11, |d| d.live[0].number = StepNumber(0)),
        (11, |d| d.results[0].claimed_at = Some(at(99))),
        (12, |d| d.results[0].result = None),
        (13, |d| (d.results[0].outcome, d.results[0].result) = (StepState::Skipped, None)),
        (17, |d| d.live[0].ready_at = at(10)),
        (17, |d| d.live[1].ready_at = at(99_999)),
        (18, |d| d.live[0].number = StepNumber(4)),
        (18, |d| d.live[0].task = task(7)),
        (18, |d| d.results[0].task = task(7)),
        (18, |d| d.attempts[0].task = task(7)),
    ];
    for (at, (invariant, harm)) in harms.iter().enumerate() {
        let mut bad = good.clone();
        harm(&mut bad);
        assert!(found(&bad).contains(invariant), "harm {at} of invariant {invariant}: found {:?}", check(&bad));
    }
}

#[tokio::test]
async fn a_result_of_an_attempt_that_had_ended_before_is_found() {
    let mut rows = rows().await;
    let mut again = rows.attempts[0].clone();
    (again.number, again.attempt) = (StepNumber(0), 1);
    rows.attempts.insert(0, again);
    assert!(found(&rows).contains(&1), "{:?}", check(&rows));
}

#[tokio::test]
async fn a_step_that_failed_more_often_than_it_may_is_found() {
    let mut rows = rows().await;
    for attempt in 2..=3 {
        let mut row = rows.attempts[0].clone();
        row.attempt = attempt;
        rows.attempts.insert(usize::try_from(attempt).unwrap() - 1, row);
    }
    (rows.live[0].attempt, rows.live[0].failures) = (3, 3);
    assert!(found(&rows).contains(&2), "{:?}", check(&rows));
}

#[tokio::test]
async fn a_cancelled_task_that_nobody_asked_to_cancel_is_found() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, template("one", &[&[]])).await;
    w.one(cancel(id, 1)).await.unwrap();
    let mut rows = w.rows.clone();
    rows.actions.clear();
    assert_eq!(found(&rows), [6]);
    rows = w.rows.clone();
    rows.results[0].cause = Cause::Handler;
    assert_eq!(check(&rows), [], "a cancelled step may have stopped by itself");
}

#[tokio::test]
async fn a_task_that_is_over_without_an_end_is_found() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, template("one", &[&[]])).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let mut rows = w.rows.clone();
    rows.tasks[0].finished_at = None;
    assert_eq!(found(&rows), [11]);
}

#[tokio::test]
async fn a_violation_names_its_task_and_step() {
    let mut rows = rows().await;
    rows.live[2].unmet = 2;
    let told = check(&rows)[0].to_string();
    assert_eq!(told, format!("invariant 10: task {}, step 3: it waits for 2 parents, counted 1", task(1)));
}
