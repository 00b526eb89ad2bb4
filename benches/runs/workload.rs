//! Templates, handlers that do nothing, and who keeps them busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tasker_runtime::engine::Engine;
use tasker_runtime::handler::RustStepHandlerRegistry;
use tasker_runtime::testing::MockHandler;
use tasker_types::{TaskRequest, TaskState};

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
