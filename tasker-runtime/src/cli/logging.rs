//! What the engine and the handlers log: on standard error, above what moves there.

use std::io::{IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::live;
use super::problem::Problem;
use crate::engine::HandlerThreads;

/// Starts to log: what `-v` asks for, else what the setting says, else warnings.
pub(crate) fn start(verbose: u8, setting: Option<&str>) -> Result<(), Problem> {
    let filter = match verbose {
        0 => setting.unwrap_or("warn"),
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Problem::new("E302", format!("the setting `log` is `{filter}`: {error}"))
            .with_help("write for example `info`, or `warn,my_app=debug`")
    })?;
    let colours =
        std::io::stderr().is_terminal() && anstream::stderr().current_choice() != anstream::ColorChoice::Never;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Above).with_ansi(colours).finish();
    // A program that has set a subscriber of its own keeps it.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// What a panicking handler prints goes above what moves, too.
pub(crate) fn keep_panics_apart() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Elsewhere a panic may come from within what writes, which cannot be entered twice.
        if std::thread::current().name() == Some(HandlerThreads::NAME) {
            live::aside(|| print(panic));
        } else {
            print(panic);
        }
    }));
}

struct Above;

impl<'w> MakeWriter<'w> for Above {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line(Vec::new())
    }
}

/// One record, written as a whole.
struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A log that cannot be written must not stop the work.
        let _ = live::aside(|| std::io::stderr().lock().write_all(&self.0));
    }
}
