//! What an application under test consists of, and how it starts on a store.

use std::sync::Arc;

use tasker_types::{TaskId, TaskRequest, Timestamp, template};

use super::TestRun;
use crate::engine::{Clock, Engine, HandlerThreads, Ids, Options, Parts};
use crate::event::EventRegistry;
use crate::handler::{AppState, Layer, RustStepHandlerRegistry};
use crate::store::Store;

/// What an application under test consists of.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) registry: RustStepHandlerRegistry,
    pub(super) state: Arc<AppState>,
    pub(super) layers: Vec<Arc<dyn Layer>>,
    pub(super) events: EventRegistry,
    pub(super) templates: Vec<String>,
    pub(super) options: Options,
    pub(super) environment: Option<String>,
}

impl Setup {
    /// Starts the application at this moment of virtual time; everything that keeps it from that is told at once.
    pub(super) async fn start(&self, store: Arc<dyn Store>, now: Timestamp) -> Result<Engine, String> {
        let engine = Engine::start(Parts {
            store,
            registry: Arc::new(self.registry.clone()),
            state: self.state.clone(),
            layers: self.layers.clone().into(),
            events: Arc::new(self.events.clone()),
            clock: Clock::starting_at(now),
            ids: Ids::default(),
            threads: HandlerThreads::shared(),
            options: self.options.clone(),
        });
        let mut problems = Vec::new();
        for text in &self.templates {
            match template::parse("template.yaml", text) {
                Ok(parsed) => {
                    let parsed = match &self.environment {
                        Some(environment) => parsed.in_environment(environment),
                        None => parsed,
                    };
                    if let Err(error) = engine.add_template(parsed.template).await {
                        problems.push(error.to_string());
                    }
                }
                Err(findings) => problems.push(findings.to_string()),
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        engine.start_worker().await.map_err(|error| error.to_string())?;
        Ok(engine)
    }

    /// The request for a task of this template.
    pub(super) fn request(&self, name: &str, context: serde_json::Value) -> TaskRequest {
        let parsed = self.templates.iter().filter_map(|text| template::parse("template.yaml", text).ok());
        let namespace = parsed
            .map(|parsed| parsed.template)
            .find(|template| template.name == name)
            .map(|template| template.namespace);
        TaskRequest {
            name: name.to_owned(),
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            context,
            initiator: "test".to_owned(),
            ..TaskRequest::default()
        }
    }
}

/// A runtime of one thread whose time is virtual.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap_or_else(|error| panic!("a runtime cannot be built: {error}"))
}

/// Submits a task and waits until it is over.
pub(super) async fn run(engine: &Engine, request: TaskRequest) -> TestRun {
    let task = engine.submit(request).await.unwrap_or_else(|error| panic!("the task was refused: {error}"));
    finish(engine, task).await
}

/// Waits until a task is over.
pub(super) async fn finish(engine: &Engine, task: TaskId) -> TestRun {
    engine.wait(task).await.unwrap_or_else(|error| panic!("the task cannot be waited for: {error}"));
    read(engine, task).await
}

/// How a task stands.
pub(super) async fn read(engine: &Engine, task: TaskId) -> TestRun {
    let view = engine.store().find_task(task).await.unwrap_or_else(|error| panic!("the task cannot be read: {error}"));
    let dump =
        engine.store().dump(None, u32::MAX).await.unwrap_or_else(|error| panic!("the store cannot be read: {error}"));
    let wrong = crate::core::check(&dump);
    assert!(wrong.is_empty(), "the rows contradict each other: {wrong:?}");
    TestRun::new(view.unwrap_or_else(|| panic!("there is no task {task}")))
}
