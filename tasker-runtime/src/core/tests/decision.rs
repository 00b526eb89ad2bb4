use serde_json::json;
use tasker_types::{StepNumber, StepState, StepType, TaskState};

use StepState::{Completed, Failed, Pending, Ready, Skipped};
use StepType::{Decision, DeferredConvergence};

use crate::core::{Cause, Outcome, Pinned, ResolvedTemplate, chosen};
use crate::store::MemoryStore;
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    cancel, complete, decide, fail_for_good, finish, lose, retry, template, with_types, worker,
};

/// 0 decides between 1 and 2; 3 follows 1, 4 follows 2, and 5 joins 3 and 4.
fn fork() -> ResolvedTemplate {
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[1], &[2], &[3, 4]];
    with_types(template("fork", parents), &[(0, Decision), (5, DeferredConvergence)])
}

/// 0 decides between 1 and 2; 3 waits for 2 and for 4, which is a root.
fn mixed() -> ResolvedTemplate {
    with_types(template("mixed", &[&[], &[0], &[0], &[2, 4], &[]]), &[(0, Decision)])
}

const fn steps<const N: usize>(numbers: [u32; N]) -> [StepNumber; N] {
    let mut steps = [StepNumber(0); N];
    let mut at = 0;
    while at < N {
        steps[at] = StepNumber(numbers[at]);
        at += 1;
    }
    steps
}

#[tokio::test]
async fn what_a_decision_does_not_choose_is_skipped_with_what_only_that_leads_to() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    let committed = w.transact(vec![decide(&claim, &steps([1]))]).await;
    assert_eq!(committed.ready, 1);
    assert_eq!(w.states(id), [Completed, Ready, Skipped, Pending, Skipped, Pending]);
    assert_eq!((w.task(id).open_steps, w.task(id).runnable), (3, 1));
    let skipped = w.result(id, 4).unwrap();
    assert_eq!((skipped.cause, skipped.attempt, skipped.result.clone()), (Cause::Decision, 0, None));
}

#[tokio::test]
async fn a_convergence_runs_when_its_branches_are_over_and_one_of_them_ran() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([1]))).await.unwrap();
    assert_eq!((w.live(id, 5).unwrap().unmet, w.live(id, 5).unwrap().met), (1, false));
    for number in [1, 3, 5] {
        let claim = w.claim_one(worker(1)).await;
        assert_eq!(claim.live.number, StepNumber(number));
        w.one(complete(&claim)).await.unwrap();
    }
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_convergence_waits_for_every_branch_that_was_chosen() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([1, 2]))).await.unwrap();
    let claims = w.claim(worker(1), 2).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let claims = w.claim(worker(1), 2).await;
    w.one(complete(&claims[0])).await.unwrap();
    assert_eq!(w.states(id)[5], Pending);
    w.one(complete(&claims[1])).await.unwrap();
    assert_eq!(w.states(id)[5], Ready);
}

#[tokio::test]
async fn where_nothing_is_chosen_everything_after_the_decision_is_skipped_and_the_task_completes() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[])).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Skipped, Skipped, Skipped, Skipped]);
    assert_eq!(w.task_state(id), TaskState::Completed);
    assert_eq!(w.rows.live, []);
}

#[tokio::test]
async fn a_step_that_is_named_further_down_keeps_the_way_that_leads_to_it() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([4]))).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready, Skipped, Pending, Pending]);
}

#[tokio::test]
async fn a_convergence_directly_after_a_decision_is_no_branch_of_it() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let parents: &[&[u32]] = &[&[], &[0], &[0, 1]];
    let id = w.start(1, with_types(template("t", parents), &[(0, Decision), (2, DeferredConvergence)])).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[])).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
}

#[tokio::test]
async fn decisions_below_a_branch_that_was_not_chosen_are_skipped_with_all_their_branches() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    // 0 decides between 1 and 2; 2 decides between 3 and 4; 5 joins everything.
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[2], &[2], &[1, 3, 4]];
    let nested = with_types(template("nested", parents), &[(0, Decision), (2, Decision), (5, DeferredConvergence)]);
    let id = w.start(1, nested.clone()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([1]))).await.unwrap();
    assert_eq!(w.states(id), [Completed, Ready, Skipped, Skipped, Skipped, Pending]);
    w.transact(vec![cancel(id, 1)]).await;

    let id = w.start(2, nested).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([2]))).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([4]))).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Completed, Skipped, Ready, Pending]);
}

