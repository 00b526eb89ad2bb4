//! Who submits tasks and acts on them: what was acknowledged must be there, what was refused must not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tasker_runtime::core::{self, ByHand, Pinned, PinnedStep, Refusal, Says, Workers};
use tasker_runtime::engine::{Engine, Error};
use tasker_runtime::store::StoreError;
use tasker_types::{Start, StepNumber, TaskId, TaskRequest, TaskState};

use crate::life::Life;
use crate::process::Process;
use crate::sim::Sim;
use crate::store::short;
use crate::watch::task_of;
use crate::world::{Act, Hand, Task, What};

const AGAIN: Duration = Duration::from_millis(100);

/// What became of a request.
enum Answer<T> {
    Given(Result<T, Error>),
    /// Nobody was there, or went away: it may have been done.
    None,
}

async fn ask<T>(
    sim: &Sim,
    process: &Process,
    patience: Duration,
    request: impl AsyncFnOnce(Engine) -> Result<T, Error>,
) -> Answer<T> {
    let (life, engine): (Arc<Life>, Engine) = loop {
        match process.engine() {
            Some(found) => break found,
            None => tokio::time::sleep(AGAIN).await,
        }
    };
    sim.say(&life, format_args!("is asked"));
    tokio::select! {
        biased;
        given = request(engine) => Answer::Given(given),
        () = life.death() => Answer::None,
        () = tokio::time::sleep(patience) => Answer::None,
    }
}

/// Submits until there is an answer that counts.
pub(crate) async fn submit(sim: Arc<Sim>, process: Arc<Process>, task: Task) {
    tokio::time::sleep(Duration::from_millis(task.at_ms)).await;
    let patience = Duration::from_millis(task.patience_ms);
    let request = TaskRequest {
        name: format!("w{}", task.template),
        context: json!({ "n": task.n, "key": task.key }),
        priority: task.priority,
        idempotency_key: task.key.map(|key| format!("key {key}")),
        start: Start::In(Duration::from_millis(task.delay_ms)),
        claim_timeout_seconds: task.claim_timeout_seconds,
        ..TaskRequest::default()
    };
    loop {
        let request = request.clone();
        match ask(&sim, &process, patience, async |engine| engine.submit(request).await).await {
            Answer::Given(Ok(id)) => {
                let there = sim.state().rows.tasks.iter().any(|row| row.id == id);
                sim.expect(there, "acknowledged and missing", || format!("t{}, request {}", short(id), task.n));
                return;
            }
            // Nothing was stored, so it is asked for again.
            Answer::Given(Err(Error::Store(
                StoreError::Unavailable(_) | StoreError::ReadOnly(_) | StoreError::Open(_),
            ))) => {
                let stored = sim.state().journal.accepted(task.n);
                sim.expect(stored.is_none(), "refused and done", || format!("request {}", task.n));
                tokio::time::sleep(AGAIN).await;
            }
            Answer::Given(Err(Error::Stopped)) | Answer::None => return,
            Answer::Given(Err(error)) => {
                let what = || format!("request {}: {error}", task.n);
                return sim.expect(false, "a request that is right was refused", what);
            }
        }
    }
}

pub(crate) async fn act(sim: Arc<Sim>, process: Arc<Process>, act: Act) {
    tokio::time::sleep(Duration::from_millis(act.at_ms)).await;
    let Some(id) = sim.state().journal.accepted(act.task) else { return };
    let actor = format!("act {}", act.n);
    let patience = Duration::from_secs(60);
    let wanted = match act.what {
        What::Wait => return wait(&sim, &process, id).await,
        What::Rerun(step) => return rerun(&sim, &process, id, StepNumber(step), &actor).await,
        What::Cancel => core::Act::Cancel,
        What::Retry(step) => core::Act::Retry(step.map(StepNumber)),
        What::Pause => core::Act::Pause,
        What::Resume => core::Act::Resume,
        What::End(step, hand) => core::Act::End(StepNumber(step), by_hand(&sim, id, step, hand)),
    };
    let kind = wanted.kind();
    let answer = ask(&sim, &process, patience, async |engine| engine.act(id, wanted, &actor, "").await).await;
    let done = sim.state().rows.actions.iter().any(|row| row.actor == actor);
    match answer {
        // The second is what remains to be said where it is not known whether the first was heard.
        Answer::Given(Ok(_) | Err(Error::Refused(Refusal::Repeated(_)))) => {
            sim.say("*", format_args!("{actor}, {kind} of t{}, is done", short(id)));
            sim.expect(done, "acknowledged and missing", || format!("{actor}: {kind} of t{}", short(id)));
        }
        Answer::Given(Err(error)) => {
            sim.say("*", format_args!("{actor}, {kind} of t{}: {error}", short(id)));
            let gone = matches!(error, Error::Stopped);
            sim.expect(gone || !done, "refused and done", || format!("{actor}: {kind} of t{}", short(id)));
        }
        Answer::None => {}
    }
}

