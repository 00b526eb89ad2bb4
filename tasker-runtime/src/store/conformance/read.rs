//! What is read of tasks and steps.

use serde_json::json;
use tasker_types::{StepNumber, StepState, TaskId, TaskState};

use super::World;
use super::sample::{
    cancel, chain, complete, fail, fail_for_good, failure, finish, lose, queues, release, retry, roots, submit,
    submit_with_priority, task, template, worker,
};
use crate::core::{AttemptOutcome, Claimed, Dump, Failure, Outcome};
use crate::store::{ClaimRequest, Counts, InputRequest, Page, Store, TaskFilter};

const FIRST: Page = Page { before: None, limit: 100 };

async fn listed(store: &dyn Store, filter: TaskFilter, page: Page) -> Vec<TaskId> {
    store.list_tasks(filter, page).await.unwrap().into_iter().map(|listed| listed.row.id).collect()
}

pub async fn a_task_that_does_not_exist_is_not_found(store: &dyn Store) {
    assert_eq!(store.find_task(task(1)).await.unwrap(), None);
    assert_eq!(store.list_tasks(TaskFilter::default(), FIRST).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    assert_eq!(store.dump(None, 100).await.unwrap(), Dump::default());
}

pub async fn a_task_is_shown_with_every_step_in_its_state(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, template("mixed", &[&[], &[], &[], &[], &[], &[0, 1], &[5]])).await;
    let claims = w.claim(worker(1), 4).await;
    w.pass(10);
    w.transact(vec![complete(&claims[0]), fail(&claims[1]), fail_for_good(&claims[2])]).await;
    let view = store.find_task(id).await.unwrap().unwrap();
    assert_eq!(view.row, *w.task(id));
    let states: Vec<StepState> = view.steps.iter().map(|step| step.state).collect();
    assert_eq!(
        states,
        [
            StepState::Completed,
            StepState::WaitingForRetry,
            StepState::Failed,
            StepState::Running,
            StepState::Ready,
            StepState::Pending,
            StepState::Pending
        ]
    );
    assert_eq!(view.steps.iter().map(|step| step.unmet).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(view.steps[6].name, "step_6");
    let (done, runs) = (&view.steps[0], &view.steps[3]);
    assert_eq!((done.attempt, done.worker, done.finished_at), (1, Some(worker(1)), Some(w.now)));
    assert_eq!(done.result.as_ref().unwrap()["step"], 0);
    assert_eq!((runs.worker, runs.claimed_at, runs.finished_at), (Some(worker(1)), claims[3].live.claimed_at, None));
    assert_eq!(view.steps[2].detail.as_ref().unwrap()["message"], "no");
    assert_eq!((view.steps[5].ready_at, view.steps[6].ready_at), (None, None), "what waits for others has no time");
}

pub async fn a_step_shows_its_attempts(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(release(&claim)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(lose(&claim)).await.unwrap();
    let claim = w.claim_one(worker(2)).await;
    w.one(fail(&claim)).await.unwrap();
    let step = store.find_task(id).await.unwrap().unwrap().steps.remove(0);
    let told: Vec<_> = step.attempts.iter().map(|attempt| (attempt.attempt, attempt.outcome)).collect();
    let (released, lost, failed) = (AttemptOutcome::Released, AttemptOutcome::Lost, AttemptOutcome::Failed);
    assert_eq!(told, [(1, released), (2, lost), (3, failed)]);
    assert_eq!((step.attempt, step.failures, step.losses), (3, 1, 1));
    assert_eq!(step.attempts[2].retry_at, step.ready_at);
    assert_eq!(step.attempts[2].detail.as_ref().unwrap()["message"], "no");
}

pub async fn failures_and_losses_are_shown_of_steps_that_are_over(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, roots(2)).await;
    let mut ended = Vec::new();
    for end in [fail, lose, fail] {
        let claims = w.claim(worker(1), 2).await;
        ended.push(claims.len());
        w.transact(claims.iter().map(end).collect()).await;
        w.pass(60_000);
        w.due().await;
        // A step with losses runs alone.
        let rest = w.claim(worker(1), 0).await;
        w.transact(rest.iter().map(complete).collect()).await;
    }
    assert_eq!(ended[0], 2);
    let counts = |view: crate::store::TaskView| -> Vec<_> {
        view.steps.iter().map(|step| (step.state, step.failures, step.losses)).collect()
    };
    let told = counts(store.find_task(id).await.unwrap().unwrap());
    assert_eq!(told[0], (StepState::Completed, 1, 1));
    let id = w.start(2, chain(1)).await;
    let own = |claims: Vec<Claimed>| claims.into_iter().find(|claim| claim.task == id).unwrap();
    let claim = own(w.claim(worker(1), 100).await);
    w.one(fail(&claim)).await.unwrap();
    w.pass(60_000);
    w.due().await;
    let claim = own(w.claim(worker(1), 100).await);
    w.one(fail_for_good(&claim)).await.unwrap();
    assert_eq!(counts(store.find_task(id).await.unwrap().unwrap()), [(StepState::Failed, 2, 0)]);
    w.one(retry(id, 1)).await.unwrap();
    assert_eq!(counts(store.find_task(id).await.unwrap().unwrap()), [(StepState::Ready, 0, 0)]);
    let claim = own(w.claim(worker(1), 100).await);
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(counts(store.find_task(id).await.unwrap().unwrap()), [(StepState::Completed, 0, 0)]);
}

pub async fn a_cancelled_task_shows_every_step_that_will_not_run_as_cancelled(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(3)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    w.one(cancel(id, 1)).await.unwrap();
    let view = store.find_task(id).await.unwrap().unwrap();
    let states: Vec<StepState> = view.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [StepState::Completed, StepState::Cancelled, StepState::Cancelled]);
}

