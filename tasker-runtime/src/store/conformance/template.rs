//! Templates by their content.

use serde_json::json;
use tasker_types::template::Lifecycle;
use tasker_types::{StalenessAction, TaskState};

use super::World;
use super::sample::{at, cancel, chain, complete, submit, task, template, worker};
use crate::core::ResolvedTemplate;
use crate::store::Store;

fn version(text: &str) -> ResolvedTemplate {
    let mut template = chain(1);
    template.template.version = text.to_owned();
    template
}

fn described(text: &str) -> ResolvedTemplate {
    let mut template = chain(1);
    template.template.description = Some(text.to_owned());
    template
}

pub async fn a_template_is_stored_once_by_its_content(store: &dyn Store) {
    let first = store.pin(chain(3), at(0)).await.unwrap();
    let second = store.pin(chain(3), at(10)).await.unwrap();
    assert_eq!((&first, first.id), (&second, second.id));
    let listed = store.list_templates().await.unwrap();
    assert_eq!((listed.len(), listed[0].stored_at), (1, at(0)));
    assert_eq!(listed[0].hash.len(), 64);
}

pub async fn another_content_of_the_same_version_is_another_template(store: &dyn Store) {
    let first = store.pin(described("first"), at(0)).await.unwrap();
    let second = store.pin(described("second"), at(0)).await.unwrap();
    assert_ne!(first.id, second.id);
    let found = store.find_template("default", "chain", Some("1.0.0")).await.unwrap().unwrap();
    assert_eq!(found, second);
    let mut retried = described("second");
    retried.steps[0].retry.max_attempts += 1;
    let third = store.pin(retried, at(0)).await.unwrap();
    assert_ne!(third.id, second.id, "what a step runs with is part of the content");
}

pub async fn older_content_that_is_registered_again_is_the_newest(store: &dyn Store) {
    let first = store.pin(described("first"), at(0)).await.unwrap();
    let second = store.pin(described("second"), at(1)).await.unwrap();
    let again = store.pin(described("first"), at(2)).await.unwrap();
    assert_eq!(again, first);
    for wanted in [None, Some("1.0.0")] {
        let found = store.find_template("default", "chain", wanted).await.unwrap().unwrap();
        assert_eq!(found, first);
    }
    let order: Vec<_> = store.list_templates().await.unwrap().into_iter().map(|stored| stored.stored_at).collect();
    assert_eq!(order, [at(1), at(0)], "the newest comes last");
    store.pin(described("second"), at(3)).await.unwrap();
    assert_eq!(store.find_template("default", "chain", None).await.unwrap().unwrap(), second);
}

pub async fn the_newest_version_is_found_by_its_numbers(store: &dyn Store) {
    for text in ["1.9.0", "1.10.0", "0.99.99", "1.2.30"] {
        store.pin(version(text), at(0)).await.unwrap();
    }
    let found = store.find_template("default", "chain", None).await.unwrap().unwrap();
    assert_eq!(found.template.version, "1.10.0");
    let order: Vec<_> = store.list_templates().await.unwrap().into_iter().map(|stored| stored.version).collect();
    assert_eq!(order, ["0.99.99", "1.2.30", "1.9.0", "1.10.0"]);
}

pub async fn a_version_is_found_by_its_name(store: &dyn Store) {
    for text in ["1.9.0", "1.10.0"] {
        store.pin(version(text), at(0)).await.unwrap();
    }
    let found = store.find_template("default", "chain", Some("1.9.0")).await.unwrap().unwrap();
    assert_eq!(found.template.version, "1.9.0");
    assert!(store.find_template("default", "chain", Some("1.9")).await.unwrap().is_none());
}

pub async fn a_template_that_does_not_exist_is_not_found(store: &dyn Store) {
    assert!(store.list_templates().await.unwrap().is_empty());
    store.pin(chain(1), at(0)).await.unwrap();
    for (namespace, name, version) in
        [("default", "other", None), ("other", "chain", None), ("default", "chain", Some("2.0.0")), ("", "", None)]
    {
        assert!(store.find_template(namespace, name, version).await.unwrap().is_none());
    }
}

