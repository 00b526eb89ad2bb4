//! How long a step waits where a long backlog of another namespace does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::engine::{Engine, Options};
use tasker_runtime::testing::MockHandler;
use tasker_types::TaskRequest;
use tokio::sync::mpsc;

use crate::backlog::{Backlog, Of, counting};
use crate::database::{Kind, Running};
use crate::load::IN_FLIGHT;
use crate::machine::{median, percentile};
use crate::report::{Row, row};
use crate::workload::request;

/// Steps that are submitted one after the other on the idle system.
const IDLE: usize = 300;
/// Between two of them while the others wait, so that they are spread over the whole backlog.
const PAUSE: Duration = Duration::from_millis(2);

/// A step of namespace `b` that is submitted while the steps of namespace `a` wait, and while none does.
pub(crate) async fn beside_a_backlog(kind: Kind, waiting: usize) -> anyhow::Result<Vec<Row>> {
    let mut backlog =
        Backlog::new(kind, "name: one\nnamespace_name: a\nsteps: [{ name: a, handler: nothing }]\n").await?;
    let ran = Arc::new(AtomicUsize::new(0));
    let mut registry = counting("nothing", &ran);
    let (starts, mut started) = mpsc::channel(16);
    registry.register("other", move || {
        let starts = starts.clone();
        let call = move |_: &_| {
            // Whoever submitted it waits for this.
            let _ = starts.try_send(Instant::now());
            Ok(json!(1))
        };
        Box::new(MockHandler::new("other".into(), Arc::new(call)))
    });
    let options = Options { slots: IN_FLIGHT, ..Options::default() };
    let running = Running::start(backlog.database.open().await?, &[], registry, options).await?;
    running.add("name: other\nnamespace_name: b\nsteps: [{ name: b, handler: other }]\n").await?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(start_of_one(&running.engine, &mut started).await?);
    }
    backlog.add(Of::Ready, waiting).await?;
    let mut busy = Vec::new();
    while ran.load(Ordering::Relaxed) < waiting * 9 / 10 {
        // Before the worker has found the backlog, nothing is different.
        let before = ran.load(Ordering::Relaxed);
        let took = start_of_one(&running.engine, &mut started).await?;
        if before > 0 {
            busy.push(took);
        }
        tokio::time::sleep(PAUSE).await;
    }
    running.stop().await?;
    backlog.database.remove().await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (alone, p50, p99) = (ms(percentile(&mut idle, 99)), ms(median(&mut busy)), ms(percentile(&mut busy, 99)));
    Ok(vec![
        row(12, "start of a step on an idle system: p99", alone, "ms", ""),
        row(12, format!("the same beside {waiting} of another namespace: p50"), p50, "ms", ""),
        row(12, format!("the same beside {waiting} of another namespace: p99"), p99, "ms", ""),
        row(12, "median beside the backlog, in p99 of the idle system", p50 / alone, "times", "10"),
        row(12, "p99 beside the backlog, in p99 of the idle system", p99 / alone, "times", "10"),
    ])
}

/// From the submit of a step to its start.
async fn start_of_one(engine: &Engine, started: &mut mpsc::Receiver<Instant>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    engine.submit(TaskRequest { namespace: "b".to_owned(), ..request("other") }).await?;
    let at = started.recv().await.ok_or_else(|| anyhow::anyhow!("the worker is gone"))?;
    Ok(at.saturating_duration_since(began))
}
