//! The handler of all steps: what an attempt does is drawn from its own identity.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tasker_runtime::core::{AttemptOutcome, Cause, CheckpointRow, Dump, StepRef};
use tasker_runtime::handler::{
    CheckpointError, RustStepHandler, RustStepHandlerRegistry, StepContext, StepHandlerConfig,
};
use tasker_types::{
    BatchProcessingOutcome, CursorConfig, StepError, StepExecutionResult, StepNumber, StepType, TaskId,
    TaskSequenceStep,
};

use crate::journal::{End, result_of};
use crate::life::{Being, Life};
use crate::rng::Rng;
use crate::sim::{Failure, Sim};
use crate::store::{POISON, short};
use crate::watch::{live_of, task_of};
use crate::world::HANDLER;

pub(crate) fn registry(sim: &Arc<Sim>, life: &Arc<Life>) -> RustStepHandlerRegistry {
    let mut registry = RustStepHandlerRegistry::empty();
    let (sim, life) = (sim.clone(), life.clone());
    registry.register(HANDLER, move || Box::new(Work(Some((sim.clone(), life.clone())))));
    registry
}

struct Work(Option<(Arc<Sim>, Arc<Life>)>);

/// How an attempt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Well,
    Error,
    LaterPlease,
    Permanent,
    Panic,
    /// It goes on until its time limit ends it.
    Hang,
    /// It goes on until it is told that its task was cancelled, and says so.
    Heed,
    /// Its result is one that no store can keep.
    Poison,
    /// It kills its process.
    Kill,
}

#[async_trait]
impl RustStepHandler for Work {
    fn new(_: StepHandlerConfig) -> Self {
        Self(None)
    }

    fn name(&self) -> &str {
        HANDLER
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let (sim, life) = self.0.as_ref().unwrap();
        life.moves().await;
        let uuid = step.workflow_step.workflow_step_uuid;
        let (task, number) = TaskId::of_step(uuid).unwrap();
        let (at, attempt) = (StepRef { task, number }, step.workflow_step.attempt);
        let n = step.task.context["n"].as_u64().unwrap();
        let rng = &mut Rng::at(sim.world.seed, &[3, n, number.0.into(), attempt.into()]);
        let (course, ms) = draw(sim, rng, attempt);
        let begun = Begun::new(sim, life, at, attempt, step);
        let saves = &mut Rng::at(sim.world.seed, &[7, n, number.0.into(), attempt.into()]);
        if saves.chance(300) {
            // Some don't wait for the answer, and save again.
            if saves.chance(200) {
                let patience = Duration::from_millis(saves.pick(&[0, 1, 20]));
                let _ = tokio::time::timeout(patience, begun.save(step, saves.below(1_000))).await;
                begun.save(step, saves.below(1_000)).await;
            }
            begun.save(step, saves.below(1_000)).await;
        }
        match course {
            Course::Hang => tokio::time::sleep(Duration::from_secs(3_600)).await,
            Course::Heed => StepContext::new(step).cancelled().await,
            _ if ms > 0 => tokio::time::sleep(Duration::from_millis(ms)).await,
            _ => {}
        }
        life.moves().await;
        let (end, result) = match course {
            Course::Well | Course::Poison | Course::Hang => {
                let mut value = json!({ "n": n, "step": number.0, "attempt": attempt });
                if course == Course::Poison {
                    value[POISON] = json!(true);
                }
                let mut is_unreadable = false;
                if step.step_definition.step_type == StepType::Decision {
                    value["activated_steps"] = branches(sim, rng, step, number);
                    is_unreadable = sim.world.trouble > 0 && attempt == 1 && rng.chance(50);
                    if is_unreadable {
                        value["activated_steps"] = json!(["none_of_them"]);
                    }
                }
                if step.step_definition.step_type == StepType::Batchable {
                    value["batch_processing_outcome"] = workers(sim, rng, step, number);
                }
                if step.step_definition.step_type == StepType::BatchWorker {
                    // It was given its own cursor.
                    value["cursor"] = step.workflow_step.inputs["start_cursor"].clone();
                }
                let end =
                    if course == Course::Poison || is_unreadable { End::Poison } else { End::Value(value.to_string()) };
                (end, Ok(StepExecutionResult::success(uuid, value, None)))
            }
            Course::Error => (End::Error, Ok(StepError::retryable("it broke").into_result(uuid))),
            Course::LaterPlease => {
                let later = StepError::retryable("later").with_retry_after(Duration::from_millis(700));
                (End::Error, Ok(later.into_result(uuid)))
            }
            Course::Permanent => (End::Permanent, Err(anyhow::anyhow!("it can't be"))),
            Course::Heed => (End::Cancelled, Ok(StepError::retryable("cancelled").into_result(uuid))),
            Course::Panic => {
                begun.end(End::Error);
                // Not by `panic!`, which would print it.
                std::panic::resume_unwind(Box::new("ouch"));
            }
            Course::Kill => {
                sim.say(life, format_args!("is killed by t{}/{number}#{attempt}", short(task)));
                life.become_(Being::Dead);
                std::future::pending().await
            }
        };
        begun.end(end);
        result
    }
}