#[tokio::test]
async fn a_step_with_a_skipped_parent_is_skipped_whatever_becomes_of_the_other() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, mixed()).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(decide(&claims[0], &steps([1]))).await.unwrap();
    assert_eq!(w.states(id)[2..4], [Skipped, Skipped]);
    // The other parent ends later: the step is over and stays so.
    w.one(complete(&claims[1])).await.unwrap();
    assert_eq!(w.states(id)[3..], [Skipped, Completed]);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_step_that_waits_already_is_skipped_with_its_row() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, mixed()).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(complete(&claims[1])).await.unwrap();
    assert_eq!(w.live(id, 3).unwrap().unmet, 1);
    w.one(decide(&claims[0], &steps([1]))).await.unwrap();
    assert_eq!((w.states(id)[3], w.live(id, 3)), (Skipped, None));
}

#[tokio::test]
async fn outcomes_of_one_batch_see_what_the_decision_before_them_skipped() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, mixed()).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![decide(&claims[0], &steps([2])), complete(&claims[1])]).await;
    assert_eq!(w.states(id), [Completed, Skipped, Ready, Pending, Completed]);
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.states(id)[3], Ready);
}

#[tokio::test]
async fn a_decision_in_a_task_that_is_being_cancelled_is_kept_and_skips_nothing() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![cancel(id, 1), decide(&claim, &steps([1]))]).await;
    assert_eq!(w.task_state(id), TaskState::Cancelled);
    assert_eq!(w.rows.results.len(), 1);
}

#[tokio::test]
async fn a_decision_that_does_not_say_what_goes_on_fails_for_good() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, fork()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(finish(&claim, Outcome::Completed { result: "{}".into(), detail: None })).await.unwrap();
    assert_eq!((w.states(id)[0], w.task_state(id)), (Failed, TaskState::Failed));
    // An operator has it tried again.
    w.one(retry(id, 1)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &steps([2]))).await.unwrap();
    assert_eq!(w.states(id), [Completed, Skipped, Ready, Skipped, Pending, Pending]);
}

#[tokio::test]
async fn names_that_are_no_steps_after_the_decision_are_told() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let pinned = w.pin(fork()).await;
    let choose = |pinned: &Pinned, result| chosen(pinned, StepNumber(0), &result);
    assert_eq!(*choose(&pinned, json!({ "activated_steps": ["step_2", "step_1", "step_2"] })).unwrap(), steps([1, 2]));
    assert_eq!(*choose(&pinned, json!({ "activated_steps": [] })).unwrap(), []);
    let no_list = "the result of a decision has a list of names of steps under `activated_steps`; this one has not";
    for result in
        [json!({}), json!(["step_1"]), json!({ "activated_steps": "step_1" }), json!({ "activated_steps": [1] })]
    {
        assert_eq!(choose(&pinned, result).unwrap_err(), no_list);
    }
    for name in ["step_0", "step_9", ""] {
        let told = choose(&pinned, json!({ "activated_steps": [name] })).unwrap_err();
        let begin = format!("the decision `step_0` chose `{name}`, which is no step after it; ");
        assert_eq!(told, format!("{begin}its branches begin with `step_1`, `step_2`"));
    }
}

#[tokio::test]
async fn a_worker_of_a_batch_is_no_step_that_a_decision_can_name() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let types = [(0, Decision), (1, StepType::Batchable), (2, StepType::BatchWorker)];
    let pinned = w.pin(with_types(template("b", &[&[], &[0], &[1]]), &types)).await;
    assert!(pinned.number("step_2_001").is_some());
    let told = chosen(&pinned, StepNumber(0), &json!({ "activated_steps": ["step_2_001"] })).unwrap_err();
    assert!(told.starts_with("the decision `step_0` chose `step_2_001`, which is no step after it"), "{told}");
}

/// A chain of three whose second step is skippable.
fn skippable() -> ResolvedTemplate {
    let mut resolved = template("s", &[&[], &[0], &[1]]);
    resolved.template.steps[1].skippable = true;
    resolved
}

#[tokio::test]
async fn a_skippable_step_that_fails_for_good_is_skipped_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, skippable()).await;
    for end in [complete, fail_for_good] {
        let claim = w.claim_one(worker(1)).await;
        w.one(end(&claim)).await.unwrap();
    }
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
    let row = w.result(id, 1).unwrap();
    assert_eq!((row.cause, row.attempt, row.detail.is_some()), (Cause::Skippable, 1, true));
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

#[tokio::test]
async fn a_skippable_step_that_was_lost_too_often_is_skipped_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, skippable()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    for _ in 0..3 {
        let claim = w.claim_one(worker(1)).await;
        w.one(lose(&claim)).await.unwrap();
    }
    assert_eq!(w.states(id), [Completed, Skipped, Ready]);
}

#[tokio::test]
async fn a_skippable_step_of_a_task_that_is_being_cancelled_is_not_skipped_over() {
    let store = MemoryStore::new();
    let mut w = World::new(&store);
    let id = w.start(1, skippable()).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.transact(vec![cancel(id, 1), fail_for_good(&claim)]).await;
    assert_eq!((w.states(id)[1], w.task_state(id)), (Failed, TaskState::Cancelled));
}
