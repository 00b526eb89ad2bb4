//! A template as a task runs it: every option resolved, every step with its queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasker_types::{BatchSpec, FailureStrategy, Graph, RetryPolicy, StepNumber, StepType, Template};

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
    /// The steps that workers of batches are made after.
    batch_workers: Vec<StepNumber>,
    publishes: bool,
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

/// The steps that one name stands for: one step, or all workers that are made after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The first of their numbers.
    pub first: StepNumber,
    /// How far their numbers are apart; 0 where it is one step.
    pub stride: u32,
}

impl Named {
    /// Whether the step of this number is one of them.
    #[must_use]
    pub fn has(self, number: StepNumber) -> bool {
        match (number.0.checked_sub(self.first.0), self.stride) {
            (Some(beyond), 0) => beyond == 0,
            (Some(beyond), stride) => beyond.is_multiple_of(stride),
            (None, _) => false,
        }
    }
}

impl PinnedStep {
    /// Whether its result says which of the steps after it go on.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.definition.step_type == StepType::Decision
    }

    /// Whether its result cuts the work into batches.
    #[must_use]
    pub fn makes_batches(&self) -> bool {
        self.definition.step_type == StepType::Batchable
    }

    /// Whether workers of batches are made after it.
    #[must_use]
    pub fn is_batch_worker(&self) -> bool {
        self.definition.step_type == StepType::BatchWorker
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
        let is_worker = |(_, step): &(u32, &PinnedStep)| step.definition.step_type == StepType::BatchWorker;
        let batch_workers = (0u32..).zip(&steps).filter(is_worker).map(|(number, _)| StepNumber(number)).collect();
        let publishes = steps.iter().any(|step| !step.definition.publishes_events.is_empty());
        Self { id, template: resolved.template, steps, graph, numbers, batch_workers, publishes }
    }

    /// The step of this number; of a worker of a batch, the one that it was made after.
    ///
    /// # Panics
    /// The template has no such step.
    #[must_use]
    pub fn step(&self, number: StepNumber) -> &PinnedStep {
        &self.steps[self.template_step(number).index()]
    }

    /// Who waits for whom.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The number of the step `name`; workers of batches are named after their step, as in `process_batch_001`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<StepNumber> {
        self.numbers.get(name).copied().or_else(|| {
            let (of, number) = name.rsplit_once('_')?;
            let index = number.parse::<u32>().ok()?.checked_sub(1)?;
            let of = self.numbers.get(of).copied().filter(|of| self.batch_workers.contains(of))?;
            self.worker(of, index).filter(|&worker| *self.name(worker) == *name)
        })
    }

    /// The steps that the name stands for. The step that workers are made after is none itself: its name is that of them all.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Named> {
        let number = self.number(name)?;
        match self.worker(number, 0) {
            Some(first) => Some(Named { first, stride: u32::try_from(self.batch_workers.len()).ok()? }),
            None => Some(Named { first: number, stride: 0 }),
        }
    }

    /// How many parents a step has.
    #[must_use]
    pub fn parent_count(&self, number: StepNumber) -> u32 {
        u32::try_from(self.parents(number).len()).unwrap_or(u32::MAX)
    }

    /// The steps that the step waits for. A worker of a batch waits for the step that made it.
    #[must_use]
    pub fn parents(&self, number: StepNumber) -> &[StepNumber] {
        self.graph.parents(self.template_step(number))
    }

    /// The steps that wait for the step.
    #[must_use]
    pub fn children(&self, number: StepNumber) -> &[StepNumber] {
        self.graph.children(self.template_step(number))
    }

    /// Every step of the template that comes before the step.
    #[must_use]
    pub fn ancestors(&self, number: StepNumber) -> Vec<StepNumber> {
        self.graph.ancestors(self.template_step(number))
    }

    /// What the failure of a worker of a batch means; `None` for any other step.
    #[must_use]
    pub fn failure_strategy(&self, number: StepNumber) -> Option<FailureStrategy> {
        self.batch_of(number).map(|batch| batch.failure_strategy)
    }

    /// What the step that made this worker says of its workers.
    #[must_use]
    pub fn batch_of(&self, number: StepNumber) -> Option<BatchSpec> {
        self.worker_index(number)?;
        let made_by = self.parents(number).first().copied()?;
        Some(self.step(made_by).definition.batch.unwrap_or_default())
    }

    /// Whether the failure of the step for good is skipped over.
    #[must_use]
    pub fn is_skipped_over(&self, number: StepNumber) -> bool {
        self.step(number).definition.skippable
            || self.failure_strategy(number) == Some(FailureStrategy::ContinueOnFailure)
    }

    /// Whether the number is that of a step, or can be that of a worker of a batch.
    #[must_use]
    pub fn has(&self, number: StepNumber) -> bool {
        number.index() < self.steps.len() || self.has_batches()
    }

    /// Whether a step of it publishes events.
    #[must_use]
    pub fn publishes(&self) -> bool {
        self.publishes
    }

    /// Whether a step of it can make batches.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        !self.batch_workers.is_empty()
    }

    /// The first number that a worker of a batch can have.
    #[must_use]
    pub fn first_worker(&self) -> StepNumber {
        StepNumber(u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }

    /// The number of the worker of this index that is made after the step `of`.
    ///
    /// Workers have the numbers after those of the template's steps, one in turn for each step that they are made after: so a
    /// number alone tells which step that is, and which worker.
    #[must_use]
    pub fn worker(&self, of: StepNumber, index: u32) -> Option<StepNumber> {
        const NUMBER_MAX: u32 = (1 << 24) - 2;
        let place = u32::try_from(self.batch_workers.iter().position(|&found| found == of)?).ok()?;
        let stride = u32::try_from(self.batch_workers.len()).ok()?;
        let number = index.checked_mul(stride)?.checked_add(place)?.checked_add(self.first_worker().0)?;
        (number <= NUMBER_MAX).then_some(StepNumber(number))
    }

    /// Which worker of its batch the number is, counted from 0; `None` for a step of the template.
    #[must_use]
    pub fn worker_index(&self, number: StepNumber) -> Option<u32> {
        let beyond = number.0.checked_sub(self.first_worker().0)?;
        beyond.checked_div(u32::try_from(self.batch_workers.len()).ok()?)
    }

    /// The step of the template that the number stands for, or that its worker is made after.
    #[must_use]
    pub fn template_step(&self, number: StepNumber) -> StepNumber {
        let beyond = number.index().checked_sub(self.steps.len());
        let place = beyond.and_then(|beyond| beyond.checked_rem(self.batch_workers.len()));
        place.map_or(number, |place| self.batch_workers[place])
    }

    /// The step's name; that of a worker ends with its number, counted from 1.
    #[must_use]
    pub fn name(&self, number: StepNumber) -> Arc<str> {
        let name = &self.step(number).name;
        self.worker_index(number).map_or_else(|| name.clone(), |index| format!("{name}_{:03}", index + 1).into())
    }

    /// The numbers of the template's steps.
    pub fn numbers(&self) -> impl Iterator<Item = StepNumber> + use<> {
        (0..u32::try_from(self.steps.len()).unwrap_or(u32::MAX)).map(StepNumber)
    }
}
