//! What a rerun takes over, what it makes anew, and from where it cannot begin.

use StepState::{Completed, Pending, Ready, Skipped};
use StepType::{BatchWorker, Batchable, Decision, DeferredConvergence};
use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepState, StepType, TaskState};

use crate::core::{Act, ByHand, Cause, Command, Refusal};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    act, cancel, chain, complete, cut, decide, fail_for_good, rerun, roots, task, template, with_types, worker,
};

type Store<'s> = World<'s, MemoryStore>;

async fn finish_all(w: &mut Store<'_>) {
    loop {
        let claims = w.claim(worker(1), 100).await;
        if claims.is_empty() {
            return;
        }
        w.pass(10);
        w.transact(claims.iter().map(complete).collect()).await;
    }
}

fn not_rerun<T>(answer: Result<T, Refusal>) -> &'static str {
    match answer {
        Err(Refusal::NotRerun { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was rerun"),
    }
}

/// 0 decides between 1 and 2, which 3 joins; 4 is a root of its own, and 5 waits for 3 and for 4.
async fn decided(w: &mut Store<'_>, chosen: &[StepNumber]) {
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[1, 2], &[], &[3, 4]];
    w.start(1, with_types(template("t", parents), &[(0, Decision), (3, DeferredConvergence)])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![decide(&claims[0], chosen), complete(&claims[1])]).await;
    finish_all(w).await;
    w.pass(10);
}

#[tokio::test]
async fn what_a_decision_chose_stands_where_the_decision_is_taken_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    decided(&mut w, &[StepNumber(1)]).await;
    w.one(rerun(&w.rows, task(1), 1, 2, 1)).await.unwrap();
    assert_eq!(w.states(task(2)), [Completed, Ready, Skipped, Pending, Completed, Pending]);
    let joins = w.live(task(2), 3).unwrap();
    assert_eq!((joins.unmet, joins.met), (1, false));
    w.one(rerun(&w.rows, task(1), 5, 3, 2)).await.unwrap();
    assert_eq!(w.states(task(3)), [Completed, Completed, Skipped, Completed, Completed, Ready]);
    w.one(rerun(&w.rows, task(1), 0, 4, 3)).await.unwrap();
    assert_eq!(w.states(task(4)), [Ready, Pending, Pending, Pending, Completed, Pending]);
    finish_all(&mut w).await;
    assert!((2..=4).all(|number| w.task_state(task(number)) == TaskState::Completed));
    assert_eq!(w.states(task(4))[2], Completed, "the decision may choose otherwise");
}

#[tokio::test]
async fn a_step_that_was_not_chosen_is_rerun_from_its_decision_only() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    decided(&mut w, &[StepNumber(1)]).await;
    let refused = w.one(rerun(&w.rows, task(1), 2, 2, 1)).await;
    assert_eq!(not_rerun(refused), "a decision before it did not choose it; rerun from that decision");
    assert_eq!(w.rows.tasks.len(), 1);
}

#[tokio::test]
async fn what_is_not_chosen_is_skipped_again_though_another_of_its_parents_runs_anew() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 2 waits for the decision and for 1, a root; 3 for 2; 4 for the decision.
    let parents: &[&[u32]] = &[&[], &[], &[0, 1], &[2], &[0]];
    w.start(1, with_types(template("t", parents), &[(0, Decision)])).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![decide(&claims[0], &[StepNumber(4)]), complete(&claims[1])]).await;
    finish_all(&mut w).await;
    w.pass(10);
    w.one(rerun(&w.rows, task(1), 1, 2, 1)).await.unwrap();
    assert_eq!(w.states(task(2)), [Completed, Ready, Skipped, Skipped, Completed]);
    let skipped = w.result(task(2), 2).unwrap();
    assert_eq!((skipped.cause, skipped.finished_at), (Cause::Decision, w.now));
    finish_all(&mut w).await;
    assert_eq!(w.task_state(task(2)), TaskState::Completed);
}

#[tokio::test]
async fn a_decision_that_completed_while_its_task_was_cancelled_decides_in_the_rerun() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, with_types(template("t", &[&[], &[0], &[0], &[]]), &[(0, Decision)])).await;
    let claims = w.claim(worker(1), 1).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    w.one(decide(&claims[0], &[StepNumber(2)])).await.unwrap();
    assert_eq!(w.task_state(task(1)), TaskState::Cancelled);
    w.one(rerun(&w.rows, task(1), 3, 2, 2)).await.unwrap();
    assert_eq!(w.states(task(2)), [Completed, Skipped, Ready, Ready]);
}

