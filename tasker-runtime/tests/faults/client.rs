//! A client that submits through the faults, and remembers what it was told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tasker_runtime::engine::Engine;
use tasker_types::{TaskId, TaskRequest, TaskState};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::child::Place;

/// How long tasks have to end when the faults have.
const LIVENESS: Duration = Duration::from_secs(90);

/// What a client was told of its requests, which it named itself.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    pub(crate) accepted: Vec<(String, TaskId)>,
    /// With the code of the error.
    pub(crate) refused: Vec<(String, &'static str)>,
    pub(crate) ended: Vec<(TaskId, TaskState)>,
    /// Errors of waiting, of which there should be none: a database that is away ends no wait.
    pub(crate) complaints: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Client {
    history: Arc<Mutex<History>>,
    is_over: Arc<AtomicBool>,
    submitting: JoinHandle<()>,
}

impl Client {
    /// Submits tasks of a template until it is told to finish; at most so many are open at once.
    pub(crate) async fn start(place: &Place, template: &'static str, open_max: usize) -> Self {
        let engine = place.engine(1).await;
        crate::workflow::add_templates(&engine).await;
        let (history, is_over) = (Arc::new(Mutex::new(History::default())), Arc::new(AtomicBool::new(false)));
        let submitting = submit_all(engine, template, open_max, history.clone(), is_over.clone());
        Self { history, is_over, submitting: tokio::spawn(submitting) }
    }

    /// How many tasks it has seen end.
    pub(crate) fn ended(&self) -> usize {
        self.history.lock().unwrap().ended.len()
    }

    /// How many requests were refused with this code.
    pub(crate) fn refused_with(&self, code: &str) -> usize {
        self.history.lock().unwrap().refused.iter().filter(|(_, told)| *told == code).count()
    }

    /// Submits no more, waits for the tasks that are open, but not for ever, and tells what it was told.
    pub(crate) async fn finish(self) -> History {
        self.is_over.store(true, Ordering::Relaxed);
        // Tasks that are stuck are found by the checker.
        let _ = tokio::time::timeout(LIVENESS, self.submitting).await;
        self.history.lock().unwrap().clone()
    }
}

async fn submit_all(
    engine: Engine,
    template: &'static str,
    open_max: usize,
    history: Arc<Mutex<History>>,
    is_over: Arc<AtomicBool>,
) {
    let places = Arc::new(Semaphore::new(open_max));
    let mut waits = JoinSet::new();
    for number in 0_u64.. {
        let place = places.clone().acquire_owned().await.unwrap();
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("request-{number}");
        match engine.submit(request(template, &name, json!({}))).await {
            Ok(task) => {
                history.lock().unwrap().accepted.push((name, task));
                let (engine, history) = (engine.clone(), history.clone());
                waits.spawn(async move {
                    match engine.wait(task).await {
                        Ok(state) => history.lock().unwrap().ended.push((task, state)),
                        Err(error) => history.lock().unwrap().complaints.push(format!("task {task}: {error}")),
                    }
                    drop(place);
                });
            }
            Err(error) => {
                history.lock().unwrap().refused.push((name, error.code()));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        while waits.try_join_next().is_some() {}
    }
    waits.join_all().await;
    engine.stop().await;
}

pub(crate) fn request(template: &str, name: &str, context: Value) -> TaskRequest {
    TaskRequest {
        name: template.to_owned(),
        context,
        initiator: "faults".to_owned(),
        correlation_id: Some(name.to_owned()),
        ..TaskRequest::default()
    }
}
