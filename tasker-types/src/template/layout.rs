//! Where the steps of a graph stand in a drawing, as data: the SVG and the dashboard draw from it.
//!
//! The drawing goes from left to right: a step's column is the number of steps on the longest path to it, so every arrow
//! points to the right. It follows Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System
//! Structures" (1981): an arrow that passes columns gets a lane through each of them; steps are ordered in their columns
//! by the mean place of their neighbours, to and fro, and the order with the fewest crossings is kept; then each step
//! moves as near to its neighbours as its column has room. Only whole numbers, so it comes out the same everywhere.

mod lanes;
mod order;
mod place;

use serde::Serialize;

use self::lanes::Lanes;
use crate::{Graph, StepNumber};

/// The space around the drawing.
const MARGIN: i64 = 16;
/// The space between two columns, for arrows.
const COLUMN_GAP: i64 = 56;

/// How large something is, in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// From left to right.
    pub width: i64,
    /// From top to bottom.
    pub height: i64,
}

/// A point, in pixels from the left and from the top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Point {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The upper left corner.
    pub corner: Point,
    /// How large its box is.
    pub size: Size,
}

/// A dependency as a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrow {
    /// The step that must be done first.
    pub from: StepNumber,
    /// The step that waits.
    pub to: StepNumber,
    /// The way, in pairs of points: between the two points of a pair the line goes straight on, from pair to pair it
    /// bends. It begins at the right side of `from` and ends at the left side of `to`.
    pub points: Vec<Point>,
}

/// A drawing of a graph.
///
/// ```
/// use tasker_types::template::layout::{Layout, Size};
/// use tasker_types::{Graph, StepNumber};
///
/// let chain = Graph::new(vec![vec![], vec![StepNumber(0)]]);
/// let layout = Layout::of(&chain, &[Size { width: 100, height: 40 }; 2]);
/// let [first, second] = layout.places[..] else { unreachable!() };
/// assert_eq!(first.corner.y, second.corner.y);
/// assert!(first.corner.x + first.size.width < second.corner.x);
/// assert_eq!(layout.arrows.len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// The size of the whole drawing.
    pub size: Size,
    /// Where each step stands, in the order of their numbers.
    pub places: Vec<Place>,
    /// The dependencies, in the order of the steps that wait.
    pub arrows: Vec<Arrow>,
}

impl Layout {
    /// Lays out a graph whose steps' boxes have these sizes; a step without a size gets an empty box.
    ///
    /// Steps that wait for each other, which no parsed template has, all stand in one column with the others.
    #[must_use]
    pub fn of(graph: &Graph, sizes: &[Size]) -> Self {
        let mut lanes = Lanes::of(graph, sizes);
        order::order(&mut lanes);
        let centres = place::centres(&lanes);
        let columns = columns(&lanes);
        let top = lanes.nodes.iter().zip(&centres).map(|(node, y)| y - node.height / 2).min().unwrap_or(0);
        let y = |node: usize| centres[node] - top + MARGIN;
        let places: Vec<Place> = graph
            .steps()
            .map(|step| {
                let node = &lanes.nodes[step.index()];
                let size = sizes.get(step.index()).copied().unwrap_or_default();
                let (left, width) = columns[node.column];
                let corner = Point { x: left + (width - size.width) / 2, y: y(step.index()) - size.height / 2 };
                Place { corner, size }
            })
            .collect();
        let lane = |&node: &usize| {
            let (left, width) = columns[lanes.nodes[node].column];
            [Point { x: left, y: y(node) }, Point { x: left + width, y: y(node) }]
        };
        let arrows = lanes.ways.iter().map(|way| {
            let (from, to) = (places[way.from.index()], places[way.to.index()]);
            // Lines bend between columns only: a narrow box must not send its arrow behind a wide one of its column.
            let (left, width) = columns[lanes.nodes[way.from.index()].column];
            let from_y = from.corner.y + from.size.height / 2;
            let start = [Point { x: from.corner.x + from.size.width, y: from_y }, Point { x: left + width, y: from_y }];
            let (left, _) = columns[lanes.nodes[way.to.index()].column];
            let to_y = to.corner.y + to.size.height / 2;
            let end = [Point { x: left, y: to_y }, Point { x: to.corner.x, y: to_y }];
            let points = start.into_iter().chain(way.lanes.iter().flat_map(lane)).chain(end);
            Arrow { from: way.from, to: way.to, points: points.collect() }
        });
        let arrows = arrows.collect();
        let right = columns.last().map_or(0, |(left, width)| left + width);
        let bottom = (0..lanes.nodes.len()).map(|node| y(node) + lanes.nodes[node].height / 2).max().unwrap_or(0);
        Self { size: Size { width: right + MARGIN, height: bottom + MARGIN }, places, arrows }
    }
}

/// The left side and the width of each column.
fn columns(lanes: &Lanes) -> Vec<(i64, i64)> {
    let mut left = MARGIN;
    let mut columns = Vec::with_capacity(lanes.columns.len());
    for column in &lanes.columns {
        let width = column.iter().map(|&node| lanes.nodes[node].width).max().unwrap_or(0);
        columns.push((left, width));
        left += width + COLUMN_GAP;
    }
    columns
}
