//! What time it is: the system's, or a virtual clock that moves with Tokio's paused time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tasker_types::Timestamp;
use tokio::time::Instant;

/// Where the engine takes the time from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's clock. Where that is set back, this one goes on at the pace of the monotonic clock: what was ready
    /// stays ready.
    System,
    /// The database's own, for everything that it decides; between its answers, the system's.
    Database,
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
            Self::System | Self::Database => system_now(),
            Self::Tokio { base, origin } => *base + origin.elapsed(),
        }
    }

    /// The time that a store is told: none where it is to take its own.
    #[must_use]
    pub fn told(&self) -> Option<Timestamp> {
        (!matches!(self, Self::Database)).then(|| self.now())
    }
}

/// The latest time that was told, and when that was.
static TOLD: Mutex<Option<(Timestamp, std::time::Instant)>> = Mutex::new(None);

fn system_now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let wall = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let now = latest(*told, wall, std::time::Instant::now());
    *told = Some(now);
    now.0
}

fn latest(
    told: Option<(Timestamp, std::time::Instant)>,
    wall: Timestamp,
    at: std::time::Instant,
) -> (Timestamp, std::time::Instant) {
    let steady = told.map_or(wall, |(last, when)| last + at.saturating_duration_since(when));
    (wall.max(steady), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_goes_on() {
        let (start, wall) = (std::time::Instant::now(), Timestamp::from_micros(1_000_000_000));
        let told = latest(None, wall, start);
        let later = start + Duration::from_secs(2);
        let back = wall.before(Duration::from_secs(600));
        assert_eq!(latest(Some(told), back, later).0, wall + Duration::from_secs(2));
        let ahead = wall + Duration::from_secs(600);
        assert_eq!(latest(Some(told), ahead, later).0, ahead);
    }
}
