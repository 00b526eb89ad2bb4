//! New identities: of this machine, or counted, so that a run can be repeated exactly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Where new identities of tasks, workers and actions come from.
#[derive(Debug, Clone, Default)]
pub enum Ids {
    /// UUIDv7: by the system's clock and its random numbers.
    #[default]
    Random,
    /// UUIDv7 that count: who shares the counter never makes the same one.
    Counted(Arc<AtomicU64>),
}

impl Ids {
    /// From 1 on.
    #[must_use]
    pub fn counted() -> Self {
        Self::Counted(Arc::new(AtomicU64::new(1)))
    }

    pub(super) fn next(&self) -> Uuid {
        match self {
            Self::Random => Uuid::now_v7(),
            Self::Counted(next) => {
                let millis = next.fetch_add(1, Ordering::Relaxed);
                uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
            }
        }
    }
}
