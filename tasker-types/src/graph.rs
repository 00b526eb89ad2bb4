//! The steps of a template as a graph: who waits for whom, in which order they can run.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;

use crate::StepNumber;

/// Who waits for whom.
///
/// ```
/// use tasker_types::{Graph, StepNumber};
///
/// // 0 is first, 1 and 2 wait for it, 3 waits for both.
/// let diamond = Graph::new(vec![vec![], vec![StepNumber(0)], vec![StepNumber(0)], vec![StepNumber(1), StepNumber(2)]]);
/// assert_eq!(diamond.roots(), [StepNumber(0)]);
/// assert_eq!(diamond.leaves(), [StepNumber(3)]);
/// assert_eq!(diamond.children(StepNumber(0)), [StepNumber(1), StepNumber(2)]);
/// assert_eq!(diamond.ancestors(StepNumber(3)), [StepNumber(0), StepNumber(1), StepNumber(2)]);
/// assert_eq!(diamond.depth(), Ok(3));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    parents: Vec<Vec<StepNumber>>,
    children: Vec<Vec<StepNumber>>,
}

/// Steps that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Cycle {
    /// Each step waits for the next one, and the last one for the first.
    pub steps: Vec<StepNumber>,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these steps wait for each other: ")?;
        for step in &self.steps {
            write!(f, "{step} -> ")?;
        }
        self.steps.first().map_or(Ok(()), |first| first.fmt(f))
    }
}

impl Graph {
    /// The graph in which the step of number `n` waits for the steps `parents[n]`.
    ///
    /// # Panics
    /// A parent's number is not below the number of steps. Templates that were parsed or
    /// deserialized never have such a one.
    #[must_use]
    pub fn new(parents: Vec<Vec<StepNumber>>) -> Self {
        let mut children = vec![Vec::new(); parents.len()];
        for (number, of) in (0..).map(StepNumber).zip(&parents) {
            for parent in of {
                children[parent.index()].push(number);
            }
        }
        Self { parents, children }
    }

    /// The steps that `step` waits for.
    #[must_use]
    pub fn parents(&self, step: StepNumber) -> &[StepNumber] {
        &self.parents[step.index()]
    }

    /// The steps that wait for `step`, in the order of their numbers.
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

    /// All steps, in the order of their numbers.
    pub fn steps(&self) -> impl Iterator<Item = StepNumber> + use<> {
        (0..).map(StepNumber).take(self.len())
    }

    /// The steps that wait for none, in the order of their numbers.
    #[must_use]
    pub fn roots(&self) -> Vec<StepNumber> {
        self.steps().filter(|&step| self.parents(step).is_empty()).collect()
    }

    /// The steps that none waits for, in the order of their numbers.
    #[must_use]
    pub fn leaves(&self) -> Vec<StepNumber> {
        self.steps().filter(|&step| self.children(step).is_empty()).collect()
    }

