//! Templates, tasks, workers and commands to try a store with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tasker_types::{
    Backoff, BatchProcessingOutcome, CursorConfig, IfExists, RetryPolicy, Start, StepNumber, StepTemplate, StepType,
    TaskId, Template,
};
use tasker_types::{Timestamp, WorkerId};
use uuid::Uuid;

use crate::core::{
    self, Act, ActionStamp, Checkpoint, Claimed, Command, Dump, Failure, Finish, Identity, KnownBy, Loss, NewTask,
    Outcome, Pinned, Published, QueueId, Rerun, ResolvedStep, ResolvedTemplate, StepRef, TaskInput,
};
use crate::store::{LeaseAct, LeaseRequest};

/// A template whose step `n` waits for the steps `parents[n]`; every step has a handler of its own name and is tried
/// three times, a second apart, without jitter that matters.
pub fn template(name: &str, parents: &[&[u32]]) -> ResolvedTemplate {
    let steps: Vec<StepTemplate> = (0..parents.len()).map(|number| step(number, parents[number])).collect();
    let run = |step: &StepTemplate| ResolvedStep {
        handler: step.handler.callable.clone(),
        retry: RetryPolicy { backoff: Backoff::Linear, ..RetryPolicy::default() },
        timeout_ms: 30_000,
    };
    ResolvedTemplate {
        steps: steps.iter().map(run).collect(),
        template: Template { version: "1.0.0".to_owned(), ..Template::named(name, steps) },
    }
}

/// The template with these kinds of steps.
pub fn with_types(mut template: ResolvedTemplate, types: &[(usize, StepType)]) -> ResolvedTemplate {
    for &(number, step_type) in types {
        template.template.steps[number].step_type = step_type;
    }
    template
}

fn step(number: usize, parents: &[u32]) -> StepTemplate {
    let dependencies = parents.iter().copied().map(StepNumber).collect();
    StepTemplate { dependencies, ..StepTemplate::named(format!("step_{number}")) }
}

/// Steps that follow one another.
pub fn chain(length: u32) -> ResolvedTemplate {
    let parents: Vec<Vec<u32>> = (0..length).map(|number| number.checked_sub(1).into_iter().collect()).collect();
    template("chain", &parents.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// One step, `width` that wait for it, and one that waits for all of those.
pub fn fan(width: u32) -> ResolvedTemplate {
    let mut parents = vec![vec![]];
    parents.extend((0..width).map(|_| vec![0]));
    parents.push((1..=width).collect());
    template("fan", &parents.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Steps that wait for nothing.
pub fn roots(count: usize) -> ResolvedTemplate {
    template("roots", &vec![[].as_slice(); count])
}

/// The task of this number; the numbers' order is that of the ids.
pub fn task(number: u32) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128((u128::from(number) + 1) << 24))
}

/// A step of the task of this number.
pub fn step_of(task: TaskId, number: u32) -> StepRef {
    StepRef { task, number: StepNumber(number) }
}

/// The worker of this number.
pub fn worker(number: u32) -> WorkerId {
    WorkerId(Uuid::from_u128((0xf0 << 120) | u128::from(number)))
}

/// So many milliseconds after the beginning of the test's time.
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000) + Duration::from_millis(millis)
}

/// The queues of all steps of these templates, sorted.
pub fn queues<'p>(pinned: impl IntoIterator<Item = &'p Arc<Pinned>>) -> Arc<[QueueId]> {
    let mut queues: Vec<QueueId> =
        pinned.into_iter().flat_map(|pinned| pinned.steps.iter().map(|step| step.queue)).collect();
    queues.sort_unstable();
    queues.dedup();
    queues.into()
}

/// A task to accept.
pub fn new_task(id: TaskId, pinned: &Arc<Pinned>) -> NewTask {
    let input = TaskInput {
        context: r#"{"order":7}"#.into(),
        correlation_id: format!("correlation of {id}"),
        initiator: "a test".to_owned(),
        source_system: "tests".to_owned(),
        reason: "to see it run".to_owned(),
        claim_timeout: None,
    };
    NewTask { id, pinned: pinned.clone(), input, priority: 0, known_by: None, start: Start::Now }
}

