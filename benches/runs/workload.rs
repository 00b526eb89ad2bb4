//! Templates, handlers that do nothing, and who keeps them busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::engine::Engine;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::MockHandler;
use tasker_types::{BatchAggregationScenario, BatchProcessingOutcome, CursorConfig, TaskRequest, TaskState};

/// A handler that does nothing and returns 64 bytes.
pub(crate) fn nothing() -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    let value = json!("y".repeat(62));
    registry.register("nothing", move || {
        let value = value.clone();
        Box::new(MockHandler::new("nothing".into(), Arc::new(move |_| Ok(value.clone()))))
    });
    registry
}

/// Steps that follow one another.
pub(crate) fn chain(length: usize) -> String {
    let mut yaml = format!("name: chain_{length}\nsteps:\n");
    for number in 0..length {
        let after = if number == 0 { String::new() } else { format!(", dependencies: [step_{}]", number - 1) };
        yaml.push_str(&format!("  - {{ name: step_{number}, handler: nothing{after} }}\n"));
    }
    yaml
}

/// One step, so many that wait for it, and one that waits for all of those.
pub(crate) fn fan_out(width: usize) -> String {
    let leaves: Vec<String> = (0..width).map(|number| format!("leaf_{number}")).collect();
    let steps: String =
        leaves.iter().map(|leaf| format!("  - {{ name: {leaf}, handler: nothing, dependencies: [root] }}\n")).collect();
    format!(
        "name: fan_{width}\nsteps:\n  - {{ name: root, handler: nothing }}\n{steps}  - {{ name: join, handler: nothing, dependencies: [{}] }}\n",
        leaves.join(", ")
    )
}

/// A step that cuts its work into so many pieces, a worker for each, and one that gathers what they made.
pub(crate) fn batch(width: usize) -> String {
    format!(
        "name: batch_{width}\nsteps:\n  - {{ name: cut, type: batchable, handler: cut_{width}, batch_config: {{ parallelism: {width} }} }}\n  \
         - {{ name: piece, type: batch_worker, handler: nothing, dependencies: [cut] }}\n  \
         - {{ name: gather, handler: gather, dependencies: [piece] }}\n"
    )
}

/// `nothing`, and the handlers of such a batch.
pub(crate) fn cutting(width: usize) -> RustStepHandlerRegistry {
    let mut registry = nothing();
    let cursors: Vec<CursorConfig> = (0..width)
        .map(|number| CursorConfig {
            batch_id: format!("{number:05}"),
            start_cursor: json!(number),
            end_cursor: json!(number + 1),
            batch_size: 1,
        })
        .collect();
    let count = u32::try_from(width).unwrap_or(u32::MAX);
    let outcome = BatchProcessingOutcome::create_batches("piece".to_owned(), count, cursors, width as u64).to_value();
    registry.register(&format!("cut_{width}"), move || {
        let value = json!({ "batch_processing_outcome": outcome });
        Box::new(MockHandler::new("cut".into(), Arc::new(move |_| Ok(value.clone()))))
    });
    registry.register("gather", move || {
        Box::new(MockHandler::new(
            "gather".into(),
            Arc::new(|step| {
                let found = BatchAggregationScenario::detect(&step.dependency_results, "cut", "piece_")?;
                match found {
                    BatchAggregationScenario::WithBatches { batch_results, .. } => Ok(json!(batch_results.len())),
                    BatchAggregationScenario::NoBatches { .. } => anyhow::bail!("there are no workers"),
                }
            }),
        ))
    });
    registry
}

/// A context of 256 bytes.
pub(crate) fn request(name: &str) -> TaskRequest {
    TaskRequest {
        name: name.to_owned(),
        context: json!({ "payload": "x".repeat(240) }),
        initiator: "bench".to_owned(),
        ..TaskRequest::default()
    }
}

/// Keeps `in_flight` tasks going until `tasks` have ended.
pub(crate) async fn keep_in_flight(
    engine: &Engine,
    name: &str,
    tasks: usize,
    in_flight: usize,
) -> anyhow::Result<Duration> {
    let left = Arc::new(AtomicUsize::new(tasks));
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..in_flight {
        let (engine, left, name) = (engine.clone(), left.clone(), name.to_owned());
        clients.push(tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let state = engine.run(request(&name)).await?.1;
                anyhow::ensure!(state == TaskState::Completed, "a task is {state}");
            }
            Ok(())
        }));
    }
    for client in clients {
        client.await??;
    }
    Ok(began.elapsed())
}
