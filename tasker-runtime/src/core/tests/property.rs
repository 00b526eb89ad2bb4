//! Whatever happens, in whatever order: the invariants hold after every event, and after the faults every task ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tasker_types::{
    BatchSpec, FailureStrategy, IfExists, Start, StepNumber, StepState, StepTemplate, StepType, TaskId, TaskState,
};

use crate::core::{
    Act, AttemptOutcome, ByHand, Capacity, Cause, Claimed, Command, Failure, Identity, KnownBy, NewTask, Outcome,
    Pinned, Refusal, Reply, ResolvedTemplate, ResultRow, Says, StepRef, Workers,
};
use crate::store::conformance::World;
use crate::store::conformance::sample::{
    act, cancel, checkpoint, complete, cut, decide, failure, finish, lose, new_task, release, rerun, retry, retry_step,
    task, template, worker,
};
use crate::store::{ClaimRequest, MemoryStore, Store as _, Whose};

/// Something that happens. Numbers choose among what there is when it happens.
#[derive(Debug, Clone)]
enum Event {
    /// A task is submitted, by the worker or by a process without one.
    Submit {
        template: usize,
        priority: i16,
        slots: usize,
        known: Option<u8>,
        conflict: bool,
        delay_ms: u64,
    },
    /// A worker claims.
    Claim {
        worker: usize,
        limit: u32,
        lossy: bool,
        rotation: usize,
    },
    /// Some attempts come to their ends in one batch, and their worker goes on with what became ready.
    End {
        ends: Vec<(usize, End)>,
        slots: usize,
    },
    /// A worker dies: all its claims are lost, and another one comes.
    Die {
        worker: usize,
    },
    /// Time passes, and what is due becomes ready.
    Due {
        millis: u64,
    },
    /// An operator acts; perhaps in one batch with the end of an attempt.
    Cancel {
        task: usize,
        with: Option<(usize, End)>,
    },
    Retry {
        task: usize,
        step: Option<usize>,
        with: Option<(usize, End)>,
    },
    Act {
        task: usize,
        step: usize,
        what: What,
        with: Option<(usize, End)>,
    },
    /// An attempt saves how far it has come; perhaps in one batch with its own end, or that of another one.
    Save {
        which: usize,
        with: Option<(usize, End)>,
    },
    /// An operator has a task run again from a step on; perhaps in one batch with the end of an attempt.
    Rerun {
        task: usize,
        from: usize,
        with: Option<(usize, End)>,
    },
    /// An outcome that was told before is told again.
    Again {
        claim: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum What {
    Pause,
    Resume,
    Resolve,
    SkipStep,
    ResolveStep,
    CompleteStep,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// A decision chooses those of its branches whose bits are set.
    Complete {
        chosen: u32,
    },
    Fail {
        retryable: bool,
        timed_out: bool,
        seed: u64,
    },
    Cancelled,
    Release,
    Lose,
}

fn ends() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => any::<u32>().prop_map(|chosen| End::Complete { chosen }),
        3 => (prop::bool::weighted(0.8), any::<bool>(), any::<u64>())
            .prop_map(|(retryable, timed_out, seed)| End::Fail { retryable, timed_out, seed }),
        1 => Just(End::Cancelled),
        1 => Just(End::Release),
        1 => Just(End::Lose),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let ended = || prop::option::of((any::<usize>(), ends()));
    prop_oneof![
        2 => (
            any::<usize>(), -2..3i16, 0..4usize, prop::option::weighted(0.3, 0..3u8), any::<bool>(),
            prop_oneof![4 => Just(0u64), 1 => 0..3_000u64],
        )
            .prop_map(|(template, priority, slots, known, conflict, delay_ms)| {
                Event::Submit { template, priority, slots, known, conflict, delay_ms }
            }),
        4 => (0..3usize, 0..5u32, any::<bool>(), any::<usize>())
            .prop_map(|(worker, limit, lossy, rotation)| Event::Claim { worker, limit, lossy, rotation }),
        8 => (prop::collection::vec((any::<usize>(), ends()), 1..5), 0..4usize)
            .prop_map(|(ends, slots)| Event::End { ends, slots }),
        1 => (0..3usize).prop_map(|worker| Event::Die { worker }),
        3 => (0..3_000u64).prop_map(|millis| Event::Due { millis }),
        1 => (any::<usize>(), ended()).prop_map(|(task, with)| Event::Cancel { task, with }),
        2 => (any::<usize>(), prop::option::of(any::<usize>()), ended())
            .prop_map(|(task, step, with)| Event::Retry { task, step, with }),
        3 => (any::<usize>(), any::<usize>(), whats(), ended())
            .prop_map(|(task, step, what, with)| Event::Act { task, step, what, with }),
        2 => (any::<usize>(), ended()).prop_map(|(which, with)| Event::Save { which, with }),
        3 => (any::<usize>(), any::<usize>(), ended()).prop_map(|(task, from, with)| Event::Rerun { task, from, with }),
        1 => any::<usize>().prop_map(|claim| Event::Again { claim }),
    ]
}

fn whats() -> impl Strategy<Value = What> {
    use What::{CompleteStep, Pause, Resolve, ResolveStep, Resume, SkipStep};
    prop::sample::select(vec![Pause, Pause, Resume, Resume, Resolve, SkipStep, ResolveStep, CompleteStep])
}

/// Up to 12 steps; each waits for some of those before it.
pub(super) fn dags() -> impl Strategy<Value = ResolvedTemplate> {
    let batch = (prop::option::of(1..4u32), prop::sample::select(FailureStrategy::ALL))
        .prop_map(|(parallelism, failure_strategy)| BatchSpec { parallelism, failure_strategy });
    let step_type = prop::sample::select(vec![StepType::Standard, StepType::Decision, StepType::DeferredConvergence]);
    let step = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        0..4u32,
        1..4u32,
        any::<bool>(),
        step_type,
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, batch),
    );
    prop::collection::vec(step, 1..=12).prop_map(|steps| {
        let mut parents: Vec<Vec<u32>> = Vec::new();
        for (number, (chosen, ..)) in steps.iter().enumerate() {
            let mut of: Vec<u32> = if number == 0 {
                vec![]
            } else {
                chosen.iter().map(|one| u32::try_from(one.index(number)).unwrap()).collect()
            };
            of.sort_unstable();
            of.dedup();
            parents.push(of);
        }
        let mut resolved = template("random", &parents.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (step, (_, max_attempts, max_losses, retryable, ..)) in resolved.steps.iter_mut().zip(&steps) {
            step.retry.max_attempts = *max_attempts;
            step.retry.max_losses = *max_losses;
            step.retry.retryable = *retryable || *max_attempts > 1;
        }
        let batches = steps.iter().map(|(.., batch)| *batch).collect::<Vec<_>>();
        for (step, (.., step_type, skippable, _)) in resolved.template.steps.iter_mut().zip(&steps) {
            // A convergence joins something.
            let joins_nothing = *step_type == StepType::DeferredConvergence && step.dependencies.is_empty();
            step.step_type = if joins_nothing { StepType::Standard } else { *step_type };
            step.skippable = *skippable && step.step_type != StepType::Decision;
        }
        make_batches(&mut resolved.template.steps, &batches);
        resolved
    })
}

