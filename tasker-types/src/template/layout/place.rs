//! How high or low each node stands: as near to its neighbours as its column has room.

use super::lanes::{Lanes, Node};

/// The space between two boxes, and between a box or a lane and a lane.
const GAP: i64 = 20;
/// How often all columns are placed anew.
const ROUNDS: usize = 6;

/// The height of each node's middle.
pub(super) fn centres(lanes: &Lanes) -> Vec<i64> {
    let mut centres = vec![0; lanes.nodes.len()];
    for column in &lanes.columns {
        let stacked = offsets(column, lanes);
        let middle = stacked.last().copied().unwrap_or(0) / 2;
        for (&node, offset) in column.iter().zip(stacked) {
            centres[node] = offset - middle;
        }
    }
    for round in 0..ROUNDS {
        let to_the_right = round % 2 == 0;
        for at in 0..lanes.columns.len() {
            let at = if to_the_right { at } else { lanes.columns.len() - 1 - at };
            let column = &lanes.columns[at];
            let wishes = column.iter().map(|&node| wish(&lanes.nodes[node], to_the_right, centres[node], &centres));
            let placed = nearest(&wishes.collect::<Vec<_>>(), &offsets(column, lanes));
            for (&node, centre) in column.iter().zip(placed) {
                centres[node] = centre;
            }
        }
    }
    centres
}

/// Where the node would stand if it were alone: at the mean of its neighbours, or where it is.
fn wish(node: &Node, to_the_right: bool, own: i64, centres: &[i64]) -> i64 {
    let neighbours = if to_the_right { &node.left } else { &node.right };
    match i64::try_from(neighbours.len()) {
        Ok(0) | Err(_) => own,
        Ok(count) => neighbours.iter().map(|&neighbour| centres[neighbour]).sum::<i64>() / count,
    }
}

/// Where each node of a column stands when they stand as close as they may, the first one at 0.
fn offsets(column: &[usize], lanes: &Lanes) -> Vec<i64> {
    let mut offsets = Vec::with_capacity(column.len());
    let mut at = 0;
    let mut before = None;
    for &node in column {
        let height = lanes.nodes[node].height;
        if let Some(before) = before {
            at += (before + height) / 2 + GAP;
        }
        offsets.push(at);
        before = Some(height);
    }
    offsets
}

/// The places nearest to the wishes (by the sum of squares) at which the nodes keep their order and their distances:
/// isotonic regression by pooling adjacent violators, on what is left of a wish without its offset.
fn nearest(wishes: &[i64], offsets: &[i64]) -> Vec<i64> {
    // Blocks of nodes that stand as close as they may: the sum of their wishes, and how many they are.
    let mut blocks: Vec<(i64, i64)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(offsets) {
        let mut block = (wish - offset, 1);
        while let Some(&(sum, count)) = blocks.last() {
            if sum * block.1 <= block.0 * count {
                break;
            }
            block = (sum + block.0, count + block.1);
            blocks.pop();
        }
        blocks.push(block);
    }
    let means = blocks.into_iter().flat_map(|(sum, count)| (0..count).map(move |_| sum.div_euclid(count)));
    means.zip(offsets).map(|(mean, offset)| mean + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_that_keep_their_distance_are_granted() {
        assert_eq!(nearest(&[0, 100, 300], &[0, 60, 120]), [0, 100, 300]);
    }

    #[test]
    fn those_that_wish_for_one_place_share_the_way() {
        assert_eq!(nearest(&[100, 100, 100], &[0, 60, 120]), [40, 100, 160]);
        // The last one is far away and stays there.
        assert_eq!(nearest(&[100, 100, 900], &[0, 60, 120]), [70, 130, 900]);
    }
}
