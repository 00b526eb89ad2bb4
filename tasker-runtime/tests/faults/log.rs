//! What a worker process says: warnings go to a file beside the journal, and refused outcomes into the journal itself.

use std::fmt::{Debug, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::journal::Pen;

pub(crate) struct Log {
    file: File,
    pen: Pen,
}

impl Log {
    /// From now on everything that this process says is written down.
    pub(crate) fn start(place: &Path) {
        let file = OpenOptions::new().create(true).append(true).open(place.join("log")).unwrap();
        tracing::subscriber::set_global_default(Self { file, pen: Pen::of(place) }).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        if words.message == "a late outcome was dropped" {
            // "step 3 of task UUID: attempt 2 no longer holds the claim"
            let said: Vec<&str> = words.refusal.split([' ', ':']).filter(|word| !word.is_empty()).collect();
            if let ["step", number, "of", "task", task, "attempt", attempt, ..] = said[..] {
                self.pen.stale(task, number, attempt);
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!("{:.3} {} {}{}\n", now.as_secs_f64(), std::process::id(), words.message, words.fields);
        // Where the disk is full, there is nothing to say it with.
        let _ = (&self.file).write_all(line.as_bytes());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Words {
    message: String,
    refusal: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "refusal" => self.refusal = format!("{value:?}"),
            name => drop(write!(self.fields, " {name}={value:?}")),
        }
    }
}