/// Some of the steps that wait for one other become workers of it.
fn make_batches(steps: &mut [StepTemplate], batches: &[Option<BatchSpec>]) {
    for number in 0..steps.len() {
        let ([parent], Some(spec)) = (&steps[number].dependencies[..], batches[number]) else { continue };
        let parent = parent.index();
        if !matches!(steps[parent].step_type, StepType::Standard | StepType::Batchable) {
            continue;
        }
        (steps[parent].step_type, steps[parent].skippable, steps[parent].batch) =
            (StepType::Batchable, false, Some(spec));
        (steps[number].step_type, steps[number].skippable) = (StepType::BatchWorker, false);
    }
}

/// What the test itself saw: which attempts were handed out, and what was acknowledged of them.
#[derive(Default)]
struct Journal {
    held: Vec<Claimed>,
    ended: Vec<Claimed>,
    results: BTreeMap<(TaskId, StepNumber), u32>,
    acknowledged: BTreeMap<(StepRef, u32), &'static str>,
    /// What was saved last of each step: the attempt, and the value.
    saved: BTreeMap<StepRef, (u32, String)>,
    saves: u32,
    named: BTreeMap<Identity, TaskId>,
}

struct Run<'s> {
    w: World<'s, MemoryStore>,
    templates: Vec<Arc<Pinned>>,
    workers: [u32; 3],
    next_worker: u32,
    next_action: u32,
    tasks: Vec<TaskId>,
    journal: Journal,
    continued: u64,
}

