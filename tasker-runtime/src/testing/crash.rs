//! What becomes of a task whose worker dies at each of its commits.

mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{TaskRequest, TaskState, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::store::Mortal;
use super::app::BEGINNING;
use super::setup::{self, Setup};
use super::{TestApp, TestRun};
use crate::engine::Engine;
use crate::store::{MemoryStore, Page, Store as _, TaskFilter};

/// The most commits of a workflow whose worker is killed at each of them.
const COMMITS_MAX: usize = 1_000;

/// Whether a worker died before a commit was written, or after it and before it heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Nothing of the commit was written: what led to it is done again.
    Before,
    /// All of the commit was written, and nobody was told.
    After,
}

/// A task whose worker died, and what the next worker made of it.
#[derive(Debug, Clone)]
pub struct Crash {
    commit: usize,
    when: When,
    what: String,
    run: TestRun,
}

/// A task that was run again and again: once without a crash, and once for each crash that there can be.
///
/// Iterating over a reference gives the crashes in the order of their commits.
#[derive(Debug, Clone)]
pub struct Crashes {
    calm: TestRun,
    crashes: Vec<Crash>,
}

impl TestApp {
    /// Runs a task once for each commit that it makes, and kills the worker just before that commit is written; then
    /// again, just after it was written and before the worker hears of it. Each time a new worker starts on what was
    /// stored, and the task goes on to its end. A task whose submit was lost is submitted again, as a client would.
    ///
    /// A kill drops every handler where it stands, at an `await`; after it a handler may be run again, from its beginning.
    /// A handler is thus cut before its first line or after its last one, and others that run beside it in between. What
    /// handlers do outside must bear that: they see it as attempts of one step, with one
    /// [`idempotency_key`](crate::handler::StepContext::idempotency_key). The application's state is shared by all
    /// these runs, as the outside world is; each run is a task of its own. A blocking handler that is killed runs on in its
    /// thread, to its end.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use std::sync::{Arc, Mutex};
    ///
    /// use serde_json::json;
    /// use tasker_runtime::testing::TestApp;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// // A gateway that charges each key once, however often it is asked.
    /// let asked = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    /// let gateway = asked.clone();
    /// let app = TestApp::new()
    ///     .template("name: order\nsteps: [{ name: charge }, { name: ship, dependencies: [charge] }]")
    ///     .mock("charge", move |step| {
    ///         let key = step.workflow_step.workflow_step_uuid.to_string();
    ///         *gateway.lock().unwrap().entry(key).or_default() += 1;
    ///         Ok(json!("paid"))
    ///     })
    ///     .mock("ship", |_| Ok(json!("on its way")));
    ///
    /// let crashes = app.crash_at_every_commit("order", json!({})).await;
    /// crashes.assert_same_end();
    /// // The gateway was asked twice by some tasks: that is what the key is for.
    /// assert!(asked.lock().unwrap().values().any(|&times| times == 2));
    /// for crash in &crashes {
    ///     println!("{crash}: charged at attempt {}", crash.run().step("charge").attempt);
    /// }
    /// # });
    /// ```
    ///
    /// # Panics
    /// The application cannot start, the task is refused, or it makes more than 1,000 commits.
    pub async fn crash_at_every_commit(&self, template: &str, context: Value) -> Crashes {
        let (setup, request) = (self.setup.clone(), self.setup.request(template, context));
        let (answer, told) = oneshot::channel();
        let thread = std::thread::spawn(move || drop(answer.send(every_crash(&setup, &request))));
        match (told.await, thread) {
            (Ok(crashes), _) => crashes,
            (Err(_), thread) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => panic!("the application's thread has ended"),
            },
        }
    }
}