pub async fn a_task_shows_what_operators_did_to_it_in_the_order_of_time(store: &dyn Store) {
    let mut w = World::new(store);
    let (id, other) = (w.start(1, chain(2)).await, w.start(2, chain(1)).await);
    let actions = store.find_task(id).await.unwrap().unwrap().actions;
    assert_eq!(actions, [], "nobody did anything");
    // The later action has the smaller id: the order is that of time.
    for action in [7, 3] {
        let claims = w.claim(worker(1), 100).await;
        let claim = claims.iter().find(|claim| claim.task == id).unwrap();
        w.one(fail_for_good(claim)).await.unwrap();
        w.pass(10);
        w.one(retry(id, action)).await.unwrap();
    }
    w.one(cancel(other, 9)).await.unwrap();
    w.pass(10);
    w.one(cancel(id, 5)).await.unwrap();
    let view = store.find_task(id).await.unwrap().unwrap();
    let stored: Vec<_> = w.rows.actions.iter().filter(|row| row.task == id).cloned().collect();
    assert_eq!(view.actions, stored);
    let told: Vec<_> = view.actions.iter().map(|row| (row.kind, row.number)).collect();
    assert_eq!(told, [("retry", None), ("retry", None), ("cancel", None)]);
    assert!(view.actions.is_sorted_by_key(|row| row.at) && view.actions[0].id > view.actions[1].id);
    assert!(view.actions.iter().all(|row| !row.actor.is_empty() && !row.reason.is_empty()));
}

pub async fn tasks_are_listed_newest_first_page_by_page(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    for number in [3, 1, 5, 2, 4] {
        w.one(submit(task(number), &pinned)).await.unwrap();
    }
    let page = |before, limit| listed(store, TaskFilter::default(), Page { before, limit });
    assert_eq!(page(None, 2).await, [5, 4].map(task));
    assert_eq!(page(Some(task(4)), 2).await, [3, 2].map(task));
    assert_eq!(page(Some(task(2)), 2).await, [1].map(task));
    assert_eq!(page(Some(task(1)), 2).await, []);
    assert_eq!(page(None, 0).await, []);
    let rows = store.list_tasks(TaskFilter::default(), FIRST).await.unwrap();
    assert!(rows.iter().all(|listed| listed.row == *w.task(listed.row.id)));
}

