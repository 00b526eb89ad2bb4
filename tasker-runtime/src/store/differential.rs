//! The same calls, into memory and into a file that two processes share, give the same answers and the same rows.

mod event;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tasker_types::template::Lifecycle;
use tasker_types::{BatchSpec, FailureStrategy, IfExists, StalenessAction, Start, StepNumber, StepType, TaskState};

use self::event::{EventCall, Given, published, publishing};
use crate::core::{
    Act, Batch, ByHand, Capacity, Claimed, Command, Dump, Finish, Identity, KnownBy, Loss, NewTask, Outcome, Pinned,
    Says, StepRef, TaskInput, Workers, check,
};
use crate::store::conformance::sample::{
    act, at, cancel, chain, checkpoint, failure, fan, lease as lease_of, new_task, queues, rerun, retry, retry_step,
    roots, task, template, with_types, worker,
};
use crate::store::{
    ClaimRequest, InputRequest, LeaseAct, LeaseRequest, MemoryStore, Page, Store, StoreError, TaskFilter, Whose,
};

#[derive(Debug, Clone)]
pub(super) enum Call {
    Transact { asks: Vec<Ask>, slots: Option<usize>, continued: u64 },
    Claim { worker: u32, limit: u32, lossy: bool, rotation: usize, queues: usize },
    Due { millis: u64 },
    Lease { worker: u32, act: LeaseAct, seconds: u64 },
    Pin { template: usize, description: u8 },
    Prune { limit: u32 },
    Event(EventCall),
    Read { task: u32, limit: u32, filter: TaskFilter, prefix: String },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    Submit {
        task: u32,
        template: usize,
        priority: i16,
        known: Option<u8>,
        conflict: bool,
        delay_ms: u64,
    },
    /// The end of a claim that was handed out at some time, true to it or not.
    End {
        claim: usize,
        how: u8,
        attempt: u32,
        worker: u32,
        seed: u64,
    },
    Cancel {
        task: u32,
        action: u32,
    },
    Act {
        task: u32,
        step: u32,
        what: u8,
        action: u32,
    },
    Retry {
        task: u32,
        step: Option<u32>,
        action: u32,
    },
    /// A claim that was handed out at some time saves this, whether it still holds or not.
    Save {
        claim: usize,
        value: u64,
    },
    Rerun {
        task: u32,
        from: u32,
        new: u32,
        action: u32,
    },
}

fn asks() -> impl Strategy<Value = Ask> {
    prop_oneof![
        3 => (0..12u32, any::<usize>(), prop_oneof![9 => -2..3i16, 1 => any::<i16>()])
            .prop_flat_map(|submit| (Just(submit), prop::option::weighted(0.4, 0..4u8), any::<bool>(), 0..6u64))
            .prop_map(|((task, template, priority), known, conflict, delay)| {
                Ask::Submit { task, template, priority, known, conflict, delay_ms: delay.saturating_sub(4) * 500 }
            }),
        8 => (any::<usize>(), any::<u8>(), prop_oneof![9 => Just(0u32), 1 => 1..3u32], 0..4u32, any::<u64>())
            .prop_map(|(claim, how, attempt, worker, seed)| Ask::End { claim, how, attempt, worker, seed }),
        1 => (0..13u32, 0..6u32).prop_map(|(task, action)| Ask::Cancel { task, action }),
        2 => (0..13u32, 0..6u32, any::<u8>(), 0..60u32)
            .prop_map(|(task, step, what, action)| Ask::Act { task, step, what, action }),
        2 => (0..13u32, prop::option::of(0..6u32), 0..40u32)
            .prop_map(|(task, step, action)| Ask::Retry { task, step, action }),
        2 => (any::<usize>(), any::<u64>()).prop_map(|(claim, value)| Ask::Save { claim, value }),
        2 => (0..13u32, 0..7u32, 8..20u32, 0..80u32)
            .prop_map(|(task, from, new, action)| Ask::Rerun { task, from, new, action }),
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        8 => (prop::collection::vec(asks(), 0..8), prop::option::of(0..4usize), 0..20u64)
            .prop_map(|(asks, slots, continued)| Call::Transact { asks, slots, continued }),
        5 => (0..4u32, 0..6u32, any::<bool>(), any::<usize>(), 0..8usize).prop_map(
            |(worker, limit, lossy, rotation, queues)| Call::Claim { worker, limit, lossy, rotation, queues }
        ),
        3 => (0..4_000u64).prop_map(|millis| Call::Due { millis }),
        3 => (0..4u32, prop_oneof![Just(LeaseAct::Begin), Just(LeaseAct::Renew), Just(LeaseAct::End)], 0..9u64)
            .prop_map(|(worker, act, seconds)| Call::Lease { worker, act, seconds }),
        1 => (0..6usize, 0..3u8).prop_map(|(template, description)| Call::Pin { template, description }),
        1 => (0..5u32).prop_map(|limit| Call::Prune { limit }),
        6 => event::calls().prop_map(Call::Event),
        2 => (0..13u32, 0..6u32, filters(), "[0-9a-fxF+]{0,3}")
            .prop_map(|(task, limit, filter, prefix)| Call::Read { task, limit, filter, prefix }),
    ]
}

