//! Which tasks a filter means, and what failed of them.

use serde_json::json;
use tasker_types::{StepNumber, StepType, TaskId, TaskState};

use super::World;
use super::sample::{
    cancel, chain, complete, cut, fail_for_good, failure, finish, queues, retry, roots, submit, task, template,
    with_types, worker,
};
use crate::core::{Claimed, Failure, Outcome};
use crate::store::{ClaimRequest, Page, Store, TaskFilter};

const FIRST: Page = Page { before: None, limit: 100 };

async fn listed(store: &dyn Store, filter: TaskFilter, page: Page) -> Vec<TaskId> {
    store.list_tasks(filter, page).await.unwrap().into_iter().map(|listed| listed.row.id).collect()
}

/// A failure for good of this class and with this code.
fn failed(kind: &str, code: &str) -> Outcome {
    let detail = json!({ "message": "no", "error_type": kind, "error_code": code, "metadata": { "error_type": "x" } });
    Outcome::Failed(Failure { retryable: false, detail: detail.to_string().into(), ..failure() })
}

/// Tasks of which this step failed, or one failed so.
fn of_failures(step: Option<&str>, error: Option<&str>) -> TaskFilter {
    let (step, error) = (step.map(str::to_owned), error.map(str::to_owned));
    TaskFilter { step, error, ..TaskFilter::default() }
}

pub async fn tasks_are_listed_by_state_template_and_namespace(store: &dyn Store) {
    let mut w = World::new(store);
    let chained = w.pin(chain(1)).await;
    let mut other = roots(1);
    other.template.namespace = "other".to_owned();
    let other = w.pin(other).await;
    w.transact((1..=4).map(|number| submit(task(number), &chained)).collect()).await;
    w.transact((5..=6).map(|number| submit(task(number), &other)).collect()).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    let request = ClaimRequest { queues: queues([&chained]), limit: 2, ..w.request(worker(1)) };
    let claims = w.claim_as(request).await;
    w.transact(vec![fail_for_good(&claims[0])]).await;
    assert_eq!((claims[0].task, claims[1].task), (task(2), task(3)));

    let by_state =
        |states: &[TaskState]| listed(store, TaskFilter { states: states.to_vec(), ..TaskFilter::default() }, FIRST);
    assert_eq!(by_state(&[TaskState::Failed]).await, [task(2)]);
    assert_eq!(by_state(&[TaskState::Running]).await, [task(3)]);
    assert_eq!(by_state(&[TaskState::Cancelled, TaskState::Running]).await, [3, 1].map(task));
    assert_eq!(by_state(&[TaskState::Paused]).await, []);
    let open = [TaskState::Pending, TaskState::Running, TaskState::Paused, TaskState::Cancelling];
    assert_eq!(by_state(&open).await, [6, 5, 4, 3].map(task));
    assert_eq!(by_state(TaskState::ALL).await.len(), 6);

    let named = |template: Option<&str>, namespace: Option<&str>| {
        let (template, namespace) = (template.map(str::to_owned), namespace.map(str::to_owned));
        listed(store, TaskFilter { template, namespace, ..TaskFilter::default() }, FIRST)
    };
    assert_eq!(named(Some("roots"), None).await, [6, 5].map(task));
    assert_eq!(named(None, Some("other")).await, [6, 5].map(task));
    assert_eq!(named(Some("chain"), Some("other")).await, []);
    assert_eq!(named(Some("chain' OR 1=1 --"), None).await, []);
    let states = vec![TaskState::Pending];
    let (template, namespace) = (Some("chain".to_owned()), Some("default".to_owned()));
    let both = TaskFilter { states, template, namespace, ..TaskFilter::default() };
    assert_eq!(listed(store, both, Page { before: Some(task(6)), limit: 5 }).await, [task(4)]);
}

