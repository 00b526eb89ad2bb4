//! How often a step is tried, and how long it waits in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Jitter takes or adds up to this many hundredths of a delay.
const JITTER_PERCENT: u64 = 15;

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

impl Backoff {
    /// All ways in which a delay may grow.
    pub const ALL: &[Self] = &[Self::None, Self::Linear, Self::Exponential, Self::Fibonacci];

    /// The name, as templates and attributes write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
            Self::Fibonacci => "fibonacci",
        }
    }

    /// The backoff of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|backoff| backoff.as_str() == name)
    }

    /// By what the base is multiplied after the `failures`-th failure; saturates.
    const fn factor(self, failures: u32) -> u64 {
        match (self, failures) {
            (Self::None, _) | (_, 0) => 0,
            (Self::Linear, _) => failures as u64,
            (Self::Exponential, _) => match 1_u64.checked_shl(failures - 1) {
                Some(factor) => factor,
                None => u64::MAX,
            },
            (Self::Fibonacci, _) => fibonacci(failures),
        }
    }
}

/// How often a step is tried, and how long it waits in between.
///
/// ```
/// use std::time::Duration;
/// use tasker_types::{Backoff, RetryPolicy};
///
/// let policy = RetryPolicy { backoff: Backoff::Fibonacci, backoff_base_ms: 100, max_backoff_ms: 450, ..RetryPolicy::default() };
/// let (shortest, longest) = policy.delay_range(4); // 3 * 100 ms, 15 % either way
/// assert_eq!((shortest, longest), (Duration::from_millis(255), Duration::from_millis(345)));
/// assert_eq!(policy.delay_range(9).1, Duration::from_millis(450)); // never above the cap
///
/// let delay = policy.delay(4, 7);
/// assert!(shortest <= delay && delay <= longest);
/// assert_eq!(policy.delay(4, 7), delay); // the same seed, the same delay
/// ```
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
        Self {
            retryable: true,
            max_attempts: 3,
            max_losses: 3,
            backoff: Backoff::Exponential,
            backoff_base_ms: 1_000,
            max_backoff_ms: 60_000,
        }
    }
}

impl RetryPolicy {
    /// The delay after the `failures`-th failure (counted from 1), with up to 15 % of jitter either
    /// way, drawn from `seed`; never above `max_backoff_ms`. Before any failure there is none.
    #[must_use]
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        let (shortest, longest) = self.range_micros(failures);
        Duration::from_micros(shortest + below(longest - shortest + 1, seed))
    }

    /// The shortest and the longest delay that jitter may make of the `failures`-th failure.
    #[must_use]
    pub fn delay_range(&self, failures: u32) -> (Duration, Duration) {
        let (shortest, longest) = self.range_micros(failures);
        (Duration::from_micros(shortest), Duration::from_micros(longest))
    }

    /// The same in microseconds; both are well below `u64::MAX`, so sums of the two cannot overflow.
    fn range_micros(&self, failures: u32) -> (u64, u64) {
        let cap = self.max_backoff_ms.min(u64::MAX / 1_000_000);
        let plain = self.backoff_base_ms.saturating_mul(self.backoff.factor(failures));
        let plain = plain.min(cap) * 1_000;
        let jitter = plain / 100 * JITTER_PERCENT;
        (plain - jitter, (plain + jitter).min(cap * 1_000))
    }
}

/// What a template or an attribute says of retry; what it leaves out is `None`.
///
/// ```
/// use tasker_types::{RetryPolicy, RetrySpec};
///
/// let template = RetrySpec { max_attempts: Some(5), ..RetrySpec::default() };
/// let attribute = RetrySpec { max_attempts: Some(2), backoff_base_ms: Some(100), ..RetrySpec::default() };
/// let policy = template.or(attribute).resolve();
/// assert_eq!(policy, RetryPolicy { max_attempts: 5, backoff_base_ms: 100, ..RetryPolicy::default() });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySpec {
    /// Whether the step may be tried again at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// How many attempts may fail before the step does; the first one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How many attempts may be lost with their worker before the step fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_losses: Option<u32>,
    /// How the delay grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The first delay, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_base_ms: Option<u64>,
    /// The longest delay, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backoff_ms: Option<u64>,
}

impl RetrySpec {
    /// Nothing is said.
    pub const NONE: Self = Self {
        retryable: None,
        max_attempts: None,
        max_losses: None,
        backoff: None,
        backoff_base_ms: None,
        max_backoff_ms: None,
    };

