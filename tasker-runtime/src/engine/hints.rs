//! What other processes say that there is to look at.

use tokio::sync::watch;

use super::{Error, Parts, WakeUp};
use crate::store::{Hints, StoreError};

/// What other processes have said since it was asked last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// That steps are ready.
    pub(super) ready: bool,
    /// That something else has changed.
    pub(super) other: bool,
    /// That events were stored.
    pub(super) events: bool,
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    hints: Option<watch::Receiver<Hints>>,
    seen: Hints,
}

impl Heard {
    /// Listens, unless the worker is to go by looking alone.
    pub(super) fn on(parts: &Parts) -> Result<Self, Error> {
        let hints = match parts.options.wake_up {
            WakeUp::PollingOnly => None,
            WakeUp::Hybrid => parts.store.hints(),
            WakeUp::EventDrivenOnly => Some(parts.store.hints().ok_or_else(|| {
                StoreError::Open(
                    "with `wake_up = \"event_driven_only\"` other processes must be heard, and on this database, or behind a \
                     pooler, they cannot be"
                        .to_owned(),
                )
            })?),
        };
        Ok(Self { hints, seen: Hints::default() })
    }

    /// Waits for the next hint; for ever where none can come.
    pub(super) async fn changed(&mut self) {
        if let Some(hints) = &mut self.hints {
            if hints.changed().await.is_ok() {
                return;
            }
            self.hints = None;
        }
        std::future::pending::<()>().await;
    }

    /// What was said since this was asked last.
    pub(super) fn take(&mut self) -> Said {
        let Some(hints) = &mut self.hints else { return Said::default() };
        let now = *hints.borrow_and_update();
        let before = std::mem::replace(&mut self.seen, now);
        Said { ready: before.ready != now.ready, other: before.other != now.other, events: before.events != now.events }
    }
}
