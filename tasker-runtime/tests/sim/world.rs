//! The world of a seed: everything that is going to happen, as data, so that it can be made smaller.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use tasker_runtime::core::{ResolvedStep, ResolvedTemplate};
use tasker_runtime::engine::WakeUp;
use tasker_types::{
    Backoff, BatchSpec, DeliveryMode, EventCondition, EventSpec, FailureStrategy, HandlerRef, RetryPolicy,
    StalenessAction, StepNumber, StepTemplate, StepType, Template, template::Lifecycle,
};

use crate::rng::Rng;

/// The one handler of all steps.
pub(crate) const HANDLER: &str = "work";

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) templates: Vec<Vec<Step>>,
    /// How long the tasks of each template may take, and how long a minute of that lasts.
    pub(crate) lifecycles: Vec<Option<Lifecycle>>,
    pub(crate) minute_ms: u64,
    pub(crate) tasks: Vec<Task>,
    pub(crate) acts: Vec<Act>,
    pub(crate) blows: Vec<Blow>,
    /// Processes that run workers, and processes that only submit and act.
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    pub(crate) slots: usize,
    /// Batches that are on their way to the store at once.
    pub(crate) batches: usize,
    pub(crate) poll_ms: u64,
    pub(crate) wake_up: WakeUp,
    /// How long leases last; for ever where there is one worker at a time.
    pub(crate) lease_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    pub(crate) drain_ms: u64,
    pub(crate) weather: Weather,
    /// Of 1,000 attempts, how many don't go well.
    pub(crate) trouble: u64,
    /// Whether attempts may kill their process.
    pub(crate) kills: bool,
    /// Of 1,000 events, how many a subscriber fails on; there are none where this is `None`.
    pub(crate) events: Option<u64>,
    /// When faults end.
    pub(crate) calm_ms: u64,
    /// The only calls that faults befall, by their numbers; all of them where this is `None`.
    pub(crate) only: Option<Arc<BTreeSet<u64>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) parents: Vec<u32>,
    pub(crate) step_type: StepType,
    pub(crate) skippable: bool,
    pub(crate) batch: Option<BatchSpec>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout_ms: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// Its name in the history: it stays when other tasks are left out.
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) template: usize,
    pub(crate) priority: i16,
    pub(crate) by: usize,
    /// How long who submits it waits for the answer.
    pub(crate) patience_ms: u64,
    /// What it is known by, where another request may be the same, and how long its first steps wait.
    pub(crate) key: Option<u64>,
    pub(crate) delay_ms: u64,
    /// How long its claims may be held.
    pub(crate) claim_timeout_seconds: Option<u32>,
}

/// What an operator does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) n: u64,
    pub(crate) at_ms: u64,
    pub(crate) task: u64,
    pub(crate) by: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Cancel,
    Retry(Option<u32>),
    Pause,
    Resume,
    /// A step is ended by hand: skipped, resolved or completed.
    End(u32, Hand),
    /// The task is run again from a step on, once it is over.
    Rerun(u32),
    Wait,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    Skip,
    Resolve,
    Complete,
}

/// What befalls a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blow {
    pub(crate) at_ms: u64,
    pub(crate) process: usize,
    pub(crate) kind: BlowKind,
    /// How long it is gone.
    pub(crate) for_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlowKind {
    Crash,
    Freeze,
    Stop,
}

/// How often calls of the store go wrong, of 1,000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) delayed: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) stale: u64,
}

impl World {
    pub(crate) fn of(seed: u64) -> Self {
        let rng = &mut Rng::at(seed, &[1]);
        let calm_ms = rng.pick(&[3_000, 10_000, 30_000]);
        let templates: Vec<Vec<Step>> = (0..rng.between(1, 2)).map(|_| template(rng)).collect();
        let lease_ms = rng.pick(&[None, Some(800), Some(2_000), Some(5_000)]);
        let workers = if lease_ms.is_some() { rng.pick(&[1, 2, 2, 3]) } else { 1 };
        let clients = rng.index(2);
        let processes = workers + clients;
        let hurried = rng.chance(100);
        let most = rng.pick(&[2, 4, 8, 16]);
        let mut tasks: Vec<Task> =
            (0..rng.between(1, most)).map(|n| task(rng, n, &templates, processes, calm_ms)).collect();
        name_and_delay(seed, &mut tasks, calm_ms);
        bound_claims(seed, &mut tasks);
        let acts = (0..rng.below(12)).map(|n| act(rng, n, &tasks, processes, calm_ms)).collect();
        let mut blows: Vec<Blow> = (0..rng.pick(&[0, 0, 1, 3, 6])).map(|_| blow(rng, processes, calm_ms)).collect();
        blows.sort_by_key(|blow| blow.at_ms);
        Self {
            seed,
            lifecycles: lifecycles(seed, templates.len()),
            minute_ms: 1_000,
            templates,
            tasks,
            acts,
            blows,
            workers,
            clients,
            slots: rng.pick(&[1, 1, 2, 3, 8, 64]),
            batches: rng.pick(&[1, 1, 2, 4]),
            poll_ms: rng.pick(&[100, 300, 1_000]),
            wake_up: rng.pick(&[WakeUp::Hybrid, WakeUp::EventDrivenOnly, WakeUp::PollingOnly]),
            lease_ms,
            grace_ms: rng.pick(&[0, 50, 1_000]),
            drain_ms: if hurried { 0 } else { rng.pick(&[100, 2_000]) },
            weather: Weather {
                delayed: rng.pick(&[0, 100, 500]),
                failed: rng.pick(&[0, 0, 20, 100, 300]),
                unknown: rng.pick(&[0, 0, 20, 100, 300]),
                stale: rng.pick(&[0, 300]),
            },
            trouble: rng.pick(&[0, 100, 300, 600]),
            kills: rng.chance(500),
            events: events(seed),
            calm_ms,
            only: None,
        }
    }

