//! A program whose steps publish events, and whose subscriber is there or not, and fails or not.

use std::process::ExitCode;

use tasker::{StepEvent, step_handler};

#[step_handler]
async fn take_note() -> i64 {
    7
}

#[step_handler]
async fn file_note() -> &'static str {
    "filed"
}

fn main() -> ExitCode {
    let app = tasker::app().template(
        "note.yaml",
        "name: note\nsteps:\n\
         - { name: take_note, publishes_events: [{ name: note.taken }] }\n\
         - { name: file_note, dependencies: [take_note], publishes_events: [{ name: note.filed }] }",
    );
    if std::env::var_os("WITHOUT_MAILER").is_some() {
        return app.run();
    }
    app.on_event("mailer", "note.*", |_: StepEvent| async {
        if std::env::var_os("MAILER_FAILS").is_some() { Err(anyhow::anyhow!("the mail is down")) } else { Ok(()) }
    })
    .run()
}
