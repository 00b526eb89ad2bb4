//! A template as a task runs it: every option resolved, every step with its queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasker_types::{Graph, RetryPolicy, StepNumber, StepType, Template};

/// The database's number of a pinned template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub i64);

/// The database's number of a queue: a namespace and the handler that its steps need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub i64);

/// A template with retry and timeout settled: template before attribute before default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolvedTemplate {
    /// What was written.
    pub template: Template,
    /// What each step runs with, in the order of their numbers.
    pub steps: Vec<ResolvedStep>,
}

/// What a step runs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedStep {
    /// The registered name of the handler.
    pub handler: String,
    /// Retry.
    pub retry: RetryPolicy,
    /// The longest time that an attempt may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A template as a task runs it.
#[derive(Debug, PartialEq)]
pub struct Pinned {
    /// The database's number.
    pub id: TemplateId,
    /// The template.
    pub template: Template,
    /// The steps, in the order of their numbers.
    pub steps: Vec<PinnedStep>,
    graph: Graph,
    numbers: BTreeMap<Arc<str>, StepNumber>,
}

/// A step of a pinned template.
#[derive(Debug, Clone, PartialEq)]
pub struct PinnedStep {
    /// The step's name.
    pub name: Arc<str>,
    /// The registered name of the handler.
    pub handler: Arc<str>,
    /// Retry.
    pub retry: RetryPolicy,
    /// The longest time that an attempt may take.
    pub timeout: Duration,
    /// The queue that the step waits in.
    pub queue: QueueId,
    /// The step as its template describes it.
    pub definition: Arc<tasker_types::StepTemplate>,
}

impl PinnedStep {
    /// Whether its result says which of the steps after it go on.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.definition.step_type == StepType::Decision
    }

    /// Whether it joins branches: it runs when they are over and one of them ran.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.definition.step_type == StepType::DeferredConvergence
    }
}

impl ResolvedTemplate {
    /// The text that is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of the template's own content hash, in which the order of keys does not count, and of what its steps run
    /// with.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        use sha2::Digest as _;
        let steps = serde_json::to_vec(&self.steps).unwrap_or_default();
        sha2::Sha256::new_with_prefix(self.template.content_hash()).chain_update(steps).finalize().into()
    }
}

impl Pinned {
    /// The template with its queues, one for each step.
    #[must_use]
    pub fn new(id: TemplateId, resolved: ResolvedTemplate, queues: &[QueueId]) -> Self {
        let graph = resolved.template.graph();
        let steps: Vec<PinnedStep> = resolved
            .template
            .steps
            .iter()
            .zip(&resolved.steps)
            .zip(queues)
            .map(|((template, step), &queue)| PinnedStep {
                name: template.name.as_str().into(),
                handler: step.handler.as_str().into(),
                retry: step.retry,
                timeout: Duration::from_millis(step.timeout_ms),
                queue,
                definition: Arc::new(template.clone()),
            })
            .collect();
        let numbers = (0u32..).zip(&steps).map(|(number, step)| (step.name.clone(), StepNumber(number))).collect();
        Self { id, template: resolved.template, steps, graph, numbers }
    }

    /// The step of this number.
    ///
    /// # Panics
    /// The template has no such step.
    #[must_use]
    pub fn step(&self, number: StepNumber) -> &PinnedStep {
        &self.steps[number.index()]
    }

    /// Who waits for whom.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The number of the step `name`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<StepNumber> {
        self.numbers.get(name).copied()
    }

    /// How many parents a step has.
    #[must_use]
    pub fn parent_count(&self, number: StepNumber) -> u32 {
        u32::try_from(self.graph.parents(number).len()).unwrap_or(u32::MAX)
    }

    /// The numbers of all steps.
    pub fn numbers(&self) -> impl Iterator<Item = StepNumber> + use<> {
        (0..u32::try_from(self.steps.len()).unwrap_or(u32::MAX)).map(StepNumber)
    }
}
