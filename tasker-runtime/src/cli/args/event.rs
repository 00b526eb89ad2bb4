//! What can be typed after `event`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// List the stored events of a task, and who was not given them yet
    List(EventList),
    /// List who is given events, and how many each was not given yet
    Subscribers,
    /// Forget a subscriber that no program has any more, with the events that it was not given
    Forget(OneSubscriber),
}

#[derive(Debug, Args)]
pub(crate) struct EventList {
    /// The first digits of the task's id, @last, or @last:failed
    #[arg(default_value = "@last")]
    pub(crate) task: String,
    /// Only events behind this position
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) after: Option<i64>,
    /// At most so many
    #[arg(short, long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OneSubscriber {
    /// Its name
    pub(crate) name: String,
}