pub async fn a_pinned_template_is_what_was_stored(store: &dyn Store) {
    let mut resolved = template("whole", &[&[], &[], &[0, 1]]);
    resolved.template.metadata = json!({ "author": "ops\0", "tags": ["a", "b"] });
    resolved.template.required_fields = vec!["customer".to_owned()];
    resolved.template.steps[2].handler.initialization = json!({ "limit": 1.5 });
    let pinned = store.pin(resolved.clone(), at(0)).await.unwrap();
    assert_eq!(pinned.template, resolved.template);
    assert_eq!(pinned.graph(), &resolved.template.graph());
    for (step, wanted) in pinned.steps.iter().zip(&resolved.steps) {
        assert_eq!((&*step.handler, step.retry), (wanted.handler.as_str(), wanted.retry));
    }
    let found = store.find_template("default", "whole", None).await.unwrap().unwrap();
    assert_eq!(found, pinned);
}

pub async fn steps_with_one_handler_share_a_queue_within_a_namespace(store: &dyn Store) {
    let first = store.pin(chain(2), at(0)).await.unwrap();
    let second = store.pin(template("another", &[&[], &[], &[]]), at(0)).await.unwrap();
    let mut elsewhere = chain(2);
    elsewhere.template.namespace = "elsewhere".to_owned();
    let elsewhere = store.pin(elsewhere, at(0)).await.unwrap();
    assert_ne!(first.steps[0].queue, first.steps[1].queue);
    assert_eq!(first.steps[0].queue, second.steps[0].queue);
    assert_eq!(first.steps[1].queue, second.steps[1].queue);
    let known = [first.steps[0].queue, first.steps[1].queue, second.steps[2].queue];
    assert!(elsewhere.steps.iter().all(|step| !known.contains(&step.queue)));
}

pub async fn templates_are_listed_in_order_with_their_open_tasks(store: &dyn Store) {
    let mut w = World::new(store);
    let mut other = chain(1);
    other.template.namespace = "another".to_owned();
    let mut named = chain(1);
    named.template.name = "a_chain".to_owned();
    let chained = w.pin(chain(1)).await;
    w.pin(other).await;
    w.pin(named).await;
    w.transact((1..=3).map(|number| submit(task(number), &chained)).collect()).await;
    w.one(cancel(task(1), 1)).await.unwrap();
    let listed = store.list_templates().await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|stored| (stored.namespace.as_str(), stored.name.as_str(), stored.open_tasks)).collect();
    assert_eq!(told, [("another", "chain", 0), ("default", "a_chain", 0), ("default", "chain", 2)]);
}

pub async fn templates_that_limit_the_time_of_a_task_are_found(store: &dyn Store) {
    let limited = |minutes: u32, version: &str| {
        let mut template = chain(1);
        template.template.version = version.to_owned();
        template.template.lifecycle =
            Some(Lifecycle { max_duration_minutes: minutes, staleness_action: StalenessAction::Cancel });
        template
    };
    let mut w = World::new(store);
    assert_eq!(store.with_lifecycle().await.unwrap(), []);
    let mut named = chain(1);
    named.template.name = "lifecycle".to_owned();
    named.template.description = Some("\"lifecycle\"".to_owned());
    w.pin(named).await;
    let second = w.pin(limited(2, "2.0.0")).await;
    let first = w.pin(limited(1, "1.0.0")).await;
    assert_eq!(store.with_lifecycle().await.unwrap(), [second, first]);
}

pub async fn a_task_ends_on_the_template_that_it_started_with(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    let mut longer = chain(3);
    longer.template.description = Some("a step more".to_owned());
    w.pin(longer).await;
    w.one(complete(&claim)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(claim.pinned.steps.len(), 2);
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.task_state(id), TaskState::Completed);
}

pub async fn all_queues_are_told(store: &dyn Store) {
    assert_eq!(store.queues().await.unwrap(), []);
    let first = store.pin(chain(2), at(0)).await.unwrap();
    let mut elsewhere = chain(1);
    elsewhere.template.namespace = "elsewhere".to_owned();
    let elsewhere = store.pin(elsewhere, at(0)).await.unwrap();
    store.pin(chain(1), at(0)).await.unwrap();
    let mut told = store.queues().await.unwrap();
    told.sort_by_key(|queue| queue.id);
    let told: Vec<_> = told.iter().map(|queue| (queue.id, queue.namespace.as_str(), queue.handler.as_str())).collect();
    let wanted = [
        (first.steps[0].queue, "default", "step_0"),
        (first.steps[1].queue, "default", "step_1"),
        (elsewhere.steps[0].queue, "elsewhere", "step_0"),
    ];
    assert_eq!(told, wanted);
}
