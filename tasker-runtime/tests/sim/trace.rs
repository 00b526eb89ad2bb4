//! The history of a run: a hash of every event, and the events themselves where somebody wants to read them.

use std::fmt::{self, Write as _};
use std::time::Duration;

pub(crate) struct Trace {
    hash: u64,
    lines: Option<String>,
}

impl Trace {
    pub(crate) fn new(readable: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: readable.then(String::new) }
    }

    pub(crate) fn say(&mut self, at: Duration, who: impl fmt::Display, event: fmt::Arguments<'_>) {
        // Writing into a hash or a `String` cannot fail.
        let _ = writeln!(self, "{:>9.3} s  {who:<5} {event}", at.as_secs_f64());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_text(self) -> String {
        self.lines.unwrap_or_default()
    }
}

/// FNV-1a.
impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push_str(text);
        }
        Ok(())
    }
}
