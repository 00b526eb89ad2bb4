use tasker_types::{StepNumber, StepState, TaskState};

use crate::core::{Command, Finish, Loss, Outcome, Published, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, chain, complete, fail, fail_for_good, finish, lose, release, retry, roots, step_of, task, worker,
};

fn stale(number: u32, attempt: u32) -> Refusal {
    Refusal::Stale { task: task(1), number: StepNumber(number), attempt }
}

#[tokio::test]
async fn an_outcome_of_another_attempt_or_worker_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let before = w.rows.clone();
    for (attempt, by) in [(0, worker(1)), (2, worker(1)), (1, worker(2))] {
        let step = step_of(task(1), 0);
        let outcome = Outcome::Completed { result: "1".into(), detail: None };
        let finish = Command::Finish(Finish { step, attempt, worker: by, outcome, published: Published::default() });
        for command in [
            finish,
            Command::Lose { step, attempt, worker: by, loss: Loss::WorkerDied },
            Command::Release { step, attempt, worker: by },
        ] {
            assert_eq!(w.one(command).await, Err(stale(0, attempt)));
        }
    }
    assert_eq!(w.rows, before);
    w.one(complete(&claim)).await.unwrap();
}

#[tokio::test]
async fn an_outcome_of_a_step_that_never_ran_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(2)).await;
    for number in [0, 1, 2, 9_999] {
        let step = step_of(task(1), number);
        let refused = w.one(Command::Lose { step, attempt: 0, worker: worker(1), loss: Loss::WorkerDied }).await;
        assert_eq!(refused, Err(stale(number, 0)));
    }
}

#[tokio::test]
async fn an_outcome_of_a_task_that_does_not_exist_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let step = step_of(task(9), 0);
    let refused = w.one(Command::Lose { step, attempt: 1, worker: worker(1), loss: Loss::WorkerDied }).await;
    assert_eq!(refused, Err(Refusal::NoTask(task(9))));
    assert_eq!(w.one(cancel(task(9), 1)).await, Err(Refusal::NoTask(task(9))));
    assert_eq!(w.one(retry(task(9), 1)).await, Err(Refusal::NoTask(task(9))));
}

#[tokio::test]
async fn the_second_outcome_of_one_claim_is_refused_in_the_same_batch() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![complete(&claim), complete(&claim), fail(&claim), lose(&claim)]).await;
    assert!(committed.replies[0].is_ok());
    assert_eq!(committed.replies[1..], [Err(stale(0, 1)), Err(stale(0, 1)), Err(stale(0, 1))]);
    assert_eq!(w.states(task(1)), [StepState::Completed, StepState::Ready]);
}

#[tokio::test]
async fn the_second_outcome_of_one_claim_is_refused_in_a_later_batch() {
    for (first, state) in [
        (complete as fn(&_) -> Command, StepState::Completed),
        (fail, StepState::WaitingForRetry),
        (fail_for_good, StepState::Failed),
        (lose, StepState::Ready),
        (release, StepState::Ready),
    ] {
        let store = MemoryStore::new();
        let mut w = World::new(&store);
        w.start(1, chain(1)).await;
        let claim = w.claim_one(worker(1)).await;
        w.one(first(&claim)).await.unwrap();
        let before = w.rows.clone();
        for second in [complete, fail, fail_for_good, lose, release] {
            assert_eq!(w.one(second(&claim)).await, Err(stale(0, 1)));
        }
        assert_eq!(w.states(task(1)), [state]);
        assert_eq!(w.rows, before);
    }
}

#[tokio::test]
async fn a_late_outcome_of_a_lost_claim_is_refused_while_another_worker_runs_the_step() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(1)).await;
    let first = w.claim_one(worker(1)).await;
    w.one(lose(&first)).await.unwrap();
    let second = w.claim_one(worker(2)).await;
    assert_eq!(w.one(complete(&first)).await, Err(stale(0, 1)));
    w.one(complete(&second)).await.unwrap();
    assert_eq!(w.result(task(1), 0).unwrap().worker, Some(worker(2)));
}

#[tokio::test]
async fn an_outcome_after_the_task_was_cancelled_and_over_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, roots(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    w.one(finish(&claim, Outcome::Cancelled)).await.unwrap();
    assert_eq!(w.task_state(task(1)), TaskState::Cancelled);
    assert_eq!(w.one(complete(&claim)).await, Err(stale(0, 1)));
}

#[tokio::test]
async fn an_outcome_of_the_time_before_a_retry_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, roots(1)).await;
    let first = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&first)).await.unwrap();
    w.one(retry(task(1), 1)).await.unwrap();
    assert_eq!(w.one(complete(&first)).await, Err(stale(0, 1)));
    let second = w.claim_one(worker(1)).await;
    assert_eq!(w.one(complete(&first)).await, Err(stale(0, 1)));
    w.one(complete(&second)).await.unwrap();
}
