//! What is known of a subscriber or a publisher that is linked into this binary.

use std::sync::Arc;

use super::StepEventPublisher;
use super::subscriber::Give;
use crate::handler::StateNeed;

/// A subscriber that is linked into this binary, as `#[event_subscriber]` describes it.
#[derive(Debug)]
pub struct SubscriberEntry {
    /// Its name.
    pub name: &'static str,
    /// Which events it takes.
    pub patterns: &'static [&'static str],
    /// Whether a new one is given what was stored before it came, too.
    pub from_oldest: bool,
    /// Gives it an event.
    pub give: Give,
    /// What it needs from the application's state.
    pub state: &'static [StateNeed],
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The module's path.
    pub module: &'static str,
}

inventory::collect!(SubscriberEntry);

/// A publisher that is linked into this binary by `register_publisher!`.
#[derive(Debug)]
pub struct PublisherEntry {
    /// Makes it.
    pub make: fn() -> Arc<dyn StepEventPublisher>,
    /// The source file.
    pub file: &'static str,
    /// The line in it.
    pub line: u32,
    /// The module's path.
    pub module: &'static str,
}

inventory::collect!(PublisherEntry);

/// Where something is written: `src/orders.rs:12 (shop::orders)`.
pub(super) fn place(file: &str, line: u32, module: &str) -> String {
    format!("{file}:{line} ({module})")
}
