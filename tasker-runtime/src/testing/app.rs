//! A whole application for a test: real engine, store in memory, virtual time.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;
use tasker_types::{TaskId, TaskRequest, TaskSequenceStep, Timestamp};
use tokio::sync::oneshot;

use super::setup::{self, Setup};
use super::{MockHandler, MockResult, TestRun};
use crate::engine::{Engine, Options};
use crate::event::{EventRegistry, FromEvent, StepEventPublisher, Subscriber, SubscriberReturn};
use crate::handler::{Layer, RustStepHandlerRegistry};
use crate::store::MemoryStore;

/// The virtual clock of every test begins here: 2030-01-01T00:00:00Z.
pub(super) const BEGINNING: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);

/// An application under test. The engine, its timers and the handlers run on one thread with virtual time: waiting
/// for a backoff of an hour takes no time, and everything else happens in the order in which it would.
///
/// ```
/// use serde_json::json;
/// use tasker_runtime::testing::TestApp;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let app = TestApp::new()
///     .template("name: greeting\nsteps: [{ name: greet }, { name: sign, dependencies: [greet] }]")
///     .mock("greet", |step| Ok(json!(format!("hello {}", step.get_input::<String>("name")?))))
///     .mock("sign", |step| Ok(json!(format!("{}!", step.get_dependency_result_column_value::<String>("greet")?))));
/// let run = app.run("greeting", json!({ "name": "Ada" })).await;
/// run.assert_completed().assert_order(["greet", "sign"]).assert_result("sign", &json!("hello Ada!"));
/// # });
/// ```
pub struct TestApp {
    pub(super) setup: Setup,
    running: std::sync::OnceLock<Running>,
}

struct Running {
    jobs: mpsc::Sender<Job>,
    engine: Engine,
}

type Job = Box<dyn FnOnce(&tokio::runtime::Runtime) + Send>;

impl Default for TestApp {
    fn default() -> Self {
        Self::new()
    }
}

impl TestApp {
    /// An application with the handlers, event subscribers and publishers that are linked into the test binary.
    #[must_use]
    pub fn new() -> Self {
        let mut app = Self::with_handlers(RustStepHandlerRegistry::new());
        app.setup.events = EventRegistry::linked();
        app
    }

    /// An application with these handlers and no others.
    #[must_use]
    pub fn with_handlers(registry: RustStepHandlerRegistry) -> Self {
        // No test looks for what other processes write.
        let options = Options { poll: Duration::from_secs(3600), retention: None, ..Options::default() };
        let (state, layers, templates) = (Arc::default(), Vec::new(), Vec::new());
        let events = EventRegistry::default();
        let setup = Setup { registry, state, layers, events, templates, options, environment: None };
        Self { setup, running: std::sync::OnceLock::new() }
    }

    /// Adds a template.
    #[must_use]
    pub fn template(mut self, yaml: impl Into<String>) -> Self {
        self.setup.templates.push(yaml.into());
        self
    }

