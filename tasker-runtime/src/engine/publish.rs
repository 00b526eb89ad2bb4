//! What the publishers of a step make of its events, when its attempt has ended.

use std::sync::Arc;
use std::time::Duration;

use tasker_types::{EventCondition, StepEventContext, StepTemplate, TaskSequenceStep};

use super::limits;
use crate::core::{Made, Outcome, Published};
use crate::event::{EventRegistry, StepEventPublisher};

/// How long a publisher may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An event that has a publisher.
pub(super) struct Publication {
    /// Its place among the events of the step.
    place: usize,
    condition: EventCondition,
    event: String,
    publisher: Arc<dyn StepEventPublisher>,
}

/// The events of a step that have publishers. One whose publisher is not here goes out without a payload of its own.
pub(super) fn publications(step: &StepTemplate, registry: &EventRegistry) -> Vec<Publication> {
    let named = step.publishes_events.iter().enumerate();
    let found = named.filter_map(|(place, event)| {
        let publisher = registry.publisher(event.publisher.as_deref()?)?;
        Some(Publication { place, condition: event.condition, event: event.name.clone(), publisher })
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
    let (publisher, event) = (one.publisher.clone(), one.event.clone());
    // In a task of its own: where it panics, only that ends.
    let making = tokio::spawn(async move { publisher.publish(&event, &context).await });
    let reason = match tokio::time::timeout(PATIENCE, making).await {
        Ok(Ok(Ok(None))) => return Made::Nothing,
        Ok(Ok(Ok(Some(payload)))) => match limits::to_json(&payload) {
            Ok(text) => return Made::Payload(text.into()),
            Err(reason) => format!("the payload {reason}"),
        },
        Ok(Ok(Err(error))) => format!("{error:#}"),
        Ok(Err(_)) => "it panicked".to_owned(),
        Err(_) => format!("it took longer than {PATIENCE:?}"),
    };
    let (event, publisher) = (&*one.event, one.publisher.name());
    tracing::warn!(event, publisher, reason, "a publisher failed: the event goes out without a payload of its own");
    Made::Failed
}
