//! What the publishers of a step make of its events, when its attempt has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tasker_types::{EventCondition, StepEventContext, StepTemplate, TaskSequenceStep};
use tokio::time::Instant;

use super::limits;
use crate::core::{Made, Outcome, Published};
use crate::event::{EventRegistry, StepEventPublisher};

/// How long a publisher may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// When an attempt is given up whose time limit is over and that has not ended.
#[derive(Debug)]
pub(super) struct Overrun {
    pub(super) at: Instant,
    /// The time limit of its handler.
    pub(super) limit: Duration,
    /// How long its publishers may take after that.
    publishers: Duration,
    handler_is_over: Option<HandlerIsOver>,
}

/// Set when the handler of an attempt has come to its end, and its publishers begin.
pub(super) type HandlerIsOver = Arc<AtomicBool>;

impl Overrun {
    pub(super) fn new(at: Instant, limit: Duration, publications: &[Publication]) -> Self {
        let publishers = PATIENCE * u32::try_from(publications.len()).unwrap_or(u32::MAX);
        Self { at, limit, publishers, handler_is_over: (!publications.is_empty()).then(Arc::default) }
    }

    pub(super) fn handler_is_over(&self) -> Option<HandlerIsOver> {
        self.handler_is_over.clone()
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        let publishes = self.handler_is_over.as_ref().is_some_and(|over| over.load(Ordering::Relaxed));
        self.at + if publishes { self.publishers } else { Duration::ZERO } <= now
    }
}

/// An event that has a publisher.
pub(super) struct Publication {
    /// Its place among the events of the step.
    place: usize,
    condition: EventCondition,
    event: String,
    /// What makes it, and under which name the template calls for that.
    publisher: Option<Arc<dyn StepEventPublisher>>,
    name: String,
}

/// The events of a step that have publishers. One that is not here, as another program stored the template, counts as one that fails.
pub(super) fn publications(step: &StepTemplate, registry: &EventRegistry) -> Vec<Publication> {
    let named = step.publishes_events.iter().enumerate();
    let found = named.filter_map(|(place, event)| {
        let name = event.publisher.clone()?;
        let publisher = registry.publisher(&name);
        Some(Publication { place, condition: event.condition, event: event.name.clone(), publisher, name })
    });
    found.collect()
}

/// What the publishers make of this outcome.
pub(super) async fn publish(publications: &[Publication], step: &TaskSequenceStep, outcome: &Outcome) -> Published {
    let (result, detail) = match outcome {
        Outcome::Completed { result, detail }
        | Outcome::Decided { result, detail, .. }
        | Outcome::Cut { result, detail, .. } => (Some(result), detail.as_ref()),
        Outcome::Failed(failure) => (None, Some(&failure.detail)),
        Outcome::Cancelled => return Published::default(),
    };
    let fields = |text: &Arc<str>| serde_json::from_str(text).ok().map(StepEventContext::fields);
    let context = Arc::new(StepEventContext {
        task_uuid: step.task.task_uuid.to_string(),
        step_uuid: step.workflow_step.workflow_step_uuid.to_string(),
        step_name: step.workflow_step.name.clone(),
        namespace: step.task.namespace.clone(),
        correlation_id: step.task.correlation_id.clone(),
        result: result.and_then(fields),
        metadata: detail.and_then(fields),
    });
    let completed = result.is_some();
    let mut made = Vec::new();
    for one in publications {
        let asked = match one.condition {
            EventCondition::Always => true,
            EventCondition::Success => completed,
            _ => !completed,
        };
        if asked {
            made.push((one.place, make(one, context.clone()).await));
        }
    }
    Published::of(made)
}

async fn make(one: &Publication, context: Arc<StepEventContext>) -> Made {
    let reason = match &one.publisher {
        None => "it is not in this program".to_owned(),
        Some(publisher) => match ask(publisher.clone(), one.event.clone(), context).await {
            Ok(None) => return Made::Nothing,
            Ok(Some(payload)) => match limits::to_json(&payload) {
                Ok(text) => return Made::Payload(text.into()),
                Err(reason) => format!("the payload {reason}"),
            },
            Err(reason) => reason,
        },
    };
    let (event, publisher) = (&*one.event, &*one.name);
    tracing::warn!(event, publisher, reason, "a publisher failed: the event goes out without a payload of its own");
    Made::Failed
}

/// What the publisher makes of the event, or why it did not.
async fn ask(
    publisher: Arc<dyn StepEventPublisher>,
    event: String,
    context: Arc<StepEventContext>,
) -> Result<Option<Value>, String> {
    // In a task of its own: where it panics, only that ends.
    let mut making = tokio::spawn(async move { publisher.publish(&event, &context).await });
    match tokio::time::timeout(PATIENCE, &mut making).await {
        Ok(Ok(Ok(made))) => Ok(made),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Err(_)) => Err("it panicked".to_owned()),
        Err(_) => {
            making.abort();
            Err(format!("it took longer than {PATIENCE:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::create_test_step_data;
    use serde_json::json;

    #[tokio::test]
    async fn a_publisher_that_another_program_has_counts_as_one_that_fails() {
        let mut step = StepTemplate::named("pay");
        step.publishes_events = serde_json::from_value(json!([{ "name": "paid", "publisher": "receipt" }])).unwrap();
        let publications = publications(&step, &EventRegistry::default());
        let outcome = Outcome::Completed { result: "1".into(), detail: None };
        let published = publish(&publications, &create_test_step_data(json!({})), &outcome).await;
        assert_eq!(published.at(0), Some(&Made::Failed));
    }
}
