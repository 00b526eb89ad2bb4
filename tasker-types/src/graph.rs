//! The steps of a template as a graph.

use crate::StepNumber;

/// Who waits for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    parents: Vec<Vec<StepNumber>>,
    children: Vec<Vec<StepNumber>>,
}

impl Graph {
    /// The steps that `step` waits for.
    #[must_use]
    pub fn parents(&self, step: StepNumber) -> &[StepNumber] {
        &self.parents[step.index()]
    }

    /// The steps that wait for `step`.
    #[must_use]
    pub fn children(&self, step: StepNumber) -> &[StepNumber] {
        &self.children[step.index()]
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parents.len()
    }

    /// Whether there is no step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }
}