/// What was saved of a step.
fn checkpoint_of(rows: &Dump, at: StepRef) -> Option<&CheckpointRow> {
    rows.checkpoints.iter().find(|row| (row.task, row.number) == (at.task, at.number))
}

/// Whether the claim of an attempt may have been taken for lost: so it is recorded, or what its step became by that.
fn was_lost(rows: &Dump, at: StepRef, attempt: u32) -> bool {
    let lost = |outcome| matches!(outcome, AttemptOutcome::Lost | AttemptOutcome::Reopened);
    let failed = |cause| matches!(cause, Cause::Losses | Cause::Skippable);
    rows.attempts
        .iter()
        .any(|row| (row.task, row.number, row.attempt) == (at.task, at.number, attempt) && lost(row.outcome))
        || result_of(rows, at.task, at.number).is_some_and(|row| row.attempt == attempt && failed(row.cause))
}

/// What a decision chooses of the steps after it.
fn branches(sim: &Sim, rng: &mut Rng, step: &TaskSequenceStep, number: StepNumber) -> Value {
    let template: usize = step.task.name[1..].parse().unwrap();
    let steps = sim.world.templates[template].iter().enumerate();
    let after = steps.filter(|(_, step)| step.parents.contains(&number.0)).map(|(child, _)| format!("s{child}"));
    after.filter(|_| rng.chance(600)).collect()
}

/// How a batchable step cuts its work.
fn workers(sim: &Sim, rng: &mut Rng, step: &TaskSequenceStep, number: StepNumber) -> Value {
    let template: usize = step.task.name[1..].parse().unwrap();
    let steps = sim.world.templates[template].iter().enumerate();
    let made_after: Vec<usize> = steps
        .filter(|(_, step)| step.step_type == StepType::BatchWorker && step.parents == [number.0])
        .map(|(child, _)| child)
        .collect();
    let (of, count) = (made_after[rng.index(made_after.len())], rng.pick(&[0, 1, 2, 3, 5]));
    let cursor = |index: u32| CursorConfig {
        batch_id: format!("{:03}", index + 1),
        start_cursor: json!(index),
        end_cursor: json!(index + 1),
        batch_size: 1,
    };
    let cursors = (0..count).map(cursor).collect();
    BatchProcessingOutcome::create_batches(format!("s{of}"), count, cursors, count.into()).to_value()
}

fn draw(sim: &Sim, rng: &mut Rng, attempt: u32) -> (Course, u64) {
    let ms = rng.pick(&[0, 0, 0, 1, 5, 20, 100, 500, 2_000]);
    // Nothing goes wrong for ever.
    if attempt > 8 || !rng.chance(sim.world.trouble) {
        return (Course::Well, ms);
    }
    let course = match rng.below(100) {
        0..35 => Course::Error,
        35..45 => Course::LaterPlease,
        45..55 => Course::Permanent,
        55..65 => Course::Panic,
        65..72 => Course::Hang,
        72..80 => Course::Heed,
        80..88 => Course::Poison,
        _ if sim.world.kills && !sim.is_calm() => Course::Kill,
        _ => Course::Well,
    };
    (course, ms)
}

/// An attempt that runs. It may be dropped at any time.
struct Begun<'s> {
    since: Duration,
    sim: &'s Sim,
    life: &'s Life,
    at: StepRef,
    attempt: u32,
    /// What was saved and acknowledged last.
    saved: Mutex<Option<String>>,
}