#[tokio::test]
async fn a_batchable_step_that_completed_while_its_task_was_cancelled_runs_again() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let types = [(0, Batchable), (1, BatchWorker)];
    w.start(1, with_types(template("t", &[&[], &[0], &[1], &[]]), &types)).await;
    let claims = w.claim(worker(1), 1).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    w.one(cut(&claims[0], 2)).await.unwrap();
    w.one(rerun(&w.rows, task(1), 3, 2, 2)).await.unwrap();
    assert_eq!(w.states(task(2)), [Ready, Pending, Pending, Ready]);
    finish_all(&mut w).await;
    assert_eq!(w.task_state(task(2)), TaskState::Completed);
}

#[tokio::test]
async fn workers_that_were_not_made_are_not_rerun() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let types = [(0, Batchable), (1, BatchWorker)];
    w.start(1, with_types(template("t", &[&[], &[0], &[1]]), &types)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 0)).await.unwrap();
    finish_all(&mut w).await;
    let refused = w.one(rerun(&w.rows, task(1), 1, 2, 1)).await;
    assert_eq!(not_rerun(refused), "there were no batches for it; rerun from the step that makes them");
    let refused = w.one(rerun(&w.rows, task(1), 3, 2, 1)).await;
    assert_eq!(refused.unwrap_err(), Refusal::NoStep { task: task(1), number: StepNumber(3) });
    w.one(rerun(&w.rows, task(1), 2, 2, 1)).await.unwrap();
    assert_eq!(w.states(task(2)), [Completed, Skipped, Ready]);
}

#[tokio::test]
async fn a_rerun_takes_up_all_workers_that_failed_at_once() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let mut batch = with_types(template("t", &[&[], &[0], &[1]]), &[(0, Batchable), (1, BatchWorker)]);
    let failure_strategy = FailureStrategy::Isolate;
    batch.template.steps[0].batch = Some(BatchSpec { parallelism: Some(1), failure_strategy });
    w.start(1, batch).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 3)).await.unwrap();
    for _ in 0..3 {
        let claim = w.claim_one(worker(1)).await;
        w.one(fail_for_good(&claim)).await.unwrap();
    }
    w.pass(10);
    w.one(rerun(&w.rows, task(1), 2, 2, 1)).await.unwrap();
    let batch = w.rows.batches.iter().find(|row| row.task == task(2)).unwrap();
    assert_eq!((batch.next, batch.in_flight, batch.failed), (3, 3, 0));
    finish_all(&mut w).await;
    assert_eq!(w.task_state(task(2)), TaskState::Completed);
}

#[tokio::test]
async fn what_an_operator_closed_stays_closed_and_what_failed_runs_too() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, roots(4)).await;
    let claims = w.claim(worker(1), 3).await;
    w.transact(claims.iter().map(fail_for_good).collect()).await;
    w.one(act(task(1), Act::End(StepNumber(0), ByHand::Resolve), 1)).await.unwrap();
    w.one(act(task(1), Act::End(StepNumber(1), ByHand::Skip), 2)).await.unwrap();
    let running = w.one(rerun(&w.rows, task(1), 3, 2, 3)).await.unwrap_err();
    assert_eq!(running.to_string(), format!("task {} is running: it cannot be rerun before it is over", task(1)));
    w.one(act(task(1), Act::Cancel, 4)).await.unwrap();
    w.pass(10);
    w.one(rerun(&w.rows, task(1), 3, 2, 5)).await.unwrap();
    assert_eq!(w.states(task(2)), [StepState::ResolvedManually, Skipped, Ready, Ready]);
    assert_eq!(w.result(task(2), 0).unwrap().cause, Cause::Operator);
    assert!(w.rows.actions.iter().filter(|row| row.task == task(2)).count() == 1, "the rest stays with the old task");
    finish_all(&mut w).await;
    assert_eq!(w.task_state(task(2)), TaskState::Completed);
}

#[tokio::test]
async fn a_rerun_without_what_its_decisions_chose_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    decided(&mut w, &[StepNumber(1)]).await;
    let Command::Rerun(mut asked) = rerun(&w.rows, task(1), 1, 2, 1) else { panic!("it is a rerun") };
    asked.chosen.clear();
    let refused = w.one(Command::Rerun(asked)).await;
    assert_eq!(not_rerun(refused), "a decision of it was completed a moment ago; try again");
}

#[tokio::test]
async fn a_rerun_of_a_task_that_does_not_exist_is_refused() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(1)).await;
    let Command::Rerun(mut asked) = rerun(&w.rows, task(1), 0, 2, 1) else { panic!("it is a rerun") };
    asked.source = task(9);
    assert_eq!(w.one(Command::Rerun(asked)).await, Err(Refusal::NoTask(task(9))));
}

#[tokio::test]
async fn a_rerun_goes_on_in_the_same_commit_where_slots_are_free() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    w.start(1, chain(3)).await;
    finish_all(&mut w).await;
    let committed = w.transact_with(worker(1), 2, vec![rerun(&w.rows, task(1), 1, 2, 1)]).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.live.number).collect::<Vec<_>>(), [StepNumber(1)]);
    assert_eq!(w.task_state(task(2)), TaskState::Running);
}