    pub(crate) fn resolved(&self) -> Vec<ResolvedTemplate> {
        let resolved = |(number, steps): (usize, &Vec<Step>)| {
            let mut resolved = resolved(number, steps, self.events.is_some());
            resolved.template.lifecycle = self.lifecycles[number];
            resolved
        };
        self.templates.iter().enumerate().map(resolved).collect()
    }
}

fn events(seed: u64) -> Option<u64> {
    let rng = &mut Rng::at(seed, &[5]);
    rng.chance(300).then(|| rng.pick(&[0, 100, 500]))
}

/// Tasks of some templates may not take longer than a few minutes, which are short. Drawn apart, too.
fn lifecycles(seed: u64, templates: usize) -> Vec<Option<Lifecycle>> {
    let rng = &mut Rng::at(seed, &[9]);
    let limited = rng.pick(&[0, 0, 0, 700]);
    let mut lifecycle = || {
        let (max_duration_minutes, staleness_action) = (rng.pick(&[1, 2, 5]), rng.pick(StalenessAction::ALL));
        rng.chance(limited).then_some(Lifecycle { max_duration_minutes, staleness_action })
    };
    (0..templates).map(|_| lifecycle()).collect()
}

fn template(rng: &mut Rng) -> Vec<Step> {
    let length = rng.pick(&[1, 2, 3, 4, 5, 8, 12]);
    let shape = rng.below(4);
    let mut steps: Vec<Step> = (0..length).map(|number| step(rng, number, length, shape)).collect();
    let routes = rng.pick(&[0, 0, 300, 600]);
    for number in 0..steps.len() {
        let leads_on = steps.iter().any(|step| step.parents.iter().any(|&parent| parent as usize == number));
        let step = &mut steps[number];
        step.step_type = match rng.below(1_000) {
            drawn if drawn < routes && leads_on => StepType::Decision,
            drawn if drawn > 1_000 - routes && !step.parents.is_empty() => StepType::DeferredConvergence,
            _ => StepType::Standard,
        };
        step.skippable = step.step_type != StepType::Decision && rng.chance(150);
    }
    let batches = rng.pick(&[0, 0, 300, 700]);
    for number in 1..steps.len() {
        let [parent] = steps[number].parents[..] else { continue };
        let parent = parent as usize;
        let fits = matches!(steps[parent].step_type, StepType::Standard | StepType::Batchable);
        if fits && rng.chance(batches) {
            let failure_strategy = rng.pick(FailureStrategy::ALL);
            let spec = BatchSpec { parallelism: rng.pick(&[None, Some(1), Some(2)]), failure_strategy };
            let made_by = &mut steps[parent];
            (made_by.step_type, made_by.skippable, made_by.batch) = (StepType::Batchable, false, Some(spec));
            (steps[number].step_type, steps[number].skippable) = (StepType::BatchWorker, false);
        }
    }
    steps
}

fn step(rng: &mut Rng, number: u32, length: u32, shape: u64) -> Step {
    let parents = match shape {
        _ if number == 0 => vec![],
        // One after the other.
        0 => vec![number - 1],
        // One, many at once, and one that waits for all of them.
        1 if number + 1 == length => (1..number.max(2)).collect(),
        1 => vec![0],
        // Those of a row wait for all of the row before it.
        2 => {
            ((number - 1) / 2 * 2..(number - 1) / 2 * 2 + 2).filter(|&one| one < number && one + 2 >= number).collect()
        }
        _ => {
            let some: BTreeSet<u32> =
                (0..rng.below(4)).map(|_| u32::try_from(rng.below(number.into())).unwrap()).collect();
            some.into_iter().collect()
        }
    };
    let parents = parents.into_iter().filter(|&parent| parent < number).collect();
    let retry = RetryPolicy {
        retryable: rng.chance(850),
        max_attempts: rng.pick(&[1, 2, 3, 3, 5]),
        max_losses: rng.pick(&[1, 2, 3]),
        backoff: rng.pick(Backoff::ALL),
        backoff_base_ms: rng.pick(&[0, 10, 100, 1_000]),
        max_backoff_ms: rng.pick(&[50, 1_000, 5_000]),
    };
    let (step_type, skippable, batch) = (StepType::Standard, false, None);
    Step { parents, step_type, skippable, batch, retry, timeout_ms: rng.pick(&[300, 1_000, 5_000]) }
}