pub async fn failures_are_grouped_by_template_step_and_error(store: &dyn Store) {
    let mut w = World::new(store);
    let first = w.pin(template("pay", &[&[], &[]])).await;
    let newer = w.pin(template("pay", &[&[], &[], &[]])).await;
    let other = w.pin(roots(1)).await;
    let of = [(1, &first), (2, &first), (3, &newer), (4, &other), (5, &other), (6, &other)];
    w.transact(of.map(|(number, pinned)| submit(task(number), pinned)).to_vec()).await;
    let claims = w.claim(worker(1), 100).await;
    let end = |claim: &Claimed| match (claim.task, claim.live.number.0) {
        (id, 0) if id == task(1) || id == task(3) => finish(claim, failed("timeout", "GATEWAY")),
        (id, 1) if id == task(1) => finish(claim, failed("timeout", "GATEWAY")),
        (id, 0) if id == task(2) => finish(claim, failed("timeout", "OTHER")),
        (id, _) if id == task(4) => fail_for_good(claim),
        (id, _) if id == task(5) => complete(claim),
        (id, _) if id == task(6) => fail_for_good(claim),
        _ => complete(claim),
    };
    w.transact(claims.iter().map(end).collect()).await;
    // What was reopened, and what was closed, is none any more.
    w.transact(vec![retry(task(6), 1)]).await;
    let listed = async |filter: TaskFilter, limit| {
        let groups = store.failures(filter, limit).await.unwrap();
        assert!(groups.iter().all(|group| group.last_at == w.now), "{groups:?}");
        let told = groups.into_iter().map(|group| {
            (group.template, group.step, group.error_type.unwrap(), group.error_code, group.failures, group.newest)
        });
        told.collect::<Vec<_>>()
    };
    let group = |template: &str, step: &str, kind: &str, code: Option<&str>, failures, newest| {
        let code = code.map(str::to_owned);
        (template.to_owned(), step.to_owned(), kind.to_owned(), code, failures, task(newest))
    };
    let all = [
        group("roots", "step_0", "retryable_error", None, 1, 4),
        group("pay", "step_0", "timeout", Some("GATEWAY"), 2, 3),
        group("pay", "step_0", "timeout", Some("OTHER"), 1, 2),
        group("pay", "step_1", "timeout", Some("GATEWAY"), 1, 1),
    ];
    assert_eq!(listed(TaskFilter::default(), 100).await, all);
    assert_eq!(listed(TaskFilter::default(), 1).await, all[..1], "the newest come first");
    let of_pay = TaskFilter { template: Some("pay".to_owned()), ..TaskFilter::default() };
    assert_eq!(listed(of_pay, 100).await, all[1..]);
    let elsewhere = TaskFilter { namespace: Some("default' OR 1=1 --".to_owned()), ..TaskFilter::default() };
    assert_eq!(listed(elsewhere, 100).await, []);
    let some = async |step: Option<&str>, error: Option<&str>| listed(of_failures(step, error), 100).await;
    assert_eq!(some(Some("step_1"), None).await, all[3..]);
    assert_eq!(some(None, Some("OTHER")).await, all[2..3]);
    assert_eq!(some(Some("step_0"), Some("timeout")).await, all[1..3]);
    assert_eq!(some(Some("step_0"), Some("retryable_error")).await, all[..1]);
    assert_eq!(some(Some("step_2"), None).await, []);
}