    /// Reads the templates as they are in this environment.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.setup.environment = Some(name.into());
        self
    }

    /// Puts a closure in the place of a handler, or adds it under a new name. An error is retried as the step's policy
    /// says, unless it is a [`StepError`](tasker_types::StepError) that says otherwise.
    #[must_use]
    pub fn mock<F>(mut self, name: &str, run: F) -> Self
    where
        F: Fn(&TaskSequenceStep) -> MockResult + Send + Sync + 'static,
    {
        let (run, named) = (Arc::new(run), Arc::<str>::from(name));
        self.setup.registry.register(name, move || Box::new(MockHandler::new(named.clone(), run.clone())));
        self
    }

    /// Adds a value to the application's state.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        // Only the running engine shares it, and that has not been made yet.
        if let Some(state) = Arc::get_mut(&mut self.setup.state) {
            state.insert(value);
        }
        self
    }

    /// Puts a layer around every attempt.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.setup.layers.push(Arc::new(layer));
        self
    }

    /// Gives events to a closure, under this name.
    ///
    /// # Panics
    /// The pattern can match nothing.
    #[must_use]
    #[track_caller]
    pub fn on_event<E, F, R>(mut self, name: &str, pattern: &str, run: F) -> Self
    where
        E: FromEvent,
        F: Fn(E) -> R + Send + Sync + 'static,
        R: Future<Output: SubscriberReturn> + Send + 'static,
    {
        self.setup.events.add_subscriber(Subscriber::new(name, pattern, run));
        self
    }

    /// Adds a publisher.
    #[must_use]
    pub fn publisher(mut self, publisher: impl StepEventPublisher + 'static) -> Self {
        self.setup.events.add_publisher(Arc::new(publisher), "the test".to_owned());
        self
    }

    /// Sets how many steps run at once.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.setup.options.slots = slots;
        self
    }

    /// Submits a task and lets virtual time pass until it is over.
    ///
    /// # Panics
    /// There is no such template, its handlers are missing, or the context does not fit.
    pub async fn run(&self, template: &str, context: Value) -> TestRun {
        self.run_request(self.setup.request(template, context)).await
    }

    /// Submits a task by its whole request and lets virtual time pass until it is over.
    ///
    /// # Panics
    /// The request is refused.
    pub async fn run_request(&self, request: TaskRequest) -> TestRun {
        let engine = self.engine().clone();
        self.drive(async move { setup::run(&engine, request).await }).await
    }

    /// Submits a task and returns at once: it goes on when time is [skipped](Self::skip).
    ///
    /// # Panics
    /// The task is refused.
    pub async fn start(&self, template: &str, context: Value) -> TaskId {
        let (engine, request) = (self.engine().clone(), self.setup.request(template, context));
        self.drive(async move {
            engine.submit(request).await.unwrap_or_else(|error| panic!("the task was refused: {error}"))
        })
        .await
    }

    /// Lets this much virtual time pass, with everything that falls due in it.
    pub async fn skip(&self, duration: Duration) {
        self.drive(async move { tokio::time::sleep(duration).await }).await;
    }

    /// How a task stands now.
    ///
    /// # Panics
    /// There is no such task.
    pub async fn look(&self, task: TaskId) -> TestRun {
        let engine = self.engine().clone();
        self.drive(async move { setup::read(&engine, task).await }).await
    }

    /// What time it is in the test.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine().clock().now()
    }

    /// Runs a future on the application's thread, in its virtual time: for what this kit has no method for.
    ///
    /// # Panics
    /// The future panics.
    pub async fn drive<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (answer, told) = oneshot::channel();
        let job: Job =
            Box::new(move |runtime| drop(answer.send(runtime.block_on(async { tokio::spawn(future).await }))));
        self.engine();
        let sent = self.running.get().is_some_and(|running| running.jobs.send(job).is_ok());
        assert!(sent, "the application's thread has ended");
        match told.await {
            Ok(Ok(value)) => value,
            Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => panic!("the application's thread has ended"),
        }
    }

    /// The engine under test; it only moves while something is driven.
    pub fn engine(&self) -> &Engine {
        &self.running.get_or_init(|| self.launch()).engine
    }

    fn launch(&self) -> Running {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (ready, engine) = mpsc::channel();
        let setup = self.setup.clone();
        std::thread::spawn(move || {
            let runtime = setup::runtime();
            let started = runtime.block_on(async move { setup.start(Arc::new(MemoryStore::new()), BEGINNING).await });
            if ready.send(started).is_ok() {
                todo.into_iter().for_each(|job| job(&runtime));
            }
        });
        match engine.recv() {
            Ok(Ok(engine)) => Running { jobs, engine },
            Ok(Err(report)) => panic!("the application cannot start:\n{report}"),
            Err(_) => panic!("the application's thread has ended"),
        }
    }
}
