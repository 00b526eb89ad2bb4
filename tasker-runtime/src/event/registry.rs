//! The subscribers and publishers of a program, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tasker_types::Template;

use super::entry::{PublisherEntry, SubscriberEntry, place};
use super::{StepEventPublisher, Subscriber};
use crate::handler::AppState;

/// A publisher that a template names, and that the program does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingPublisher<'t> {
    /// The step, counted from 0.
    pub step: usize,
    /// The step's name.
    pub step_name: &'t str,
    /// Which of its events it is, counted from 0.
    pub event: usize,
    /// The publisher's name.
    pub name: &'t str,
}

impl fmt::Display for MissingPublisher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step_name, name, .. } = self;
        write!(f, "step `{step_name}` names publisher `{name}`, which this program does not have")
    }
}

/// The subscribers and publishers of a program, by name.
#[derive(Clone, Default)]
pub struct EventRegistry {
    subscribers: BTreeMap<Arc<str>, Subscriber>,
    publishers: BTreeMap<String, (Arc<dyn StepEventPublisher>, String)>,
    problems: Vec<String>,
    needs: Vec<(Arc<str>, &'static [crate::handler::StateNeed])>,
}

impl EventRegistry {
    /// What is linked into the binary.
    #[must_use]
    pub fn linked() -> Self {
        let mut registry = Self::default();
        let mut subscribers: Vec<&SubscriberEntry> = inventory::iter::<SubscriberEntry>.into_iter().collect();
        subscribers.sort_by_key(|entry| (entry.name, entry.file, entry.line));
        for entry in subscribers {
            registry.needs.push((entry.name.into(), entry.state));
            registry.add_subscriber(Subscriber::linked(entry));
        }
        let mut publishers: Vec<&PublisherEntry> = inventory::iter::<PublisherEntry>.into_iter().collect();
        publishers.sort_by_key(|entry| (entry.file, entry.line));
        for entry in publishers {
            registry.add_publisher((entry.make)(), place(entry.file, entry.line, entry.module));
        }
        registry
    }

    /// Adds a subscriber. Two of one name are one too many: a start refuses them.
    pub fn add_subscriber(&mut self, subscriber: Subscriber) {
        if let Some(first) = self.subscribers.get(&subscriber.name) {
            let (name, first, second) = (&subscriber.name, &first.place, &subscriber.place);
            self.problems.push(format!("event subscriber `{name}` is registered twice: {first} and {second}"));
            return;
        }
        self.subscribers.insert(subscriber.name.clone(), subscriber);
    }

    /// Adds a publisher that is written here.
    pub fn add_publisher(&mut self, publisher: Arc<dyn StepEventPublisher>, written_at: String) {
        let name = publisher.name().to_owned();
        if let Some((_, first)) = self.publishers.get(&name) {
            self.problems.push(format!("event publisher `{name}` is registered twice: {first} and {written_at}"));
            return;
        }
        self.publishers.insert(name, (publisher, written_at));
    }

    /// The subscribers, by name.
    pub fn subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        self.subscribers.values()
    }

    /// The publisher of this name.
    #[must_use]
    pub fn publisher(&self, name: &str) -> Option<Arc<dyn StepEventPublisher>> {
        self.publishers.get(name).map(|(publisher, _)| publisher.clone())
    }

    /// The names of all publishers.
    pub fn publisher_names(&self) -> impl Iterator<Item = &str> {
        self.publishers.keys().map(String::as_str)
    }

    /// The publishers that a template names and that are not here.
    pub fn missing<'t>(&self, template: &'t Template) -> impl Iterator<Item = MissingPublisher<'t>> {
        template.steps.iter().enumerate().flat_map(move |(step, of)| {
            let events = of.publishes_events.iter().enumerate();
            let named = events.filter_map(|(event, spec)| Some((event, spec.publisher.as_deref()?)));
            let absent = named.filter(|(_, name)| !self.publishers.contains_key(*name));
            absent.map(move |(event, name)| MissingPublisher { step, step_name: &of.name, event, name })
        })
    }

    /// What keeps a program from starting with these and this state.
    #[must_use]
    pub fn problems(&self, state: &AppState) -> Vec<String> {
        let missing = self.needs.iter().flat_map(|(name, needs)| {
            let absent = needs.iter().filter(|need| !(need.present)(state));
            absent.map(move |need| format!("event subscriber `{name}` needs state of type `{}`", (need.type_name)()))
        });
        self.problems.iter().cloned().chain(missing).collect()
    }
}

impl fmt::Debug for EventRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subscribers, publishers) = (self.subscribers.keys(), self.publishers.keys());
        f.debug_struct("EventRegistry")
            .field("subscribers", &subscribers.collect::<Vec<_>>())
            .field("publishers", &publishers.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