pub async fn tasks_are_listed_by_what_failed_of_them(store: &dyn Store) {
    let mut w = World::new(store);
    let first = w.pin(template("pay", &[&[], &[]])).await;
    let other = w.pin(template("ship", &[&[], &[], &[1]])).await;
    w.transact((1..=3).map(|number| submit(task(number), &first)).collect()).await;
    w.transact((4..=6).map(|number| submit(task(number), &other)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    let end = |claim: &Claimed| match (claim.task, claim.live.number.0) {
        // Of one task, one step fails so and the other one otherwise.
        (id, 0) if id == task(1) => finish(claim, failed("timeout", "GATEWAY")),
        (id, 1) if id == task(1) => finish(claim, failed("handler_error", "CARD")),
        (id, 1) if id == task(2) || id == task(4) => finish(claim, failed("timeout", "GATEWAY")),
        (id, 0) if id == task(5) => fail_for_good(claim),
        _ => complete(claim),
    };
    let (left, ended): (Vec<Claimed>, Vec<Claimed>) =
        claims.into_iter().partition(|claim| claim.task == task(4) && claim.live.number.0 == 0);
    w.transact(ended.iter().map(end).collect()).await;
    assert_eq!(
        (w.task(task(4)).state, left.len()),
        (TaskState::Running, 1),
        "one of its steps failed, another one runs"
    );

    let meant = async |step: Option<&str>, error: Option<&str>| listed(store, of_failures(step, error), FIRST).await;
    assert_eq!(meant(Some("step_1"), None).await, [2, 1].map(task), "without a state, tasks that failed");
    assert_eq!(meant(Some("step_0"), None).await, [1].map(task), "nothing can run any more of that one");
    assert_eq!(meant(None, Some("GATEWAY")).await, [2, 1].map(task));
    assert_eq!(meant(None, Some("timeout")).await, [2, 1].map(task), "by its class as well");
    assert_eq!(meant(Some("step_0"), Some("CARD")).await, [], "that is the error of another step");
    assert_eq!(meant(Some("step_1"), Some("CARD")).await, [1].map(task));
    for none in ["step_2", "step_", "step", "step_9", "step_1' OR 1=1 --", ""] {
        assert_eq!(meant(Some(none), None).await, [], "{none}");
    }
    for none in ["x", "no", "", "' OR 1=1 --", "gateway"] {
        assert_eq!(meant(None, Some(none)).await, [], "{none}");
    }
    let running = TaskFilter { states: vec![TaskState::Running], ..of_failures(Some("step_1"), Some("GATEWAY")) };
    assert_eq!(listed(store, running.clone(), FIRST).await, [task(4)]);
    let elsewhere = TaskFilter { template: Some("pay".to_owned()), ..running };
    assert_eq!(listed(store, elsewhere, FIRST).await, []);
    let both = vec![TaskState::Running, TaskState::Failed];
    let both = TaskFilter { states: both, ..of_failures(None, Some("timeout")) };
    assert_eq!(listed(store, both.clone(), FIRST).await, [4, 2, 1].map(task));
    assert_eq!(listed(store, both.clone(), Page { before: Some(task(4)), limit: 1 }).await, [task(2)]);
    w.transact(vec![retry(task(2), 1)]).await;
    assert_eq!(listed(store, both, FIRST).await, [4, 1].map(task), "what is tried again has not failed");
}

pub async fn workers_that_failed_are_meant_by_the_step_that_they_are_made_after(store: &dyn Store) {
    let mut w = World::new(store);
    let two = &[&[][..], &[0], &[1], &[], &[3]];
    let types =
        [(0, StepType::Batchable), (1, StepType::BatchWorker), (3, StepType::Batchable), (4, StepType::BatchWorker)];
    let pinned = w.pin(with_types(template("batches", two), &types)).await;
    w.transact((1..=2).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(|claim| cut(claim, 3)).collect()).await;
    let fails = [(1, pinned.worker(StepNumber(1), 1)), (2, pinned.worker(StepNumber(4), 2))];
    let end = |claim: &Claimed| {
        let is_one = fails.iter().any(|&(number, step)| claim.task == task(number) && Some(claim.live.number) == step);
        if is_one { fail_for_good(claim) } else { complete(claim) }
    };
    loop {
        let claims = w.claim(worker(1), 100).await;
        if claims.is_empty() {
            break;
        }
        w.transact(claims.iter().map(end).collect()).await;
    }
    let meant = async |step: &str| listed(store, of_failures(Some(step), None), FIRST).await;
    assert_eq!(meant("step_1").await, [task(1)], "whichever worker it was");
    assert_eq!(meant("step_4").await, [task(2)]);
    assert_eq!(meant("step_1_002").await, [task(1)]);
    assert_eq!(meant("step_4_003").await, [task(2)]);
    for none in ["step_1_001", "step_1_003", "step_1_2", "step_4_002", "step_0", "step_2"] {
        assert_eq!(meant(none).await, [], "{none}");
    }
}