/// Accepts a task.
pub fn submit(id: TaskId, pinned: &Arc<Pinned>) -> Command {
    Command::Submit(new_task(id, pinned))
}

/// Accepts a task that is known by this number.
pub fn known_as(number: u32, id: TaskId, pinned: &Arc<Pinned>, if_exists: IfExists) -> Command {
    let mut identity = [0; 32];
    identity[28..].copy_from_slice(&number.to_be_bytes());
    let known_by = Some(KnownBy { identity: Identity(identity), if_exists });
    Command::Submit(NewTask { known_by, ..new_task(id, pinned) })
}

/// Accepts a task that starts then.
pub fn starting(start: Start, id: TaskId, pinned: &Arc<Pinned>) -> Command {
    Command::Submit(NewTask { start, ..new_task(id, pinned) })
}

/// Accepts a task of this priority.
pub fn submit_with_priority(id: TaskId, pinned: &Arc<Pinned>, priority: i16) -> Command {
    Command::Submit(NewTask { priority, ..new_task(id, pinned) })
}

/// The claim ends with this outcome.
pub fn finish(claim: &Claimed, outcome: Outcome) -> Command {
    let step = StepRef { task: claim.task, number: claim.live.number };
    Command::Finish(Finish {
        step,
        attempt: claim.live.attempt,
        worker: holder(claim),
        outcome,
        published: Published::default(),
    })
}

