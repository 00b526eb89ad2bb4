//! A program whose steps publish events, and whose subscriber and publisher are there or not.

use std::process::ExitCode;

use serde_json::{Value, json};
use tasker::{StepEvent, StepEventContext, StepEventPublisher, step_handler};

#[step_handler]
async fn take_note() -> i64 {
    7
}

#[step_handler]
async fn file_note() -> &'static str {
    "filed"
}

struct Totals;

#[async_trait::async_trait]
impl StepEventPublisher for Totals {
    fn name(&self) -> &str {
        "totals"
    }

    async fn publish(&self, _: &str, _: &StepEventContext) -> anyhow::Result<Option<Value>> {
        Ok(Some(json!({ "total": 1 })))
    }
}

fn main() -> ExitCode {
    let app = tasker::app().templates("templates").template(
        "note.yaml",
        "name: note\nsteps:\n\
         - { name: take_note, publishes_events: [{ name: note.taken }] }\n\
         - { name: file_note, dependencies: [take_note], publishes_events: [{ name: note.filed }] }",
    );
    let app = if std::env::var_os("WITHOUT_TOTALS").is_some() { app } else { app.publisher(Totals) };
    if std::env::var_os("WITHOUT_MAILER").is_some() {
        return app.run();
    }
    app.on_event("mailer", "note.*", |_: StepEvent| async {
        if std::env::var_os("MAILER_FAILS").is_some() { Err(anyhow::anyhow!("the mail is down")) } else { Ok(()) }
    })
    .run()
}