fn every_crash(setup: &Setup, request: &TaskRequest) -> Crashes {
    let mut crashes = Vec::new();
    for commit in 0..COMMITS_MAX {
        for when in [When::Before, When::After] {
            let store = Arc::new(Mortal::new(commit, when));
            match first_life(setup, request, &store) {
                Ok(calm) => return Crashes { calm, crashes },
                Err(at) => {
                    let run = second_life(setup, request, store.left(), at);
                    crashes.push(Crash { commit: commit + 1, when, what: store.what(&run), run });
                }
            }
        }
    }
    panic!("the task makes more than {COMMITS_MAX} commits: try a smaller one");
}

/// What the first worker made of the task, or when it died.
fn first_life(setup: &Setup, request: &TaskRequest, store: &Arc<Mortal>) -> Result<TestRun, Timestamp> {
    let runtime = setup::runtime();
    let life = runtime.block_on(async {
        let began = Instant::now();
        let work = async { setup::run(&start(setup, store.clone(), BEGINNING).await, request.clone()).await };
        tokio::select! {
            biased;
            () = store.death() => Err(BEGINNING + began.elapsed()),
            run = work => Ok(run),
        }
    });
    // What runs on threads of its own cannot be stopped, and is not waited for.
    runtime.shutdown_background();
    life
}

fn second_life(setup: &Setup, request: &TaskRequest, store: Arc<MemoryStore>, now: Timestamp) -> TestRun {
    let runtime = setup::runtime();
    let run = runtime.block_on(async {
        let engine = start(setup, store.clone(), now).await;
        let stored = store.list_tasks(TaskFilter::default(), Page { before: None, limit: 1 }).await;
        let stored = stored.unwrap_or_else(|error| panic!("the store cannot be read: {error}"));
        match stored.first() {
            Some(task) => setup::finish(&engine, task.row.id).await,
            None => setup::run(&engine, request.clone()).await,
        }
    });
    runtime.shutdown_background();
    run
}

async fn start(setup: &Setup, store: Arc<dyn crate::store::Store>, now: Timestamp) -> Engine {
    let started = setup.start(store, now).await;
    started.unwrap_or_else(|report| panic!("the application cannot start:\n{report}"))
}

impl Crash {
    /// Which commit of the task it was, counted from 1.
    #[must_use]
    pub fn commit(&self) -> usize {
        self.commit
    }

    /// Whether it was before or after that commit.
    #[must_use]
    pub fn when(&self) -> When {
        self.when
    }

    /// What the commit was about: ``the result of `charge` ``.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What became of the task.
    #[must_use]
    pub fn run(&self) -> &TestRun {
        &self.run
    }
}

/// In words, as a failed assertion shows it.
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Before => "before",
            When::After => "after",
        };
        write!(f, "a crash {when} commit {} ({})", self.commit, self.what)
    }
}

impl Crashes {
    /// The run without a crash.
    #[must_use]
    pub fn calm(&self) -> &TestRun {
        &self.calm
    }

    /// The crashes, in the order of their commits.
    pub fn iter(&self) -> std::slice::Iter<'_, Crash> {
        self.crashes.iter()
    }

    /// The task completed, without a crash and after each.
    ///
    /// # Panics
    /// It did not: the message says after which crash.
    pub fn assert_completed(&self) -> &Self {
        self.calm.assert_completed();
        for crash in self {
            assert_eq!(crash.run.state(), TaskState::Completed, "after {crash}:{}", crash.run);
        }
        self
    }

    /// The task and each of its steps came to the same end after each crash as without one, with the same results.
    ///
    /// # Panics
    /// One did not: the message says which, and after which crash.
    pub fn assert_same_end(&self) -> &Self {
        for crash in self {
            assert_eq!(crash.run.state(), self.calm.state(), "after {crash}:{}", crash.run);
            for (step, calm) in crash.run.view().steps.iter().zip(&self.calm.view().steps) {
                let (found, wanted) = ((step.state, &step.result), (calm.state, &calm.result));
                assert_eq!(found, wanted, "step `{}` after {crash}:{}", step.name, crash.run);
            }
        }
        self
    }
}

impl<'c> IntoIterator for &'c Crashes {
    type Item = &'c Crash;
    type IntoIter = std::slice::Iter<'c, Crash>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