fn task(rng: &mut Rng, n: u64, templates: &[Vec<Step>], processes: usize, calm_ms: u64) -> Task {
    let late = rng.below(calm_ms / 2);
    // Often several in the same instant.
    let at_ms = rng.pick(&[0, calm_ms / 10, late]);
    Task {
        n,
        at_ms,
        template: rng.index(templates.len()),
        priority: rng.pick(&[-5, 0, 0, 0, 5]),
        by: rng.index(processes),
        patience_ms: rng.pick(&[20, 60_000, 60_000, 60_000]),
        key: None,
        delay_ms: 0,
        claim_timeout_seconds: None,
    }
}

/// Some requests are the same as others, and some tasks start later. Drawn apart: what else a seed holds stays as it was.
fn name_and_delay(seed: u64, tasks: &mut [Task], calm_ms: u64) {
    let rng = &mut Rng::at(seed, &[2]);
    let (named, keys) = (rng.pick(&[0, 0, 500, 900]), rng.pick(&[1, 2, 5]));
    let delayed = rng.pick(&[0, 0, 0, 300]);
    for task in tasks {
        task.key = rng.chance(named).then(|| rng.below(keys));
        task.delay_ms = if rng.chance(delayed) { rng.pick(&[1, 500, calm_ms]) } else { 0 };
    }
}

/// Claims of some tasks count as lost after a time. Drawn apart, too.
fn bound_claims(seed: u64, tasks: &mut [Task]) {
    let rng = &mut Rng::at(seed, &[8]);
    let bounded = rng.pick(&[0, 0, 300, 900]);
    for task in tasks {
        task.claim_timeout_seconds = rng.chance(bounded).then(|| rng.pick(&[1, 1, 2, 4]));
    }
}

fn act(rng: &mut Rng, n: u64, tasks: &[Task], processes: usize, calm_ms: u64) -> Act {
    let task = tasks[rng.index(tasks.len())];
    let late = rng.below(calm_ms);
    let after = rng.pick(&[0, 1, 5, 50, 500, late]);
    let step = u32::try_from(rng.below(6)).unwrap();
    let what = match rng.below(18) {
        0..4 => What::Cancel,
        4..6 => What::Retry(None),
        6..8 => What::Retry(Some(step)),
        8..10 => What::Pause,
        10 => What::Resume,
        11..14 => What::End(step, rng.pick(&[Hand::Skip, Hand::Resolve, Hand::Complete])),
        14 => What::Wait,
        _ => What::Rerun(step),
    };
    Act { n, at_ms: task.at_ms + after, task: task.n, by: rng.index(processes), what }
}

fn blow(rng: &mut Rng, processes: usize, calm_ms: u64) -> Blow {
    let kind = rng.pick(&[BlowKind::Crash, BlowKind::Crash, BlowKind::Freeze, BlowKind::Stop]);
    Blow {
        at_ms: rng.below(calm_ms),
        process: rng.index(processes),
        kind,
        for_ms: rng.pick(&[0, 100, 1_000, calm_ms / 2]),
    }
}

fn resolved(number: usize, steps: &[Step], publish: bool) -> ResolvedTemplate {
    let definition = |(number, step): (usize, &Step)| StepTemplate {
        handler: HandlerRef { callable: HANDLER.to_owned(), initialization: json!({}) },
        dependencies: step.parents.iter().copied().map(StepNumber).collect(),
        step_type: step.step_type,
        skippable: step.skippable,
        batch: step.batch,
        publishes_events: if publish { published() } else { Vec::new() },
        ..StepTemplate::named(format!("s{number}"))
    };
    ResolvedTemplate {
        template: Template::named(format!("w{number}"), steps.iter().enumerate().map(definition).collect()),
        steps: steps
            .iter()
            .map(|step| ResolvedStep { handler: HANDLER.to_owned(), retry: step.retry, timeout_ms: step.timeout_ms })
            .collect(),
    }
}

/// What every step publishes.
fn published() -> Vec<EventSpec> {
    let event = |condition: EventCondition, delivery_mode| EventSpec {
        name: condition.as_str().to_owned(),
        condition,
        delivery_mode,
        publisher: None,
    };
    vec![
        event(EventCondition::Success, DeliveryMode::Durable),
        event(EventCondition::RetryableFailure, DeliveryMode::Durable),
        event(EventCondition::PermanentFailure, DeliveryMode::Broadcast),
    ]
}