pub async fn a_page_is_bounded(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.transact((1..=201).map(|number| submit(task(number), &pinned)).collect()).await;
    let page = Page { before: None, limit: u32::MAX };
    assert_eq!(listed(store, TaskFilter::default(), page).await.len(), 200);
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
        listed(store, TaskFilter { states: Vec::new(), template, namespace }, FIRST)
    };
    assert_eq!(named(Some("roots"), None).await, [6, 5].map(task));
    assert_eq!(named(None, Some("other")).await, [6, 5].map(task));
    assert_eq!(named(Some("chain"), Some("other")).await, []);
    assert_eq!(named(Some("chain' OR 1=1 --"), None).await, []);
    let states = vec![TaskState::Pending];
    let both = TaskFilter { states, template: Some("chain".to_owned()), namespace: Some("default".to_owned()) };
    assert_eq!(listed(store, both, Page { before: Some(task(6)), limit: 5 }).await, [task(4)]);
}

pub async fn failures_are_grouped_by_template_step_and_error(store: &dyn Store) {
    let mut w = World::new(store);
    let failed = |kind: &str, code: &str| {
        let detail =
            json!({ "message": "no", "error_type": kind, "error_code": code, "metadata": { "error_type": "x" } });
        Outcome::Failed(Failure { retryable: false, detail: detail.to_string().into(), ..failure() })
    };
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
}

pub async fn a_task_is_found_by_the_beginning_of_its_id(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    // Their ids end, before the 24 bits of the steps, in 010, 011 and 100.
    w.transact([0x0f, 0x10, 0xff].map(|number| submit(task(number), &pinned)).to_vec()).await;
    let zeros = "0".repeat(23);
    let found = async |digits: &str| store.tasks_by_prefix(digits, 10).await.unwrap();
    assert_eq!(found("").await, [0x0f, 0x10, 0xff].map(task));
    assert_eq!(found("0").await.len(), 3);
    assert_eq!(found(&format!("{zeros}1")).await, [task(0xff)]);
    assert_eq!(found(&format!("{zeros}01")).await, [0x0f, 0x10].map(task));
    assert_eq!(found(&format!("{zeros}010")).await, [task(0x0f)]);
    let whole = task(0x10).uuid().simple().to_string();
    assert_eq!(found(&whole).await, [task(0x10)]);
    assert_eq!(found(&whole.to_uppercase()).await, [task(0x10)]);
    for none in ["1", "+0", "-0", "x", " 0", "0_0", "ä", &format!("{whole}0"), "00000000-0000"] {
        assert_eq!(found(none).await, [], "{none:?}");
    }
    assert_eq!(store.tasks_by_prefix("0", 2).await.unwrap(), [0x0f, 0x10].map(task));
}

pub async fn what_there_is_is_counted(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(2)).await;
    w.transact((1..=6).map(|number| submit(task(number), &pinned)).collect()).await;
    w.one(cancel(task(6), 1)).await.unwrap();
    let claims = w.claim(worker(1), 8).await;
    let of = |number: u32| claims.iter().filter(move |claim| claim.task == task(number));
    let mut commands: Vec<_> = of(1).map(fail_for_good).collect();
    commands.extend(of(2).map(complete));
    commands.extend(of(3).map(fail));
    w.transact(commands).await;
    let counts = Counts { open_tasks: 3, failed_tasks: 1, ready_steps: 2, running_steps: 2, waiting_steps: 2 };
    assert_eq!(store.counts().await.unwrap(), counts);
}

