//! No more runs at once than there are slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::engine::{Engine, Options};
use tasker_runtime::handler::{RustStepHandler, RustStepHandlerRegistry, StepHandlerConfig};
use tasker_runtime::store::{MemoryStore, Store};
use tasker_runtime::testing::MockHandler;
use tasker_types::{StepExecutionResult, TaskRequest, TaskSequenceStep, TaskState, template};

use crate::engine_on;

/// How many run at once, and how many ever did.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Slow(Arc<Crowd>);

#[async_trait]
impl RustStepHandler for Slow {
    fn new(_: StepHandlerConfig) -> Self {
        Self(Arc::default())
    }

    fn name(&self) -> &str {
        "slow"
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.0.now.fetch_sub(1, Ordering::SeqCst);
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(1), None))
    }
}

/// A worker with one slot.
async fn engine(store: &Arc<MemoryStore>, crowd: &Arc<Crowd>) -> Engine {
    let mut registry = RustStepHandlerRegistry::empty();
    let crowd = crowd.clone();
    registry.register("slow", move || Box::new(Slow(crowd.clone())));
    let engine = engine_on(store.clone(), registry, Options { slots: 1, ..Options::default() });
    let yaml = "name: t\nsteps: [{ name: a, handler: slow }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    engine
}

#[tokio::test(start_paused = true)]
async fn a_worker_claims_only_steps_of_the_namespaces_that_it_is_given() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = |namespaces: Option<Vec<String>>| {
        let mut registry = RustStepHandlerRegistry::empty();
        registry.register("nothing", || Box::new(MockHandler::new("nothing".into(), Arc::new(|_| Ok(json!(1))))));
        engine_on(store.clone(), registry, Options { namespaces, ..Options::default() })
    };
    let (ours, all) = (worker(Some(vec!["ours".to_owned()])), worker(None));
    let mut tasks = Vec::new();
    for namespace in ["ours", "theirs"] {
        let yaml = format!(
            "name: t\nnamespace_name: {namespace}\nsteps: [{{ name: a, handler: nothing }}, {{ name: b, handler: nothing, dependencies: [a] }}]"
        );
        ours.add_template(template::parse("t.yaml", &yaml).unwrap().template).await.unwrap();
        let request = TaskRequest { name: "t".into(), namespace: namespace.into(), ..TaskRequest::default() };
        tasks.push(ours.submit(request).await.unwrap());
    }
    ours.start_worker().await.unwrap();
    let wait = |engine: &Engine, task| {
        let engine = engine.clone();
        async move { tokio::time::timeout(Duration::from_secs(60), engine.wait(task)).await }
    };
    assert_eq!(wait(&ours, tasks[0]).await.unwrap().unwrap(), TaskState::Completed);
    assert!(wait(&ours, tasks[1]).await.is_err(), "it was run by a worker of another namespace");
    ours.stop().await;
    all.start_worker().await.unwrap();
    assert_eq!(wait(&all, tasks[1]).await.unwrap().unwrap(), TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_only_slot_is_for_a_step_that_was_lost_or_for_another_one() {
    let (store, crowd) = (Arc::new(MemoryStore::new()), Arc::new(Crowd::default()));
    let dying = engine(&store, &crowd).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let request = TaskRequest { name: "t".to_owned(), ..TaskRequest::default() };
        tasks.push(dying.submit(request).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(crowd.now.load(Ordering::SeqCst), 1);
    // The next one takes its step for lost.
    let crowd = Arc::new(Crowd::default());
    let engine = engine(&store, &crowd).await;
    for task in tasks {
        assert_eq!(engine.wait(task).await.unwrap(), TaskState::Completed);
    }
    assert_eq!(crowd.most.load(Ordering::SeqCst), 1);
    drop(dying);
}
