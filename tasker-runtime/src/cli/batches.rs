//! Workers of batches, which can be many, in a few lines.

use tasker_types::{StepNumber, StepState};

use crate::store::{StepView, TaskView};

/// Workers of one batch that are shown one by one.
const SHOWN_WORKERS: usize = 20;

/// The workers that were made after one step.
#[derive(Debug)]
pub(crate) struct Batch<'v> {
    /// The step that they are made after.
    pub(crate) of: StepNumber,
    /// Its name.
    pub(crate) name: &'v str,
    workers: Vec<&'v StepView>,
}

impl<'v> Batch<'v> {
    /// The batches of a task, in the order of its template.
    pub(crate) fn all(view: &'v TaskView) -> Vec<Self> {
        let pinned = &view.row.pinned;
        let mut batches: Vec<Self> = Vec::new();
        for step in &view.steps {
            if pinned.worker_index(step.number).is_none() {
                continue;
            }
            let of = pinned.template_step(step.number);
            match batches.iter_mut().find(|batch| batch.of == of) {
                Some(batch) => batch.workers.push(step),
                None => batches.push(Self { of, name: &pinned.step(of).name, workers: vec![step] }),
            }
        }
        batches.sort_by_key(|batch| batch.of);
        batches
    }

    /// How many workers are over, and how many there are, as in `3/5`.
    pub(crate) fn count(&self) -> String {
        let over = self.workers.iter().filter(|worker| worker.state.is_over()).count();
        format!("{over}/{}", self.workers.len())
    }

    /// Whether all of them are over.
    pub(crate) fn is_over(&self) -> bool {
        self.workers.iter().all(|worker| worker.state.is_over())
    }

    /// The workers that are shown one by one: all of them, or, of many, the first of those of which there is something to tell.
    pub(crate) fn shown(&self) -> Vec<&'v StepView> {
        if self.workers.len() <= SHOWN_WORKERS {
            return self.workers.clone();
        }
        let plain = |state| {
            matches!(state, StepState::Completed | StepState::Pending | StepState::Ready | StepState::Cancelled)
        };
        self.workers.iter().filter(|worker| !plain(worker.state)).take(SHOWN_WORKERS).copied().collect()
    }

    /// How many are not shown.
    pub(crate) fn hidden(&self) -> usize {
        self.workers.len() - self.shown().len()
    }
}