impl<'s> Begun<'s> {
    fn new(sim: &'s Sim, life: &'s Arc<Life>, at: StepRef, attempt: u32, step: &TaskSequenceStep) -> Self {
        let begun = {
            let state = &mut *sim.state();
            let begun = state.journal.begin(life, at, attempt, step, &state.rows, sim.world.slots);
            let held = live_of(&state.rows, at).is_some_and(|row| row.attempt == attempt && row.claimed_by.is_some());
            let worker = state.journal.claimed.get(&(at, attempt));
            let leased =
                worker.and_then(|worker| state.leases.get(worker)).is_some_and(|&until| until > sim.clock.now());
            let saved = checkpoint_of(&state.rows, at).map(|row| serde_json::from_str::<Value>(&row.value).unwrap());
            let given = step.workflow_step.checkpoint.as_deref();
            let begun = begun.and_then(|()| {
                let what = || format!("t{}/{}#{attempt}: {given:?}, saved is {saved:?}", short(at.task), at.number);
                let same = !held || given == saved.as_ref();
                if same { Ok(()) } else { Err(Failure::new("begun without what was saved", what())) }
            });
            // A claim ends before its attempt only with the lease, or with the time that its task gives it.
            let is_lost = state.journal.claim_timeout(at.task).is_some() && was_lost(&state.rows, at, attempt);
            begun.and_then(|()| {
                let what = || format!("t{}/{}#{attempt}", short(at.task), at.number);
                if held || !leased || is_lost { Ok(()) } else { Err(Failure::new("started without a claim", what())) }
            })
        };
        if let Err(failure) = begun {
            sim.fail(failure);
        }
        Self { since: sim.elapsed(), sim, life, at, attempt, saved: Mutex::default() }
    }

    /// Saves how far it has come. What is acknowledged is there, and only who lost the claim is told so.
    async fn save(&self, step: &TaskSequenceStep, far: u64) {
        let value = json!({ "attempt": self.attempt, "far": far });
        let saved = StepContext::new(step).checkpoint(&value).await;
        self.life.moves().await;
        let what = || format!("t{}/{}#{}: {saved:?}", short(self.at.task), self.at.number, self.attempt);
        let state = self.sim.state();
        let row = checkpoint_of(&state.rows, self.at);
        let is_there = row.is_some_and(|row| {
            row.attempt > self.attempt || (row.attempt == self.attempt && *row.value == *value.to_string())
        });
        let held =
            live_of(&state.rows, self.at).is_some_and(|row| row.attempt == self.attempt && row.claimed_by.is_some());
        drop(state);
        if saved.is_ok() {
            *self.saved.lock().unwrap() = Some(value.to_string());
        }
        match saved {
            Ok(()) => self.sim.expect(is_there, "acknowledged and missing", what),
            Err(CheckpointError::Stale(_)) => self.sim.expect(!held, "refused though it holds the claim", what),
            Err(_) => {}
        }
    }

    fn end(&self, end: End) {
        // What was acknowledged was not overtaken by what was saved before.
        let saved = self.saved.lock().unwrap().take();
        let now = checkpoint_of(&self.sim.state().rows, self.at).map(|row| (row.attempt, row.value.clone()));
        let what = || format!("t{}/{}#{}: {saved:?}, it is {now:?}", short(self.at.task), self.at.number, self.attempt);
        let is_kept = saved.as_deref().is_none_or(|saved| {
            now.as_ref().is_some_and(|(attempt, value)| *attempt > self.attempt || **value == *saved)
        });
        self.sim.expect(is_kept, "saved and overtaken", what);
        self.sim.state().journal.end(self.at, self.attempt, end);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.sim.state();
        state.journal.leave(self.life, self.at, self.attempt);
        let limit = task_of(&state.rows, self.at.task).map(|task| task.pinned.step(self.at.number).timeout);
        let took = self.sim.elapsed().saturating_sub(self.since);
        drop(state);
        // Timers tick in milliseconds.
        let in_time = limit.is_none_or(|limit| took <= limit + Duration::from_millis(2));
        let what = || format!("t{}/{}#{} took {took:?}", short(self.at.task), self.at.number, self.attempt);
        self.sim.expect(in_time, "beyond its time limit", what);
    }
}
