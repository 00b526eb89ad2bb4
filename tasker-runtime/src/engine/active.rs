//! What this process knows of the tasks whose steps it runs: their contexts and the results so far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use tasker_types::{DependencyResult, DependencyResults, StepNumber, TaskForExecution, TaskId};

use crate::core::{Claimed, Pinned};
use crate::plant::{Bug, planted};
use crate::store::{InputRequest, StepInput};

/// The tasks of which a step runs here. A parent's result is handed on in memory instead of read back.
#[derive(Debug, Default)]
pub(super) struct Active(HashMap<TaskId, ActiveTask>);

#[derive(Debug, Default)]
struct ActiveTask {
    /// The task itself, once it is known.
    task: Option<Arc<TaskForExecution>>,
    /// `None` where a step is over for good and has no result: it was skipped.
    results: BTreeMap<StepNumber, Option<Arc<DependencyResult>>>,
    /// Steps of which the results of all workers were read that were made after them.
    workers_read: BTreeSet<StepNumber>,
    /// What earlier attempts saved of how far they had come, of steps that are about to run.
    checkpoints: BTreeMap<StepNumber, Arc<Value>>,
    /// Steps of it that run here, or are about to.
    running: usize,
}

impl Active {
    /// Keeps a task that was just submitted here.
    pub(super) fn submitted(&mut self, id: TaskId, task: Arc<TaskForExecution>) {
        self.0.entry(id).or_default().task = Some(task);
    }

    /// A step of the task is about to run here: what is known of the task is kept until it has left.
    pub(super) fn enter(&mut self, id: TaskId) {
        self.0.entry(id).or_default().running += 1;
    }

    /// A step of the task no longer runs here. The last one takes what was kept with it.
    pub(super) fn leave(&mut self, id: TaskId) {
        if let Some(active) = self.0.get_mut(&id) {
            active.running = active.running.saturating_sub(1);
            if active.running == 0 {
                self.0.remove(&id);
            }
        }
    }

    /// Keeps a result for the steps that come after.
    pub(super) fn completed(&mut self, id: TaskId, number: StepNumber, result: Arc<DependencyResult>) {
        if let Some(active) = self.0.get_mut(&id) {
            active.results.insert(number, Some(result));
        }
    }

    /// Takes in what was read from the store.
    pub(super) fn loaded(&mut self, input: StepInput) {
        // Where every step of the task has left, nobody waits for it.
        if let Some(active) = self.0.get_mut(&input.task) {
            active.task = active.task.take().or(input.context);
            active.results.extend(input.results);
            active.checkpoints.extend(input.checkpoints);
        }
    }

    /// What the step needs was read.
    pub(super) fn all_read(&mut self, claimed: &Claimed) {
        if let Some(active) = self.0.get_mut(&claimed.task) {
            let ancestors = claimed.pinned.ancestors(claimed.live.number);
            active.workers_read.extend(workers_before(&claimed.pinned, &ancestors));
        }
    }

    /// What must be read before the step can run; `None` where everything is here.
    pub(super) fn missing(&self, claimed: &Claimed) -> Option<InputRequest> {
        let pinned = &claimed.pinned;
        let ancestors = pinned.ancestors(claimed.live.number);
        let active = self.0.get(&claimed.task);
        let absent = |number: &StepNumber| active.is_none_or(|active| !active.results.contains_key(number));
        // How many workers there are only the rows tell; who waits for them is seldom, and reads them all.
        let read_before = |step: &StepNumber| active.is_some_and(|active| active.workers_read.contains(step));
        let workers_from =
            workers_before(pinned, &ancestors).any(|step| !read_before(&step)).then(|| pinned.first_worker());
        let is_read = |number: &StepNumber| !pinned.step(*number).is_batch_worker();
        let results: Vec<StepNumber> = ancestors.into_iter().filter(is_read).filter(absent).collect();
        let context = active.is_none_or(|active| active.task.is_none());
        // The first attempt of a step finds none.
        let checkpoint_of = (claimed.live.attempt > 1).then_some(claimed.live.number);
        InputRequest { task: claimed.task, context, results, workers_from, checkpoint_of }.unless_empty()
    }

    /// What an earlier attempt of the step saved of how far it had come.
    pub(super) fn take_checkpoint(&mut self, id: TaskId, number: StepNumber) -> Option<Arc<Value>> {
        self.0.get_mut(&id)?.checkpoints.remove(&number).filter(|_| !planted(Bug::CheckpointNotGiven))
    }

    /// The task and the results of every step before this one.
    pub(super) fn data(
        &self,
        id: TaskId,
        pinned: &Pinned,
        number: StepNumber,
    ) -> Option<(Arc<TaskForExecution>, DependencyResults)> {
        let active = self.0.get(&id)?;
        let ancestors = pinned.ancestors(number);
        let result = |number| {
            let result = active.results.get(&number)?.clone()?;
            Some((pinned.name(number), result))
        };
        let workers = active.results.range(pinned.first_worker()..).map(|(&number, _)| number);
        let workers = workers.filter(|&worker| ancestors.binary_search(&pinned.template_step(worker)).is_ok());
        let results = ancestors.iter().copied().chain(workers).filter_map(result).collect();
        Some((active.task.clone()?, DependencyResults::from_unsorted(results)))
    }
}

/// The same requests, with nothing in two of them: thousands of workers of one batch ask for the result that cut their work.
pub(super) fn each_once(requests: impl IntoIterator<Item = InputRequest>) -> Vec<InputRequest> {
    #[derive(PartialEq, Eq, Hash)]
    enum What {
        Context,
        Result(StepNumber),
        Workers,
    }
    let mut asked = HashSet::new();
    let mut left = Vec::new();
    for mut request in requests {
        let mut is_new = |what| asked.insert((request.task, what));
        request.context = request.context && is_new(What::Context);
        request.results.retain(|&number| is_new(What::Result(number)));
        request.workers_from = request.workers_from.filter(|_| is_new(What::Workers));
        left.extend(request.unless_empty());
    }
    left
}

/// Those of the steps that workers of batches are made after.
fn workers_before(pinned: &Pinned, steps: &[StepNumber]) -> impl Iterator<Item = StepNumber> {
    steps.iter().copied().filter(|&step| pinned.step(step).is_batch_worker())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::sample::task;

    #[test]
    fn what_many_steps_of_a_task_need_is_read_once() {
        let request = |number, results: &[u32], workers_from, checkpoint_of| InputRequest {
            task: task(number),
            context: true,
            results: results.iter().map(|&number| StepNumber(number)).collect(),
            workers_from,
            checkpoint_of,
        };
        let (workers, checkpoint) = (Some(StepNumber(9)), Some(StepNumber(4)));
        let requests = [
            request(1, &[0, 1], None, None),
            request(1, &[1, 0], None, None),
            request(2, &[0], None, None),
            request(1, &[1, 2], workers, None),
            request(1, &[0], workers, checkpoint),
        ];
        let left = each_once(requests);
        let told: Vec<_> = left
            .iter()
            .map(|r| {
                (r.task, r.context, r.results.iter().map(|n| n.0).collect::<Vec<_>>(), r.workers_from, r.checkpoint_of)
            })
            .collect();
        let expected = vec![
            (task(1), true, vec![0, 1], None, None),
            (task(2), true, vec![0], None, None),
            (task(1), false, vec![2], workers, None),
            (task(1), false, vec![], None, checkpoint),
        ];
        assert_eq!(told, expected);
    }
}