    /// Field by field what this says, else what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            retryable: self.retryable.or(other.retryable),
            max_attempts: self.max_attempts.or(other.max_attempts),
            max_losses: self.max_losses.or(other.max_losses),
            backoff: self.backoff.or(other.backoff),
            backoff_base_ms: self.backoff_base_ms.or(other.backoff_base_ms),
            max_backoff_ms: self.max_backoff_ms.or(other.max_backoff_ms),
        }
    }

    /// The policy: what this says, else the defaults.
    #[must_use]
    pub fn resolve(self) -> RetryPolicy {
        let default = RetryPolicy::default();
        RetryPolicy {
            retryable: self.retryable.unwrap_or(default.retryable),
            max_attempts: self.max_attempts.unwrap_or(default.max_attempts),
            max_losses: self.max_losses.unwrap_or(default.max_losses),
            backoff: self.backoff.unwrap_or(default.backoff),
            backoff_base_ms: self.backoff_base_ms.unwrap_or(default.backoff_base_ms),
            max_backoff_ms: self.max_backoff_ms.unwrap_or(default.max_backoff_ms),
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The `n`-th Fibonacci number (1, 1, 2, 3, 5, ..; 0 for `n` = 0); saturates.
const fn fibonacci(n: u32) -> u64 {
    let (mut current, mut next) = (0_u64, 1_u64);
    let mut at = 0;
    // fib(94) is above u64::MAX, so what comes after it is saturated anyway.
    while at < n && at < 94 {
        (current, next) = (next, current.saturating_add(next));
        at += 1;
    }
    current
}

/// A number below `bound`, evenly drawn from `seed` by the multiply-and-shift of Lemire, "Fast
/// Random Integer Generation in an Interval" (2019), without its rejection step: the bias is below
/// `bound / 2^64`.
fn below(bound: u64, seed: u64) -> u64 {
    let high = (u128::from(splitmix64(seed)) * u128::from(bound)) >> 64;
    u64::try_from(high).unwrap_or(0)
}

/// One step of SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"
/// (2014), with the constants of Vigna's public-domain `splitmix64.c`. It makes neighbouring seeds
/// (attempt numbers, say) unrelated.
const fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policies() -> impl Strategy<Value = RetryPolicy> {
        let backoffs = proptest::sample::select(Backoff::ALL);
        (backoffs, any::<u64>(), any::<u64>(), 0_u32..40).prop_map(|(backoff, base, max, shift)| RetryPolicy {
            backoff,
            backoff_base_ms: base >> shift,
            max_backoff_ms: max >> shift,
            ..RetryPolicy::default()
        })
    }

    /// The delay without jitter is the middle of the range wherever the cap does not cut it.
    fn plain_ms(backoff: Backoff, failures: u32) -> u128 {
        let policy = RetryPolicy { backoff, backoff_base_ms: 100, max_backoff_ms: u64::MAX, ..RetryPolicy::default() };
        let (shortest, longest) = policy.delay_range(failures);
        (shortest + longest).as_millis() / 2
    }

    #[test]
    fn each_backoff_grows_as_its_name_says() {
        let first_five = |backoff| (1..=5).map(|n| plain_ms(backoff, n)).collect::<Vec<_>>();
        assert_eq!(first_five(Backoff::None), [0, 0, 0, 0, 0]);
        assert_eq!(first_five(Backoff::Linear), [100, 200, 300, 400, 500]);
        assert_eq!(first_five(Backoff::Exponential), [100, 200, 400, 800, 1600]);
        assert_eq!(first_five(Backoff::Fibonacci), [100, 100, 200, 300, 500]);
    }

    #[test]
    fn fibonacci_numbers_are_exact_until_they_saturate() {
        assert_eq!((0..=10).map(fibonacci).collect::<Vec<_>>(), [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]);
        assert_eq!(fibonacci(93), 12_200_160_415_121_876_738);
        assert_eq!(fibonacci(94), u64::MAX);
        assert_eq!(fibonacci(u32::MAX), u64::MAX);
    }

    #[test]
    fn splitmix64_gives_the_numbers_of_its_reference() {
        // The first outputs of splitmix64.c from the state 1234567.
        assert_eq!(splitmix64(1_234_567), 6_457_827_717_110_365_317);
        let second = 1_234_567_u64.wrapping_add(0x9e37_79b9_7f4a_7c15);
        assert_eq!(splitmix64(second), 3_203_168_211_198_807_973);
    }

    #[test]
    fn there_is_no_delay_before_a_failure() {
        for &backoff in Backoff::ALL {
            assert_eq!(plain_ms(backoff, 0), 0);
        }
    }

    #[test]
    fn names_lead_back_to_their_backoff() {
        for &backoff in Backoff::ALL {
            assert_eq!(Backoff::from_name(backoff.as_str()), Some(backoff));
            let json = serde_json::to_value(backoff).unwrap();
            assert_eq!(json, backoff.as_str());
        }
    }

    #[test]
    fn a_spec_is_stored_as_what_was_written() {
        let spec = RetrySpec { max_attempts: Some(2), ..RetrySpec::default() };
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(json, r#"{"max_attempts":2}"#);
        assert_eq!(serde_json::from_str::<RetrySpec>(&json).unwrap(), spec);
        assert!(serde_json::from_str::<RetrySpec>(r#"{"limit":2}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_delay_lies_in_its_range_and_below_the_cap(policy in policies(), failures: u32, seed: u64) {
            let (shortest, longest) = policy.delay_range(failures);
            let delay = policy.delay(failures, seed);
            prop_assert!(shortest <= delay && delay <= longest);
            prop_assert!(longest <= Duration::from_millis(policy.max_backoff_ms));
        }

        #[test]
        fn delays_never_shrink_from_failure_to_failure(policy in policies(), failures in 0_u32..200) {
            let (shortest, longest) = policy.delay_range(failures);
            let (next_shortest, next_longest) = policy.delay_range(failures + 1);
            prop_assert!(shortest <= next_shortest && longest <= next_longest);
        }

        #[test]
        fn jitter_stays_within_fifteen_percent(base in 1_u64..1_000_000, failures in 1_u32..20, seed: u64) {
            let policy = RetryPolicy { backoff: Backoff::Linear, backoff_base_ms: base, max_backoff_ms: u64::MAX, ..RetryPolicy::default() };
            let plain = Duration::from_millis(base * u64::from(failures));
            let delay = policy.delay(failures, seed);
            prop_assert!(delay >= plain * 85 / 100 && delay <= plain * 115 / 100);
        }

        #[test]
        fn a_spec_prefers_itself_field_by_field(own: Option<u32>, other: Option<u32>) {
            let spec = |n| RetrySpec { max_attempts: n, ..RetrySpec::default() };
            let policy = spec(own).or(spec(other)).resolve();
            prop_assert_eq!(policy.max_attempts, own.or(other).unwrap_or(3));
        }
    }
}
