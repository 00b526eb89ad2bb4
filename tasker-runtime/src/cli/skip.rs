//! Why a step was skipped, for a person and for a program.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;
use tasker_types::StepState;

use super::document::step_of;
use crate::core::chosen;
use crate::store::{StepView, TaskView};

/// Why a step was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(crate) enum Skip<'v> {
    /// A decision chose others.
    NotChosen {
        /// The decision.
        by: &'v str,
    },
    /// What leads to it was not chosen.
    AfterSkipped {
        /// A step that it depends on.
        step: &'v str,
    },
    /// It failed, and its template says to go on without it.
    Failed,
    /// An operator said to go on without it.
    ByHand {
        /// Who.
        by: &'v str,
    },
}

impl<'v> Skip<'v> {
    /// Why this step was skipped, if it was. What a view does not say follows from the steps before: a step that was never
    /// tried, and that no operator skipped, was skipped by a decision, directly or along a branch.
    pub(crate) fn of(view: &'v TaskView, step: &StepView) -> Option<Self> {
        if step.state != StepState::Skipped {
            return None;
        }
        if let Some(reason) = Self::without_decision(view, step) {
            return Some(reason);
        }
        let pinned = &view.row.pinned;
        let parents = pinned.graph().parents(pinned.template_step(step.number));
        let parents: Vec<&StepView> = parents.iter().filter_map(|&parent| step_of(view, parent)).collect();
        let is_decision = |parent: &&&StepView| {
            parent.state == StepState::Completed
                && pinned.step(parent.number).decides()
                && !pinned.step(step.number).joins()
        };
        let decisions: Vec<&&StepView> = parents.iter().filter(is_decision).collect();
        let cut_off = parents
            .iter()
            .find(|parent| parent.state == StepState::Skipped && Self::without_decision(view, parent).is_none());
        let by = match decisions.as_slice() {
            // The only one there is has to be the one: nothing needs to be looked up.
            [only] if cut_off.is_none() => Some(*only),
            several => several.iter().copied().find(|decision| {
                let result = decision.result.as_ref();
                let went_on = result.and_then(|result| chosen(pinned, decision.number, result).ok());
                went_on.is_some_and(|went_on| !went_on.contains(&step.number))
            }),
        };
        match (by, cut_off) {
            (Some(decision), _) => Some(Self::NotChosen { by: &decision.name }),
            (None, Some(parent)) => Some(Self::AfterSkipped { step: &parent.name }),
            (None, None) => None,
        }
    }

    /// Why a skipped step was, if it was no decision.
    fn without_decision(view: &'v TaskView, step: &StepView) -> Option<Self> {
        let mut actions = view.actions.iter();
        match actions.find(|action| action.kind == "skip" && action.number == Some(step.number)) {
            Some(action) => Some(Self::ByHand { by: &action.actor }),
            None => (step.attempt > 0).then_some(Self::Failed),
        }
    }
}

impl fmt::Display for Skip<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotChosen { by } => write!(f, "not chosen by `{by}`"),
            Self::AfterSkipped { step } => write!(f, "comes after `{step}`, which was skipped"),
            Self::Failed => f.write_str("skipped over after it failed"),
            // Who, when and why is in the task's actions.
            Self::ByHand { .. } => f.write_str("skipped by hand"),
        }
    }
}