fn filters() -> impl Strategy<Value = TaskFilter> {
    let named = |names: &'static [&'static str], often| {
        prop::option::weighted(often, prop::sample::select(names).prop_map(str::to_owned))
    };
    let steps = &["step_0", "step_1", "step_2", "step_1_001", "step_1_003", "step_1_2", "step_"];
    let states = prop::collection::vec(prop::sample::select(TaskState::ALL), 0..3);
    let errors = &["A", "B", "retryable_error", "x"];
    (states, named(&["fan", "chain", "batches"], 0.3), named(&["default"], 0.3), named(steps, 0.5), named(errors, 0.5))
        .prop_map(|(states, template, namespace, step, error)| TaskFilter { states, template, namespace, step, error })
}

/// The detail of an error with a code that may be another one the next time.
fn detail(seed: u64) -> Arc<str> {
    let code = ["A", "B"][usize::from(seed.is_multiple_of(2))];
    format!(r#"{{"message":"no","error_type":"retryable_error","error_code":"{code}"}}"#).into()
}

struct Both {
    memory: MemoryStore,
    /// Two processes; the first one is asked most of the time, and remembers what it wrote.
    files: [Box<dyn Store>; 2],
    asked: usize,
    now: u64,
    pinned: Vec<Arc<Pinned>>,
    handed_out: Vec<Claimed>,
    given: Given,
    /// As they stood after the last call.
    rows: Dump,
}

impl Both {
    fn file(&self) -> &dyn Store {
        &*self.files[self.asked]
    }

    fn answered<T: Debug>(&self, memory: Result<T, StoreError>, file: Result<T, StoreError>) {
        let told = |answer: Result<T, StoreError>| match answer {
            Ok(answer) => format!("{answer:?}"),
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(told(memory), told(file));
    }

    async fn call(&mut self, call: Call) {
        match call {
            Call::Transact { asks, slots, continued } => {
                let capacity =
                    slots.map(|free| Capacity { worker: worker(1), free, queues: queues(&self.pinned), continued });
                let commands = asks.into_iter().filter_map(|ask| self.command(ask)).collect();
                let batch = Batch { commands, capacity, now: Some(at(self.now)) };
                let memory = self.memory.transact(batch.clone()).await;
                self.handed_out.extend(memory.iter().flat_map(|committed| committed.claimed.clone()));
                let file = self.file().transact(batch).await;
                self.answered(memory, file);
            }
            Call::Claim { worker: by, limit, lossy, rotation, queues: some } => {
                let queues: Arc<[_]> = queues(&self.pinned).iter().copied().skip(some % 4).collect();
                let request =
                    ClaimRequest { worker: worker(by), queues, limit, lossy, now: Some(at(self.now)), rotation };
                let memory = self.memory.claim(request.clone()).await;
                self.handed_out.extend(memory.iter().flat_map(|claims| claims.claimed.clone()));
                let file = self.file().claim(request).await;
                self.answered(memory, file);
                for whose in [Whose::Worker(worker(by)), Whose::Expired(Some(at(self.now)))] {
                    let claims = (self.memory.claims(whose, 3).await, self.file().claims(whose, 3).await);
                    self.answered(claims.0, claims.1);
                }
            }
            Call::Due { millis } => {
                self.now += millis;
                let now = Some(at(self.now));
                let due = (self.memory.due(now).await, self.file().due(now).await);
                self.answered(due.0, due.1);
            }
            Call::Lease { worker: by, act, seconds } => {
                let (queues, lease) = (queues(&self.pinned), Duration::from_secs(seconds));
                let request = LeaseRequest { queues, lease, ..lease_of(worker(by), act, at(self.now)) };
                let leased = (self.memory.lease(request.clone()).await, self.file().lease(request).await);
                self.answered(leased.0, leased.1);
                let now = Some(at(self.now));
                let told = (self.memory.workers(now).await, self.file().workers(now).await);
                self.answered(told.0, told.1);
            }
            Call::Pin { template, description } => {
                let resolved = resolved(template, description);
                let now = at(self.now);
                let memory = self.memory.pin(resolved.clone(), now).await;
                self.pinned.push(memory.clone().unwrap());
                let file = self.file().pin(resolved, now).await;
                self.answered(memory, file);
                let listed = (self.memory.list_templates().await, self.file().list_templates().await);
                self.answered(listed.0, listed.1);
                for (name, version) in [("fan", None), ("chain", Some("1.0.1")), ("none", None)] {
                    let memory = self.memory.find_template("default", name, version).await;
                    let file = self.file().find_template("default", name, version).await;
                    self.answered(memory, file);
                }
            }
            Call::Prune { limit } => {
                let now = Some(at(self.now));
                let memory = self.memory.prune(Duration::ZERO, limit, now).await;
                let pruned = (memory, self.file().prune(Duration::ZERO, limit, now).await);
                self.answered(pruned.0, pruned.1);
            }
            Call::Event(call) => self.event_call(call).await,
            Call::Read { task: number, limit, filter, prefix } => self.read(number, limit, filter, &prefix).await,
        }
        let (memory, file) = (self.memory.dump(None, 100).await.unwrap(), self.file().dump(None, 100).await.unwrap());
        assert_eq!(check(&memory), []);
        assert_eq!(memory, file);
        self.rows = memory;
    }

    async fn read(&mut self, number: u32, limit: u32, filter: TaskFilter, prefix: &str) {
        let id = task(number);
        let found = (self.memory.find_task(id).await, self.file().find_task(id).await);
        self.answered(found.0, found.1);
        let failed =
            (self.memory.failures(filter.clone(), limit).await, self.file().failures(filter.clone(), limit).await);
        self.answered(failed.0, failed.1);
        let page = Page { before: (number > 6).then_some(id), limit };
        let listed = (self.memory.list_tasks(filter.clone(), page).await, self.file().list_tasks(filter, page).await);
        self.answered(listed.0, listed.1);
        let found =
            (self.memory.tasks_by_prefix(prefix, limit).await, self.file().tasks_by_prefix(prefix, limit).await);
        self.answered(found.0, found.1);
        let counted = (self.memory.counts().await, self.file().counts().await);
        self.answered(counted.0, counted.1);
        let results = (0..3).map(StepNumber).collect();
        let wanted = vec![
            InputRequest {
                task: id,
                context: number > 4,
                results,
                workers_from: Some(StepNumber(3)),
                checkpoint_of: Some(StepNumber(limit)),
            },
            InputRequest {
                task: task(limit),
                context: true,
                results: vec![StepNumber(limit)],
                workers_from: None,
                checkpoint_of: None,
            },
        ];
        let given = (self.memory.inputs(wanted.clone()).await, self.file().inputs(wanted).await);
        self.answered(given.0, given.1);
        let asked: Vec<_> = (0..number).map(task).collect();
        let told = (self.memory.cancelling(asked.clone()).await, self.file().cancelling(asked).await);
        self.answered(told.0, told.1);
        let of = Some((0..number).step_by(2).map(task).collect::<Vec<_>>());
        for of in [None, of] {
            let now = Some(at(self.now));
            let late = (self.memory.overdue(of.clone(), now, limit).await, self.file().overdue(of, now, limit).await);
            self.answered(late.0, late.1);
        }
        let part = (self.memory.dump(Some(id), limit).await, self.file().dump(Some(id), limit).await);
        self.answered(part.0, part.1);
    }

    fn command(&self, ask: Ask) -> Option<Command> {
        Some(match ask {
            Ask::Submit { task: number, template, priority, known, conflict, delay_ms } => {
                let pinned = &self.pinned[template % self.pinned.len()];
                let if_exists = if conflict { IfExists::Conflict } else { IfExists::Attach };
                let known_by = known.map(|number| KnownBy { identity: Identity([number; 32]), if_exists });
                let start = Start::In(Duration::from_millis(delay_ms));
                let priority = if number == 0 { 0 } else { priority };
                let new = new_task(task(number), pinned);
                let claim_timeout = delay_ms.is_multiple_of(2).then(|| Duration::from_millis(1 + delay_ms));
                Command::Submit(NewTask {
                    priority,
                    known_by,
                    start,
                    input: TaskInput { claim_timeout, ..new.input },
                    ..new
                })
            }
            Ask::End { claim, how, attempt, worker: by, seed } => {
                let claim = self.handed_out.get(claim.checked_rem(self.handed_out.len())?)?;
                let step = StepRef { task: claim.task, number: claim.live.number };
                let attempt = claim.live.attempt + attempt;
                let worker = if by == 0 { worker(1) } else { claim.live.claimed_by? };
                let outcome = match how % 8 {
                    0 => return Some(Command::Lose { step, attempt, worker, loss: Loss::WorkerDied }),
                    1 => return Some(Command::Release { step, attempt, worker }),
                    2 => {
                        let detail = detail(seed);
                        Outcome::Failed(crate::core::Failure { retryable: false, seed, detail, ..failure() })
                    }
                    3 => Outcome::Failed(crate::core::Failure { timed_out: true, seed, ..failure() }),
                    4 => Outcome::Cancelled,
                    _ if claim.pinned.step(step.number).makes_batches() => {
                        let workers = Workers { of: StepNumber(1), count: u32::try_from(seed % 4).ok()? };
                        let workers = (workers.count > 0).then_some(workers);
                        Outcome::Cut { result: format!("[{seed}]").into(), detail: None, workers }
                    }
                    _ if claim.pinned.step(step.number).decides() => {
                        let children = claim.pinned.children(step.number).iter().enumerate();
                        let chosen: Vec<StepNumber> =
                            children.filter(|(bit, _)| seed >> bit & 1 == 1).map(|(_, &child)| child).collect();
                        let names: Vec<_> =
                            chosen.iter().map(|&child| claim.pinned.step(child).name.to_string()).collect();
                        let result = serde_json::json!({ "activated_steps": names }).to_string().into();
                        Outcome::Decided { result, detail: None, chosen: chosen.into() }
                    }
                    _ => Outcome::Completed { result: format!("[{seed}]").into(), detail: None },
                };
                Command::Finish(Finish { step, attempt, worker, outcome, published: published(seed) })
            }
            Ask::Cancel { task: number, action } => cancel(task(number), action),
            Ask::Act { task: number, step, what, action } => {
                let step = StepNumber(step);
                let wanted = match what % 7 {
                    0 => Act::Pause,
                    1 | 2 => Act::Resume,
                    3 => Act::Resolve,
                    4 => Act::End(step, ByHand::Skip),
                    // Its time is over, unless an operator has let it go on since.
                    5 => Act::Expire { could_start: at(0).before(Duration::from_secs(3_600)) },
                    _ => Act::End(step, ByHand::Complete { result: format!("[{what}]").into(), says: Says::Nothing }),
                };
                act(task(number), wanted, action)
            }
            Ask::Save { claim, value } => {
                let claim = self.handed_out.get(claim.checked_rem(self.handed_out.len())?)?;
                checkpoint(claim, &value.to_string())
            }
            Ask::Rerun { task: number, from, new, action } => {
                self.rows.tasks.iter().find(|row| row.id == task(number))?;
                rerun(&self.rows, task(number), from, new, action)
            }
            Ask::Retry { task: number, step: None, action } => retry(task(number), action),
            Ask::Retry { task: number, step: Some(step), action } => retry_step(task(number), step, action),
        })
    }
}

fn resolved(which: usize, description: u8) -> crate::core::ResolvedTemplate {
    let mut resolved = match which {
        0 => chain(3),
        1 => fan(3),
        2 => roots(2),
        3 => {
            let parents: &[&[u32]] = &[&[], &[0], &[0], &[2], &[1, 3]];
            let types = [(0, StepType::Decision), (4, StepType::DeferredConvergence)];
            let mut fork = with_types(template("fork", parents), &types);
            fork.template.steps[3].skippable = true;
            fork
        }
        4 => {
            let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
            let mut batches = with_types(template("batches", &[&[], &[0], &[1]]), &types);
            let failure_strategy = FailureStrategy::ALL[usize::from(description) % 3];
            batches.template.steps[0].batch = Some(BatchSpec { parallelism: Some(2), failure_strategy });
            batches
        }
        _ => template("diamonds", &[&[], &[0], &[0], &[1, 2], &[], &[3, 4]]),
    };
    if description != 1 {
        resolved = publishing(resolved);
        let lifecycle = Lifecycle { max_duration_minutes: 1, staleness_action: StalenessAction::Dlq };
        resolved.template.lifecycle = Some(lifecycle);
    }
    resolved.template.description = Some(description.to_string());
    resolved.template.version = format!("1.0.{}", description / 2);
    for step in &mut resolved.steps {
        (step.retry.max_attempts, step.retry.max_losses) = (2, 2);
    }
    resolved
}

/// Both answer these calls alike: the memory store, and two processes on one database.
pub(super) async fn compare(files: [Box<dyn Store>; 2], calls: Vec<(bool, Call)>) {
    let mut both = Both {
        memory: MemoryStore::new(),
        files,
        asked: 0,
        now: 0,
        pinned: Vec::new(),
        handed_out: Vec::new(),
        given: Given::default(),
        rows: Dump::default(),
    };
    both.call(Call::Pin { template: 0, description: 0 }).await;
    for worker in 1..3 {
        both.call(Call::Lease { worker, act: LeaseAct::Begin, seconds: 100 }).await;
    }
    both.subscribe_all().await;
    for (second, call) in calls {
        both.asked = usize::from(second);
        both.call(call).await;
    }
}

/// Calls, now and then of the second process.
pub(super) fn histories() -> impl Strategy<Value = Vec<(bool, Call)>> {
    prop::collection::vec((prop::bool::weighted(0.15), calls()), 1..60)
}
