//! How long a minute of a template lasts. Tests in which all is over within seconds make it shorter; in a program for users it is
//! a minute.

use std::time::Duration;

/// So many minutes of a template.
pub(crate) fn minutes(count: u32) -> Duration {
    minute().saturating_mul(count)
}

#[cfg(any(test, feature = "testing"))]
mod set {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static MINUTE: Cell<Duration> = const { Cell::new(Duration::from_secs(60)) };
    }

    /// Has a minute last this long in all that runs on this thread from now on.
    pub fn set_minute(lasts: Duration) {
        MINUTE.set(lasts);
    }

    /// How long a minute lasts on this thread.
    #[must_use]
    pub fn minute() -> Duration {
        MINUTE.get()
    }
}

#[cfg(any(test, feature = "testing"))]
pub use set::{minute, set_minute};

#[cfg(not(any(test, feature = "testing")))]
pub(crate) const fn minute() -> Duration {
    Duration::from_secs(60)
}
