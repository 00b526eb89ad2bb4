//! The order of nodes in their columns: by the mean place of their neighbours, to and fro.

use std::cmp::Ordering;

use super::lanes::{Lanes, Node};

/// How often all columns are ordered anew. The gain after a few rounds is small.
const ROUNDS: usize = 8;

/// Orders each column so that few arrows cross. Equal orders stay as they were, so what the template lists first stands
/// above.
pub(super) fn order(lanes: &mut Lanes) {
    let mut place = vec![0; lanes.nodes.len()];
    number(&lanes.columns, &mut place);
    let mut best = (crossings(lanes, &place), lanes.columns.clone());
    for round in 0..ROUNDS {
        if best.0 == 0 {
            break;
        }
        let to_the_right = round % 2 == 0;
        for at in 0..lanes.columns.len() {
            let column = if to_the_right { at } else { lanes.columns.len() - 1 - at };
            let neighbours = |node: &Node| if to_the_right { node.left.clone() } else { node.right.clone() };
            let mut keyed: Vec<_> = lanes.columns[column]
                .iter()
                .map(|&node| (Mean::of(neighbours(&lanes.nodes[node]), &place, place[node]), node))
                .collect();
            keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
            lanes.columns[column] = keyed.into_iter().map(|(_, node)| node).collect();
            number(&lanes.columns[column..=column], &mut place);
        }
        let crossings = crossings(lanes, &place);
        if crossings < best.0 {
            best = (crossings, lanes.columns.clone());
        }
    }
    lanes.columns = best.1;
}

fn number(columns: &[Vec<usize>], place: &mut [usize]) {
    for column in columns {
        for (at, &node) in column.iter().enumerate() {
            place[node] = at;
        }
    }
}

/// A mean of whole numbers, compared without rounding.
struct Mean {
    sum: usize,
    count: usize,
}

impl Mean {
    /// The mean place of the neighbours; its own where there are none.
    fn of(neighbours: Vec<usize>, place: &[usize], own: usize) -> Self {
        match neighbours.len() {
            0 => Self { sum: own, count: 1 },
            count => Self { sum: neighbours.into_iter().map(|node| place[node]).sum(), count },
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        (self.sum * other.count).cmp(&(other.sum * self.count))
    }
}

/// How many pairs of lines between neighbouring columns cross (Barth, Jünger and Mutzel, "Simple and Efficient Bilayer
/// Cross Counting", 2002): pairs of lines in the wrong order, counted with a tree of partial sums.
fn crossings(lanes: &Lanes, place: &[usize]) -> usize {
    let mut total = 0;
    for columns in lanes.columns.windows(2) {
        let mut ends: Vec<usize> = Vec::new();
        for &node in &columns[0] {
            let first = ends.len();
            ends.extend(lanes.nodes[node].right.iter().map(|&right| place[right]));
            ends[first..].sort_unstable();
        }
        let mut sums = vec![0_usize; columns[1].len() + 1];
        for (seen, &end) in ends.iter().enumerate() {
            let mut not_below = 0;
            let mut at = end + 1;
            while at > 0 {
                not_below += sums[at];
                at &= at - 1;
            }
            total += seen - not_below;
            let mut at = end + 1;
            while at < sums.len() {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::Size;
    use super::*;
    use crate::{Graph, StepNumber};

    fn ordered(parents: &[&[u32]]) -> (Lanes, usize) {
        let parents = parents.iter().map(|of| of.iter().copied().map(StepNumber).collect()).collect();
        let sizes = vec![Size::default(); 64];
        let mut lanes = Lanes::of(&Graph::new(parents), &sizes);
        order(&mut lanes);
        let mut place = vec![0; lanes.nodes.len()];
        number(&lanes.columns, &mut place);
        let crossings = crossings(&lanes, &place);
        (lanes, crossings)
    }

    #[test]
    fn crossed_chains_are_uncrossed() {
        // 2 waits for 1, and 3 for 0: as listed, the lines cross.
        let (lanes, crossings) = ordered(&[&[], &[], &[1], &[0]]);
        assert_eq!(crossings, 0);
        assert_eq!(lanes.columns[1].len(), 2);
    }

    #[test]
    fn what_cannot_be_uncrossed_is_counted() {
        // Two steps that both wait for the same two: one crossing is unavoidable.
        assert_eq!(ordered(&[&[], &[], &[0, 1], &[0, 1]]).1, 1);
    }

    #[test]
    fn an_order_without_crossings_is_left_as_the_template_lists_it() {
        let (lanes, _) = ordered(&[&[], &[0], &[0], &[1, 2]]);
        assert_eq!(lanes.columns, [vec![0], vec![1, 2], vec![3]]);
    }
}