impl Run<'_> {
    async fn happen(&mut self, event: Event) {
        match event {
            Event::Submit { template, priority, slots, known, conflict, delay_ms } => {
                let id = task(u32::try_from(self.tasks.len()).unwrap());
                let pinned = self.templates[template % self.templates.len()].clone();
                let if_exists = if conflict { IfExists::Conflict } else { IfExists::Attach };
                let known_by = known.map(|number| KnownBy { identity: Identity([number; 32]), if_exists });
                let start = Start::In(Duration::from_millis(delay_ms));
                let new = NewTask { priority, known_by, start, ..new_task(id, &pinned) };
                self.transact(vec![(Command::Submit(new), None)], slots).await;
                let meant = known_by.map(|known| *self.journal.named.entry(known.identity).or_insert(id));
                if meant.is_none_or(|meant| meant == id) {
                    self.tasks.push(id);
                }
                // One that means a task that is there leaves nothing behind.
                assert_eq!(self.w.rows.tasks.len(), self.tasks.len());
                assert_eq!(self.w.rows.identities.len(), self.journal.named.len());
            }
            Event::Claim { worker: of, limit, lossy, rotation } => {
                let by = worker(self.workers[of]);
                let lossy = lossy && !self.journal.held.iter().any(|claim| claim.live.losses > 0);
                let request = ClaimRequest { limit, lossy, rotation, ..self.w.request(by) };
                let claimed = self.w.claim_as(request).await;
                self.journal.held.extend(claimed);
            }
            Event::End { ends, slots } => {
                let ended = ends.into_iter().filter_map(|(which, end)| self.end(which, end)).collect();
                self.transact(ended, slots).await;
            }
            Event::Die { worker: of } => {
                let dead = worker(self.workers[of]);
                self.workers[of] = self.next_worker;
                self.next_worker += 1;
                let held = self.w.store.claims(Whose::Worker(dead), u32::MAX).await.unwrap();
                let of_dead = |claim: &Claimed| claim.live.claimed_by == Some(dead);
                let lost: Vec<Claimed> = self.journal.held.extract_if(.., |claim| of_dead(claim)).collect();
                assert_eq!(held.len(), lost.len());
                let commands = lost.into_iter().map(|claim| (lose(&claim), Some((claim, End::Lose)))).collect();
                self.transact(commands, 0).await;
            }
            Event::Due { millis } => {
                self.w.pass(millis);
                self.w.due().await;
            }
            Event::Cancel { task, with } => {
                let Some(id) = self.some_task(task) else { return };
                self.next_action += 1;
                let mut commands: Vec<_> = with.and_then(|(which, end)| self.end(which, end)).into_iter().collect();
                commands.push((cancel(id, self.next_action), None));
                self.transact(commands, 2).await;
            }
            Event::Retry { task, step, with } => {
                let Some(id) = self.some_task(task) else { return };
                self.next_action += 1;
                let steps = self.w.task(id).pinned.steps.len();
                let command = match step {
                    Some(step) => retry_step(id, u32::try_from(step % steps).unwrap(), self.next_action),
                    None => retry(id, self.next_action),
                };
                let mut commands: Vec<_> = with.and_then(|(which, end)| self.end(which, end)).into_iter().collect();
                commands.push((command, None));
                self.transact(commands, 2).await;
            }
            Event::Act { task, step, what, with } => {
                let Some(id) = self.some_task(task) else { return };
                self.next_action += 1;
                let pinned = self.w.task(id).pinned.clone();
                // Workers of batches are among them.
                let step = StepNumber(u32::try_from(step % (pinned.steps.len() + 4)).unwrap());
                let wanted = match what {
                    What::Pause => Act::Pause,
                    What::Resume => Act::Resume,
                    What::Resolve => Act::Resolve,
                    What::SkipStep => Act::End(step, ByHand::Skip),
                    What::ResolveStep => Act::End(step, ByHand::Resolve),
                    What::CompleteStep => Act::End(step, completed(&pinned, step)),
                };
                let mut commands: Vec<_> = with.and_then(|(which, end)| self.end(which, end)).into_iter().collect();
                commands.push((act(id, wanted, self.next_action), None));
                self.transact(commands, 2).await;
            }
            Event::Save { which, with } => {
                if self.journal.held.is_empty() {
                    return;
                }
                let claim = self.journal.held[which % self.journal.held.len()].clone();
                self.journal.saves += 1;
                let value = self.journal.saves.to_string();
                let mut commands = vec![(checkpoint(&claim, &value), None)];
                commands.extend(with.and_then(|(which, end)| self.end(which, end)));
                let replies = self.transact(commands, 2).await;
                assert!(replies[0].is_ok(), "{replies:?}: {claim:?}");
                let step = StepRef { task: claim.task, number: claim.live.number };
                self.journal.saved.insert(step, (claim.live.attempt, value));
            }
            Event::Rerun { task, from, with } => self.rerun(task, from, with).await,
            Event::Again { claim } => {
                if self.journal.ended.is_empty() {
                    return;
                }
                let claim = self.journal.ended[claim % self.journal.ended.len()].clone();
                assert!(self.w.one(checkpoint(&claim, "0")).await.is_err(), "it saved after its end: {claim:?}");
                assert!(self.w.one(complete(&claim)).await.is_err(), "a claim ended twice: {claim:?}");
            }
        }
    }

    async fn rerun(&mut self, which: usize, from: usize, with: Option<(usize, End)>) {
        let Some(source) = self.some_task(which) else { return };
        self.next_action += 1;
        let pinned = self.w.task(source).pinned.clone();
        // Workers of batches are among them, and some that were never made.
        let from = StepNumber(u32::try_from(from % (pinned.steps.len() + 3)).unwrap());
        let new = task(u32::try_from(self.tasks.len()).unwrap());
        let command = rerun(&self.w.rows, source, from.0, self.tasks.len().try_into().unwrap(), self.next_action);
        let mut commands: Vec<_> = with.and_then(|(which, end)| self.end(which, end)).into_iter().collect();
        commands.push((command, None));
        let replies = self.transact(commands, 2).await;
        let is_over = self.w.task_state(source).is_over();
        if replies.last().unwrap().is_err() {
            return;
        }
        assert!(is_over, "a task that is not over was rerun");
        self.tasks.push(new);
        let of = |id: TaskId| self.w.rows.results.iter().filter(move |row| row.task == id);
        let is_after = |number: StepNumber| {
            number == from
                || pinned.template_step(number) == from
                || pinned.ancestors(number).contains(&pinned.template_step(from))
        };
        // A batchable step that completed while its task was being cancelled made no workers: it runs again.
        let made = |of: StepNumber| self.w.rows.batches.iter().any(|row| row.task == source && row.number == of);
        let decided = |of: StepNumber| self.w.result(source, of.0).is_some();
        let unmade = |number: &StepNumber| {
            let workers = pinned.children(*number).iter().filter(|&&child| pinned.step(child).is_batch_worker());
            pinned.step(*number).makes_batches() && !workers.clone().all(|&child| made(child) || decided(child))
        };
        for row in of(source).filter(|row| row.outcome.decides_successors()) {
            let kept = self.w.result(new, row.number.0);
            let mut before = pinned.ancestors(row.number);
            before.push(row.number);
            if is_after(row.number) || before.iter().any(|number| decided(*number) && unmade(number)) {
                assert!(kept.is_none_or(|kept| kept.attempt == 0), "it was to run anew: {kept:?}");
                continue;
            }
            assert_eq!(kept, Some(&ResultRow { task: new, ..row.clone() }), "from {from}");
            let (step, old) = (StepRef { task: new, number: row.number }, StepRef { task: source, number: row.number });
            if let Some(told) = self.journal.acknowledged.get(&(old, row.attempt)).copied() {
                self.journal.acknowledged.insert((step, row.attempt), told);
            }
            if let Some(attempt) = self.journal.results.get(&(source, row.number)).copied() {
                self.journal.results.insert((new, row.number), attempt);
            }
        }
    }

    fn some_task(&self, which: usize) -> Option<TaskId> {
        if self.tasks.is_empty() { None } else { Some(self.tasks[which % self.tasks.len()]) }
    }

    /// The command by which one of the held claims ends.
    fn end(&mut self, which: usize, end: End) -> Option<(Command, Option<(Claimed, End)>)> {
        if self.journal.held.is_empty() {
            return None;
        }
        let at = which % self.journal.held.len();
        let claim = self.journal.held.swap_remove(at);
        let command = match end {
            End::Complete { chosen } if claim.pinned.step(claim.live.number).decides() => {
                let children = claim.pinned.children(claim.live.number).iter().enumerate();
                let chosen: Vec<_> =
                    children.filter(|(bit, _)| chosen >> (bit % 32) & 1 == 1).map(|(_, &child)| child).collect();
                decide(&claim, &chosen)
            }
            End::Complete { chosen } if claim.pinned.step(claim.live.number).makes_batches() => cut(&claim, chosen % 6),
            End::Complete { .. } => complete(&claim),
            End::Fail { retryable, timed_out, seed } => {
                finish(&claim, Outcome::Failed(Failure { retryable, timed_out, seed, ..failure() }))
            }
            End::Cancelled => finish(&claim, Outcome::Cancelled),
            End::Release => release(&claim),
            End::Lose => lose(&claim),
        };
        Some((command, Some((claim, end))))
    }

    async fn transact(
        &mut self,
        commands: Vec<(Command, Option<(Claimed, End)>)>,
        free: usize,
    ) -> Vec<Result<Reply, Refusal>> {
        let (commands, ended): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
        let by = worker(self.workers[0]);
        let capacity = Capacity { worker: by, free, queues: self.w.queues.clone(), continued: self.continued };
        let committed = self.w.batch(commands, Some(capacity)).await;
        self.continued += committed.considered;
        assert!(committed.claimed.len() <= free, "more than there were slots");
        assert!(committed.claimed.iter().all(|claim| claim.live.losses == 0), "a step with losses was continued");
        for (reply, ended) in committed.replies.iter().zip(ended) {
            let Some((claim, end)) = ended else { continue };
            // Each claim is held until it ends, so each first end is acknowledged.
            assert!(reply.is_ok(), "{reply:?}: {claim:?}");
            let step = StepRef { task: claim.task, number: claim.live.number };
            let told = match end {
                End::Complete { .. } => "completed",
                End::Fail { .. } | End::Cancelled => "failed",
                End::Release => "released",
                End::Lose => "lost",
            };
            assert_eq!(self.journal.acknowledged.insert((step, claim.live.attempt), told), None, "it ended twice");
            if matches!(end, End::Complete { .. }) {
                let before = self.journal.results.insert((claim.task, claim.live.number), claim.live.attempt);
                assert_eq!(before, None, "a step completed twice");
            }
            self.journal.ended.push(claim);
        }
        self.journal.held.extend(committed.claimed);
        committed.replies
    }

    /// After the faults: what is paused goes on, and whatever is ready is run, and completes.
    async fn come_to_an_end(&mut self) {
        let paused = self.w.rows.tasks.iter().filter(|row| row.state == TaskState::Paused);
        for id in paused.map(|row| row.id).collect::<Vec<_>>() {
            self.next_action += 1;
            self.transact(vec![(act(id, Act::Resume, self.next_action), None)], 0).await;
        }
        for _ in 0..200 {
            for _ in 0..self.journal.held.len() {
                let ended = self.end(0, End::Complete { chosen: u32::MAX }).into_iter().collect();
                self.transact(ended, 1).await;
            }
            self.w.pass(60_000);
            self.w.due().await;
            let claimed = self.w.claim_as(self.w.request(worker(self.workers[1]))).await;
            self.journal.held.extend(claimed);
            if self.journal.held.is_empty() {
                break;
            }
        }
        for row in &self.w.rows.tasks {
            assert!(row.state.is_over(), "task {} is {} and nothing of it can run", row.id, row.state);
        }
    }

    /// The rows tell what the journal tells, no more and no less.
    fn agree(&self) {
        let completed: BTreeMap<_, _> = self
            .w
            .rows
            .results
            .iter()
            .filter(|row| row.outcome == StepState::Completed && row.cause != Cause::Operator)
            .map(|row| ((row.task, row.number), row.attempt))
            .collect();
        assert_eq!(completed, self.journal.results);
        let saved = self.w.rows.checkpoints.iter().map(|row| {
            let step = StepRef { task: row.task, number: row.number };
            (step, (row.attempt, row.value.to_string()))
        });
        assert_eq!(saved.collect::<BTreeMap<_, _>>(), self.journal.saved);
        for row in &self.w.rows.results {
            let told = self.journal.acknowledged.get(&(StepRef { task: row.task, number: row.number }, row.attempt));
            match (row.outcome, row.cause) {
                (_, Cause::Operator) => {}
                (StepState::Completed, _) => assert_eq!(told, Some(&"completed")),
                (StepState::Failed, Cause::Losses) => assert_eq!(told, Some(&"lost")),
                (StepState::Skipped, Cause::Skippable) => {
                    assert!(matches!(told, Some(&("failed" | "lost"))), "{told:?}");
                }
                (StepState::Failed, _) => assert_eq!(told, Some(&"failed")),
                _ => assert_ne!(told, Some(&"completed")),
            }
        }
        for ((step, attempt), told) in &self.journal.acknowledged {
            let result = self.w.result(step.task, step.number.0).filter(|row| row.attempt == *attempt);
            let tried = self
                .w
                .rows
                .attempts
                .iter()
                .find(|row| row.task == step.task && row.number == step.number && row.attempt == *attempt);
            let recorded = usize::from(result.is_some()) + usize::from(tried.is_some());
            let released = tried.is_some_and(|row| row.outcome == AttemptOutcome::Released);
            let by_operator = |row: &ResultRow| row.outcome == StepState::Cancelled || row.cause == Cause::Operator;
            let waited = tried.is_some() && result.is_some_and(by_operator);
            assert!(recorded == 1 || (recorded == 2 && (released || waited)), "{step:?} {attempt} {told}");
            if let Some(tried) = tried {
                let same = match tried.outcome {
                    AttemptOutcome::Failed | AttemptOutcome::TimedOut => *told == "failed",
                    AttemptOutcome::Lost => *told == "lost",
                    AttemptOutcome::Released => *told == "released",
                    AttemptOutcome::Reopened => matches!(*told, "failed" | "lost"),
                };
                assert!(same, "{told} is recorded as {:?}", tried.outcome);
            }
        }
        for row in self.w.rows.tasks.iter().filter(|row| row.state == TaskState::Completed) {
            let done = self.journal.results.keys().filter(|(task, _)| *task == row.id).count();
            let skipped = |over: &&ResultRow| {
                over.task == row.id && (over.outcome == StepState::Skipped || over.cause == Cause::Operator)
            };
            let batches = self.w.rows.batches.iter().filter(|batch| batch.task == row.id);
            let steps = row.pinned.steps.len() + batches.map(|batch| batch.count as usize - 1).sum::<usize>();
            assert_eq!(done + self.w.rows.results.iter().filter(skipped).count(), steps);
        }
    }
}