/// How a step is ended: a decision that is completed chooses all its branches.
fn by_hand(sim: &Sim, id: TaskId, step: u32, hand: Hand) -> ByHand {
    let pinned = task_of(&sim.state().rows, id).map(|row| row.pinned.clone());
    let of = |pinned: &Pinned, is: fn(&PinnedStep) -> bool| pinned.steps.get(step as usize).is_some_and(is);
    let (value, says) = match pinned {
        Some(pinned) if of(&pinned, PinnedStep::decides) => {
            let children = pinned.children(StepNumber(step));
            let names: Vec<&str> = children.iter().map(|&child| &*pinned.step(child).name).collect();
            (json!({ "activated_steps": names }), Says::Chosen(children.into()))
        }
        // Two workers.
        Some(pinned) if of(&pinned, PinnedStep::makes_batches) => {
            let children = pinned.children(StepNumber(step)).iter().copied();
            let worker = children.into_iter().find(|&child| pinned.step(child).is_batch_worker());
            let workers = worker.map(|of| Workers { of, count: 2 });
            (json!({ "by": "hand" }), Says::Cut(workers))
        }
        _ => (json!({ "by": "hand" }), Says::Nothing),
    };
    match hand {
        Hand::Skip => ByHand::Skip,
        Hand::Resolve => ByHand::Resolve,
        Hand::Complete => ByHand::Complete { result: value.to_string().into(), says },
    }
}

/// Runs a task again from this step on, once it is over.
async fn rerun(sim: &Sim, process: &Process, id: TaskId, from: StepNumber, actor: &str) {
    const LOOKS: u32 = 100;
    for _ in 0..LOOKS {
        if task_of(&sim.state().rows, id).is_some_and(|row| row.state.is_over()) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let patience = Duration::from_secs(60);
    let answer = ask(sim, process, patience, async |engine| engine.rerun(id, from, None, actor, "").await).await;
    let made = {
        let state = sim.state();
        let action = state.rows.actions.iter().find(|row| row.actor == actor).map(|row| row.id);
        state.rows.reruns.iter().find(|row| Some(row.action) == action).map(|row| row.task)
    };
    let what = || format!("{actor}: rerun of t{} from {from}", short(id));
    match answer {
        Answer::Given(Ok(new)) => {
            sim.say("*", format_args!("{actor}, t{} runs t{} again from {from} on", short(new), short(id)));
            sim.expect(made == Some(new), "acknowledged and missing", what);
        }
        Answer::Given(Err(error)) => {
            sim.say("*", format_args!("{actor}, rerun of t{}: {error}", short(id)));
            sim.expect(matches!(error, Error::Stopped) || made.is_none(), "refused and done", what);
        }
        Answer::None => {}
    }
}

async fn wait(sim: &Sim, process: &Process, id: TaskId) {
    let told = ask(sim, process, Duration::from_secs(600), async |engine| engine.wait(id).await).await;
    if let Answer::Given(Ok(told)) = told {
        let state = task_of(&sim.state().rows, id).map(|row| row.state);
        // Only a failed task goes on, when an operator retries it.
        let right = told.is_over() && (state == Some(told) || told == TaskState::Failed);
        sim.expect(right, "told wrongly", || format!("t{} is {state:?}, told was {told}", short(id)));
    }
}
