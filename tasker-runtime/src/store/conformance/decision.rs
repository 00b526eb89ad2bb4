//! Decisions, and steps that are skipped, are written and read back.

use tasker_types::{StepNumber, StepState, StepType, TaskState};

use super::World;
use super::sample::{complete, decide, fail_for_good, template, with_types, worker};
use crate::core::{Cause, ResolvedTemplate};
use crate::store::{InputRequest, Store};

/// 0 decides between 1 and 2, and 3, skippable, follows 2; 4 joins 1 and 3.
fn fork() -> ResolvedTemplate {
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[2], &[1, 3]];
    let types = [(0, StepType::Decision), (4, StepType::DeferredConvergence)];
    let mut fork = with_types(template("fork", parents), &types);
    fork.template.steps[3].skippable = true;
    fork
}

pub async fn a_decision_skips_what_it_does_not_choose(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact_with(worker(1), 10, vec![decide(&claim, &[StepNumber(1)])]).await;
    assert_eq!(committed.claimed.iter().map(|claim| claim.live.number).collect::<Vec<_>>(), [StepNumber(1)]);
    let skipped = StepState::Skipped;
    assert_eq!(w.states(id), [StepState::Completed, StepState::Running, skipped, skipped, StepState::Pending]);
    let row = w.result(id, 3).unwrap();
    assert_eq!((row.cause, row.attempt, row.ready_at, row.worker), (Cause::Decision, 0, None, None));
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (2, 1));
    w.one(complete(&committed.claimed[0])).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

pub async fn a_wide_decision_skips_all_of_the_rest(store: &dyn Store) {
    let mut w = World::new(store);
    let mut parents: Vec<Vec<u32>> = vec![vec![]];
    parents.extend((0..300).map(|_| vec![0]));
    parents.push((1..=300).collect());
    let parents: Vec<&[u32]> = parents.iter().map(Vec::as_slice).collect();
    let types = [(0, StepType::Decision), (301, StepType::DeferredConvergence)];
    let id = w.start(1, with_types(template("wide", &parents), &types)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[StepNumber(150)])).await.unwrap();
    assert_eq!(w.states(id).iter().filter(|state| **state == StepState::Skipped).count(), 299);
    for number in [150, 301] {
        let claim = w.claim_one(worker(1)).await;
        assert_eq!(claim.live.number, StepNumber(number));
        w.one(complete(&claim)).await.unwrap();
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
}

pub async fn a_step_that_was_skipped_is_over_without_a_result(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[StepNumber(2)])).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    assert_eq!(w.states(id)[3..], [StepState::Skipped, StepState::Ready]);
    let results = [0, 1, 2, 3, 4].map(StepNumber).to_vec();
    let given = store
        .inputs(vec![InputRequest { task: id, context: false, results, workers_from: None, checkpoint_of: None }])
        .await
        .unwrap()
        .remove(0);
    let told: Vec<_> = given.results.iter().map(|(number, result)| (number.0, result.is_some())).collect();
    assert_eq!(told, [(0, true), (1, false), (2, true), (3, false)], "what is open is not told");
    let view = store.find_task(id).await.unwrap().unwrap();
    assert_eq!((view.steps[3].state, view.steps[3].result.clone()), (StepState::Skipped, None));
    assert!(view.steps[3].detail.is_some() && view.steps[1].detail.is_none());
}

pub async fn a_decision_below_another_is_asked_only_where_it_was_chosen(store: &dyn Store) {
    use StepState::{Completed, Ready, Skipped};
    let mut w = World::new(store);
    // 1 decides between 3 and 4, and 0 whether that is asked at all.
    let types = [(0, StepType::Decision), (1, StepType::Decision)];
    let nested = || with_types(template("nested", &[&[], &[0], &[0], &[1], &[1]]), &types);
    let (chosen, other) = (w.start(1, nested()).await, w.start(2, nested()).await);
    let claims = w.claim(worker(1), 2).await;
    w.transact(vec![decide(&claims[0], &[StepNumber(1)]), decide(&claims[1], &[StepNumber(2)])]).await;
    assert_eq!(w.states(other), [Completed, Skipped, Ready, Skipped, Skipped]);
    let claims = w.claim(worker(1), 2).await;
    let asked = claims.iter().find(|claim| claim.task == chosen).unwrap();
    let plain = claims.iter().find(|claim| claim.task == other).unwrap();
    w.transact(vec![decide(asked, &[StepNumber(4)]), complete(plain)]).await;
    assert_eq!(w.states(chosen), [Completed, Completed, Skipped, Skipped, Ready]);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!([w.task_state(chosen), w.task_state(other)], [TaskState::Completed; 2]);
}
