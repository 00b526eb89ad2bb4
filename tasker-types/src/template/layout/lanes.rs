//! The graph in columns: steps, and the lanes of arrows that pass columns.

use super::Size;
use crate::{Graph, StepNumber};

/// How many lanes there may be. With more, arrows that pass columns go straight from box to box: a graph of this kind
/// is a cloud of lines in any drawing.
const MOST_LANES: usize = 20_000;

/// The height that a lane takes.
const LANE_HEIGHT: i64 = 8;

/// A step or a lane.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) column: usize,
    pub(super) width: i64,
    pub(super) height: i64,
    /// Nodes of the column to the left with a line to this one.
    pub(super) left: Vec<usize>,
    /// Nodes of the column to the right with a line from this one.
    pub(super) right: Vec<usize>,
}

/// A dependency, and the lanes through which its arrow goes.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) from: StepNumber,
    pub(super) to: StepNumber,
    pub(super) lanes: Vec<usize>,
}

/// The graph in columns.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// First the steps, in the order of their numbers, then the lanes.
    pub(super) nodes: Vec<Node>,
    /// The nodes of each column from top to bottom.
    pub(super) columns: Vec<Vec<usize>>,
    pub(super) ways: Vec<Way>,
}

impl Lanes {
    pub(super) fn of(graph: &Graph, sizes: &[Size]) -> Self {
        let levels = graph.levels().unwrap_or_else(|_| vec![0; graph.len()]);
        let mut lanes = Self::default();
        for (step, &column) in graph.steps().zip(&levels) {
            let size = sizes.get(step.index()).copied().unwrap_or_default();
            lanes.add(column, size);
        }
        let passed = |from: StepNumber, to: StepNumber| levels[to.index()].saturating_sub(levels[from.index()] + 1);
        let edges = || graph.steps().flat_map(|to| graph.parents(to).iter().map(move |&from| (from, to)));
        let has_lanes = edges().map(|(from, to)| passed(from, to)).sum::<usize>() <= MOST_LANES;
        for (from, to) in edges() {
            let mut way = Way { from, to, lanes: Vec::new() };
            let mut before = from.index();
            if has_lanes {
                for column in (levels[from.index()] + 1)..levels[to.index()] {
                    let lane = lanes.add(column, Size { width: 0, height: LANE_HEIGHT });
                    lanes.join(before, lane);
                    way.lanes.push(lane);
                    before = lane;
                }
            }
            if lanes.nodes[before].column + 1 == levels[to.index()] {
                lanes.join(before, to.index());
            }
            lanes.ways.push(way);
        }
        lanes
    }

    fn add(&mut self, column: usize, size: Size) -> usize {
        let node = self.nodes.len();
        let Size { width, height } = size;
        self.nodes.push(Node { column, width, height, left: Vec::new(), right: Vec::new() });
        if self.columns.len() <= column {
            self.columns.resize_with(column + 1, Vec::new);
        }
        self.columns[column].push(node);
        node
    }

    fn join(&mut self, left: usize, right: usize) {
        self.nodes[left].right.push(right);
        self.nodes[right].left.push(left);
    }
}