    /// An order in which every step comes after those that it waits for; of the steps that could
    /// come next, always the one with the lowest number (Kahn's algorithm).
    ///
    /// # Errors
    /// Some steps wait for each other.
    pub fn topological(&self) -> Result<Vec<StepNumber>, Cycle> {
        let mut unmet: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut next: BinaryHeap<_> = self.roots().into_iter().map(Reverse).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(Reverse(step)) = next.pop() {
            order.push(step);
            for &child in self.children(step) {
                unmet[child.index()] -= 1;
                if unmet[child.index()] == 0 {
                    next.push(Reverse(child));
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.cycle_among(&unmet)) }
    }

    /// For each step the number of edges on the longest path that leads to it; 0 for a root.
    ///
    /// # Errors
    /// Some steps wait for each other.
    pub fn levels(&self) -> Result<Vec<usize>, Cycle> {
        let mut levels = vec![0; self.len()];
        for step in self.topological()? {
            let above = self.parents(step).iter();
            levels[step.index()] = above.map(|parent| levels[parent.index()] + 1).max().unwrap_or(0);
        }
        Ok(levels)
    }

    /// How many steps the longest path has; 0 where there is no step.
    ///
    /// # Errors
    /// Some steps wait for each other.
    pub fn depth(&self) -> Result<usize, Cycle> {
        Ok(self.levels()?.into_iter().max().map_or(0, |deepest| deepest + 1))
    }

    /// Every step that comes before `step`, in the order of their numbers.
    #[must_use]
    pub fn ancestors(&self, step: StepNumber) -> Vec<StepNumber> {
        self.reached(step, &self.parents)
    }

    /// Every step that comes after `step`, in the order of their numbers.
    #[must_use]
    pub fn descendants(&self, step: StepNumber) -> Vec<StepNumber> {
        self.reached(step, &self.children)
    }

    fn reached(&self, from: StepNumber, edges: &[Vec<StepNumber>]) -> Vec<StepNumber> {
        // A set and not a flag for every step: this is asked of each step that starts, and most have few before them.
        let mut seen: BTreeSet<StepNumber> = edges[from.index()].iter().copied().collect();
        let mut open: Vec<StepNumber> = seen.iter().copied().collect();
        while let Some(step) = open.pop() {
            open.extend(edges[step.index()].iter().copied().filter(|&next| seen.insert(next)));
        }
        seen.into_iter().collect()
    }

    /// A cycle among the steps whose parents could not all be ordered. Each of them has a parent
    /// that is one of them too, so a walk from parent to parent must come back to where it was.
    fn cycle_among(&self, unmet: &[usize]) -> Cycle {
        let stuck = |step: &StepNumber| unmet[step.index()] > 0;
        let mut place = vec![None; self.len()];
        let mut path = Vec::new();
        let mut at = self.steps().find(stuck);
        while let Some(step) = at {
            if let Some(first) = place[step.index()].replace(path.len()) {
                path.drain(..first);
                break;
            }
            path.push(step);
            at = self.parents(step).iter().copied().find(stuck);
        }
        // Begin with the lowest number, so that the same cycle is always told in the same way.
        let lowest = (0..path.len()).min_by_key(|&i| path[i]).unwrap_or(0);
        path.rotate_left(lowest);
        Cycle { steps: path }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(parents: &[&[u32]]) -> Graph {
        Graph::new(parents.iter().map(|of| of.iter().copied().map(StepNumber).collect()).collect())
    }

    fn numbers(steps: &[StepNumber]) -> Vec<u32> {
        steps.iter().map(|step| step.0).collect()
    }

    #[test]
    fn a_diamond_is_ordered_by_its_edges_then_by_number() {
        let diamond = graph(&[&[2, 1], &[3], &[3], &[]]);
        assert_eq!(numbers(&diamond.topological().unwrap()), [3, 1, 2, 0]);
        assert_eq!(diamond.levels().unwrap(), [2, 1, 1, 0]);
        assert_eq!(numbers(&diamond.descendants(StepNumber(3))), [0, 1, 2]);
        assert_eq!(numbers(&diamond.ancestors(StepNumber(3))), [0_u32; 0]);
    }

    #[test]
    fn a_cycle_is_told_from_its_lowest_step_without_what_only_leads_to_it() {
        // 0 waits for 3; 3 -> 2 -> 1 -> 3 is the cycle; 4 is free.
        let cycle = graph(&[&[3], &[4, 3], &[1], &[2], &[]]).topological().unwrap_err();
        assert_eq!(numbers(&cycle.steps), [1, 3, 2]);
        assert_eq!(cycle.to_string(), "these steps wait for each other: 1 -> 3 -> 2 -> 1");
    }

    #[test]
    fn a_step_that_waits_for_itself_is_a_cycle() {
        assert_eq!(numbers(&graph(&[&[0]]).topological().unwrap_err().steps), [0]);
    }

    #[test]
    fn the_empty_graph_has_no_depth() {
        assert_eq!(Graph::default().depth(), Ok(0));
        assert_eq!(Graph::default().topological(), Ok(Vec::new()));
    }

    #[test]
    fn ten_thousand_steps_in_a_row_need_no_stack() {
        let chain =
            Graph::new((0..10_000_u32).map(|n| n.checked_sub(1).map(StepNumber).into_iter().collect()).collect());
        assert_eq!(chain.depth(), Ok(10_000));
        assert_eq!(chain.ancestors(StepNumber(9_999)).len(), 9_999);
        assert_eq!(chain.descendants(StepNumber(0)).len(), 9_999);
        let ring = Graph::new((0..10_000_u32).map(|n| vec![StepNumber((n + 1) % 10_000)]).collect());
        assert_eq!(ring.topological().unwrap_err().steps.len(), 10_000);
    }

    /// Graphs of up to 30 steps with any edges, cycles included.
    fn any_graph() -> impl Strategy<Value = Graph> {
        (1_usize..30).prop_flat_map(|len| {
            let last = u32::try_from(len).unwrap();
            let parents = proptest::collection::btree_set((0..last).prop_map(StepNumber), 0..4);
            proptest::collection::vec(parents.prop_map(|of| of.into_iter().collect()), len).prop_map(Graph::new)
        })
    }

    /// Graphs without cycles: each step's parents have lower numbers.
    fn acyclic_graph() -> impl Strategy<Value = Graph> {
        proptest::collection::vec(proptest::collection::btree_set(any::<u32>(), 0..4), 1..30).prop_map(|seeds| {
            let below = |(n, seeds): (u32, BTreeSet<u32>)| {
                let parents: BTreeSet<_> = seeds.into_iter().filter_map(|s| s.checked_rem(n)).collect();
                parents.into_iter().map(StepNumber).collect()
            };
            Graph::new((0..).zip(seeds).map(below).collect())
        })
    }

    proptest! {
        #[test]
        fn an_order_or_a_true_cycle_is_found(graph in any_graph()) {
            match graph.topological() {
                Ok(order) => {
                    let mut place = vec![0; graph.len()];
                    for (at, step) in order.iter().enumerate() {
                        place[step.index()] = at;
                    }
                    prop_assert_eq!(order.len(), graph.len());
                    for step in graph.steps() {
                        for parent in graph.parents(step) {
                            prop_assert!(place[parent.index()] < place[step.index()]);
                        }
                    }
                }
                Err(cycle) => {
                    prop_assert!(!cycle.steps.is_empty());
                    for (at, &step) in cycle.steps.iter().enumerate() {
                        let next = cycle.steps[(at + 1) % cycle.steps.len()];
                        prop_assert!(graph.parents(step).contains(&next));
                    }
                }
            }
        }

        #[test]
        fn what_comes_before_and_what_comes_after_mirror_each_other(graph in any_graph()) {
            for step in graph.steps() {
                let ancestors = graph.ancestors(step);
                prop_assert!(ancestors.is_sorted());
                for other in graph.steps() {
                    prop_assert_eq!(ancestors.contains(&other), graph.descendants(other).contains(&step));
                }
            }
        }

        #[test]
        fn a_level_is_one_below_the_lowest_parent(graph in acyclic_graph()) {
            let levels = graph.levels().unwrap();
            for step in graph.steps() {
                let above = graph.parents(step).iter().map(|parent| levels[parent.index()] + 1).max();
                prop_assert_eq!(levels[step.index()], above.unwrap_or(0));
            }
            prop_assert_eq!(graph.depth().unwrap(), levels.iter().max().unwrap() + 1);
        }
    }
}