/// A step that is completed by hand; a decision chooses all its branches, and a batch has two workers.
fn completed(pinned: &Pinned, step: StepNumber) -> ByHand {
    let branches = (pinned.has(step) && pinned.step(step).decides()).then(|| pinned.children(step));
    let names: Option<Vec<&str>> =
        branches.map(|branches| branches.iter().map(|&branch| &*pinned.step(branch).name).collect());
    let result = names.map_or_else(|| "1".to_owned(), |names| json!({ "activated_steps": names }).to_string());
    let makes_batches = pinned.has(step) && pinned.step(step).makes_batches();
    let worker = || pinned.children(step).iter().copied().find(|&child| pinned.step(child).is_batch_worker());
    let says = match branches {
        Some(branches) => Says::Chosen(branches.into()),
        None if makes_batches => Says::Cut(worker().map(|of| Workers { of, count: 2 })),
        None => Says::Nothing,
    };
    ByHand::Complete { result: result.into(), says }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_every_task_ends(
        templates in prop::collection::vec(dags(), 1..3),
        events in prop::collection::vec(events(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::new();
            let mut w = World::new(&store);
            let mut pinned = Vec::new();
            for template in templates {
                pinned.push(w.pin(template).await);
            }
            let mut run = Run {
                w,
                templates: pinned,
                workers: [1, 2, 3],
                next_worker: 4,
                next_action: 0,
                tasks: Vec::new(),
                journal: Journal::default(),
                continued: 0,
            };
            for event in events {
                run.happen(event).await;
            }
            run.come_to_an_end().await;
            run.agree();
        });
    }
}
