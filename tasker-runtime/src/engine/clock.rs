//! What time it is: the system's, or a virtual clock that moves with Tokio's paused time.

use std::time::{Duration, SystemTime};

use tasker_types::Timestamp;
use tokio::time::Instant;

/// Where the engine takes the time from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that began at `base` and moves with Tokio's own: in a paused runtime, as fast as nothing is left to do.
    Tokio {
        /// The moment at which it began.
        base: Timestamp,
        /// The instant at which it began.
        origin: Instant,
    },
}

impl Clock {
    /// A virtual clock that begins at `base`, now.
    #[must_use]
    pub fn starting_at(base: Timestamp) -> Self {
        Self::Tokio { base, origin: Instant::now() }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Tokio { base, origin } => *base + origin.elapsed(),
        }
    }

    /// Waits until it is this late.
    pub async fn sleep_until(&self, moment: Timestamp) {
        // Timers tick in milliseconds and may round down: look again.
        loop {
            let left = moment.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