pub async fn inputs_are_the_context_and_the_results_that_exist(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(template("three", &[&[], &[], &[]])).await;
    w.one(submit_with_priority(task(1), &pinned, 3)).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail_for_good(&claims[1])]).await;
    let results = vec![StepNumber(0), StepNumber(1), StepNumber(2), StepNumber(99)];
    let wanted = InputRequest { task: task(1), context: true, results, workers_from: None, checkpoint_of: None };
    let given = store.inputs(vec![wanted.clone()]).await.unwrap().remove(0);
    let context = given.context.unwrap();
    assert_eq!((context.task_uuid, context.name.as_str()), (task(1).uuid(), "three"));
    assert_eq!((context.namespace.as_str(), context.version.as_str()), ("default", "1.0.0"));
    assert_eq!((context.context["order"].as_i64(), context.priority), (Some(7), 3));
    assert_eq!(context.correlation_id, format!("correlation of {}", task(1)));
    assert_eq!(given.results.keys().copied().collect::<Vec<_>>(), [StepNumber(0)]);
    assert_eq!(given.results[&StepNumber(0)].as_ref().unwrap().result["attempt"], 1);
    let given = store.inputs(vec![InputRequest { context: false, ..wanted }]).await.unwrap().remove(0);
    assert!(given.context.is_none() && given.results.len() == 1);
}

pub async fn inputs_are_given_once_a_task_in_their_order(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(template("two", &[&[], &[]])).await;
    w.transact((1..=3).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    let wanted = |number, context, results: &[u32]| InputRequest {
        task: task(number),
        context,
        results: results.iter().copied().map(StepNumber).collect(),
        workers_from: None,
        checkpoint_of: None,
    };
    let requests = vec![
        wanted(3, false, &[1]),
        wanted(9, true, &[0]),
        wanted(1, true, &[]),
        wanted(3, true, &[0, 1]),
        wanted(1, true, &[]),
    ];
    let given = store.inputs(requests).await.unwrap();
    let told: Vec<_> = given.iter().map(|input| (input.task, input.context.is_some(), input.results.len())).collect();
    assert_eq!(told, [(task(1), true, 0), (task(3), true, 2), (task(9), false, 0)], "nothing is known of the last");
    assert!(store.inputs(Vec::new()).await.unwrap().is_empty());
}

pub async fn tasks_that_are_being_cancelled_are_told(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(1)).await;
    w.transact((1..=4).map(|number| submit(task(number), &pinned)).collect()).await;
    w.claim(worker(1), 3).await;
    w.transact(vec![cancel(task(2), 1), cancel(task(3), 2), cancel(task(4), 3)]).await;
    let asked = [1, 2, 3, 4, 5].map(task).to_vec();
    assert_eq!(store.cancelling(asked).await.unwrap(), [2, 3].map(task));
    assert_eq!(store.cancelling(vec![task(3)]).await.unwrap(), [task(3)]);
    assert_eq!(store.cancelling(Vec::new()).await.unwrap(), []);
}

pub async fn all_rows_are_read_in_portions(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(2)).await;
    w.transact((1..=5).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 3).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1]), cancel(task(3), 1)]).await;
    let (mut whole, mut after) = (Dump::default(), None);
    loop {
        let mut part = store.dump(after, 2).await.unwrap();
        let Some(last) = part.tasks.last() else { break };
        after = Some(last.id);
        assert!(part.tasks.len() <= 2);
        whole.tasks.append(&mut part.tasks);
        whole.live.append(&mut part.live);
        whole.results.append(&mut part.results);
        whole.attempts.append(&mut part.attempts);
        whole.actions.append(&mut part.actions);
    }
    assert_eq!(whole, w.rows);
    assert_eq!(whole.tasks.len(), 5);
}

pub async fn what_this_process_writes_does_not_change_the_version(store: &dyn Store) {
    // Such a store looks now and then, and what this process wrote may be ready then.
    if store.tells_what_waits() {
        return;
    }
    let mut w = World::new(store);
    let before = store.version().await.unwrap();
    w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(store.version().await.unwrap(), before);
}

pub async fn the_state_of_a_task_is_told(store: &dyn Store) {
    let mut w = World::new(store);
    assert_eq!(store.task_state(task(1)).await.unwrap(), None);
    let id = w.start(1, chain(1)).await;
    assert_eq!(store.task_state(id).await.unwrap(), Some(TaskState::Pending));
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(store.task_state(id).await.unwrap(), Some(TaskState::Running));
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(store.task_state(id).await.unwrap(), Some(TaskState::Completed));
}
