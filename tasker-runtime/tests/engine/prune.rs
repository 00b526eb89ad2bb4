//! What is pruned keeps nothing else waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tasker_runtime::engine::Options;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::store::{Around, MemoryStore, StoreError};
use tasker_runtime::testing::MockHandler;
use tasker_types::{TaskRequest, Timestamp, template};

use crate::engine_on;

/// A store that takes an hour to delete something.
#[derive(Default)]
struct Slow {
    store: MemoryStore,
    begun: AtomicUsize,
}

#[async_trait]
impl Around for Slow {
    fn store(&self) -> &MemoryStore {
        &self.store
    }

    async fn prune(&self, _: Duration, _: u32, _: Option<Timestamp>) -> Result<u64, StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Ok(1)
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_to_be_pruned_keeps_nothing_else_waiting() {
    let store = Arc::new(Slow::default());
    let mut registry = RustStepHandlerRegistry::empty();
    registry.register("nothing", || Box::new(MockHandler::new("nothing".into(), Arc::new(|_| Ok(json!(1))))));
    let engine = engine_on(store.clone(), registry, Options::default());
    let yaml = "name: t\nsteps: [{ name: a, handler: nothing }]";
    engine.add_template(template::parse("t.yaml", yaml).unwrap().template).await.unwrap();
    engine.start_worker().await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(store.begun.load(Ordering::SeqCst), 1);
    let request = TaskRequest { name: "t".into(), ..TaskRequest::default() };
    let told = tokio::time::timeout(Duration::from_secs(1), engine.submit(request)).await;
    assert!(told.is_ok(), "it waits for the pruning");
    assert_eq!(store.begun.load(Ordering::SeqCst), 1, "one portion at a time");
}