/// The claim ends with a result that tells its attempt; a decision chooses all its branches, a batchable step makes two workers.
pub fn complete(claim: &Claimed) -> Command {
    if claim.pinned.step(claim.live.number).decides() {
        return decide(claim, claim.pinned.children(claim.live.number));
    }
    if claim.pinned.step(claim.live.number).makes_batches() {
        return cut(claim, 2);
    }
    let result = format!(r#"{{"step":{},"attempt":{}}}"#, claim.live.number, claim.live.attempt).into();
    finish(claim, Outcome::Completed { result, detail: None })
}

/// The claim of a batchable step ends: so many workers are to be made after the first of its worker steps.
pub fn cut(claim: &Claimed, count: u32) -> Command {
    let children = claim.pinned.children(claim.live.number).iter();
    let of = children.copied().find(|&child| claim.pinned.step(child).is_batch_worker()).expect("it has workers");
    let cursor = |index| CursorConfig {
        batch_id: format!("{:03}", index + 1),
        start_cursor: json!(index * 10),
        end_cursor: json!(index * 10 + 10),
        batch_size: 10,
    };
    let name = claim.pinned.step(of).name.to_string();
    let outcome =
        BatchProcessingOutcome::create_batches(name, count, (0..count).map(cursor).collect(), u64::from(count) * 10);
    let result = json!({ "batch_processing_outcome": outcome.to_value() });
    let workers = core::cut(&claim.pinned, claim.live.number, &result).expect("it can be read");
    finish(claim, Outcome::Cut { result: result.to_string().into(), detail: None, workers })
}

/// The claim of a decision ends: it chose these steps.
pub fn decide(claim: &Claimed, chosen: &[StepNumber]) -> Command {
    let names: Vec<&str> = chosen.iter().map(|&number| &*claim.pinned.step(number).name).collect();
    let result = json!({ "activated_steps": names });
    let chosen = core::chosen(&claim.pinned, claim.live.number, &result).expect("they come after it");
    finish(claim, Outcome::Decided { result: result.to_string().into(), detail: None, chosen })
}

/// A failure that may be tried again.
pub fn failure() -> Failure {
    let detail = r#"{"message":"no","error_type":"retryable_error"}"#.into();
    Failure { retryable: true, timed_out: false, retry_after: None, detail, seed: 7 }
}

/// The claim fails and may be tried again.
pub fn fail(claim: &Claimed) -> Command {
    finish(claim, Outcome::Failed(failure()))
}

/// The claim fails for good.
pub fn fail_for_good(claim: &Claimed) -> Command {
    finish(claim, Outcome::Failed(Failure { retryable: false, ..failure() }))
}

/// The claim's worker died.
pub fn lose(claim: &Claimed) -> Command {
    let step = StepRef { task: claim.task, number: claim.live.number };
    Command::Lose { step, attempt: claim.live.attempt, worker: holder(claim), loss: Loss::WorkerDied }
}

/// The claim was held for too long.
pub fn lose_overdue(claim: &Claimed) -> Command {
    let step = StepRef { task: claim.task, number: claim.live.number };
    Command::Lose { step, attempt: claim.live.attempt, worker: holder(claim), loss: Loss::TimeUp }
}

/// Accepts a task whose claims count as lost after so many milliseconds.
pub fn with_claim_timeout(millis: u64, id: TaskId, pinned: &Arc<Pinned>) -> Command {
    let new = new_task(id, pinned);
    let input = TaskInput { claim_timeout: Some(Duration::from_millis(millis)), ..new.input };
    Command::Submit(NewTask { input, ..new })
}

/// The claim's worker gives it back.
pub fn release(claim: &Claimed) -> Command {
    let step = StepRef { task: claim.task, number: claim.live.number };
    Command::Release { step, attempt: claim.live.attempt, worker: holder(claim) }
}

/// The attempt that holds the claim saves this.
pub fn checkpoint(claim: &Claimed, value: &str) -> Command {
    let step = StepRef { task: claim.task, number: claim.live.number };
    let value = value.into();
    Command::Checkpoint(Checkpoint { step, attempt: claim.live.attempt, worker: holder(claim), value })
}

/// An operator has a task run again from this step on, as the task of this number. What its decisions chose is read from these
/// rows.
pub fn rerun(rows: &Dump, source: TaskId, from: u32, number: u32, action: u32) -> Command {
    let pinned = &rows.tasks.iter().find(|row| row.id == source).expect("the task").pinned;
    let decisions = rows.results.iter().filter(|row| row.task == source && pinned.step(row.number).decides());
    let chosen = decisions.filter_map(|row| {
        let result = serde_json::from_str(row.result.as_deref()?).expect("it is JSON");
        Some((row.number, core::chosen(pinned, row.number, &result).expect("it chose")))
    });
    Command::Rerun(Box::new(Rerun {
        new: new_task(task(number), pinned),
        source,
        from: StepNumber(from),
        chosen: chosen.collect(),
        action: stamp(action),
    }))
}

/// The worker that holds the claim.
pub fn holder(claim: &Claimed) -> WorkerId {
    claim.live.claimed_by.expect("a claim has a worker")
}

/// An operator's action of this number.
pub fn stamp(number: u32) -> ActionStamp {
    let id = Uuid::from_u128((0xac << 120) | u128::from(number));
    ActionStamp { id, actor: "ada".to_owned(), reason: "it was asked for".to_owned() }
}

/// An operator does this to the task.
pub fn act(task: TaskId, act: Act, action: u32) -> Command {
    Command::Act { task, act, action: stamp(action) }
}

/// An operator cancels the task.
pub fn cancel(task: TaskId, action: u32) -> Command {
    act(task, Act::Cancel, action)
}

/// An operator has all failed steps of the task tried again.
pub fn retry(task: TaskId, action: u32) -> Command {
    act(task, Act::Retry(None), action)
}

/// An operator has one failed step of the task tried again.
pub fn retry_step(task: TaskId, number: u32, action: u32) -> Command {
    act(task, Act::Retry(Some(StepNumber(number))), action)
}

/// A lease for as long as any test lasts.
pub fn lease(worker: WorkerId, act: LeaseAct, now: Timestamp) -> LeaseRequest {
    let (label, lease) = ("test".into(), Duration::from_secs(365 * 24 * 3600));
    LeaseRequest { worker, act, label, queues: Arc::new([]), lease, now: Some(now) }
}
