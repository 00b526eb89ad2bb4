//! A template as an SVG image: steps in rows by the longest path that leads to them.

use std::fmt::Write as _;

use tasker_types::{StepNumber, Template};

use super::levels;

/// In pixels.
const LETTER: usize = 8;
const PAD: usize = 14;
const HEIGHT: usize = 34;
const GAP_X: usize = 24;
const GAP_Y: usize = 46;
const MARGIN: usize = 16;
/// How often rows are put in the order of their neighbours.
const ROUNDS: usize = 4;

struct Placed {
    x: usize,
    y: usize,
    width: usize,
}

/// The picture.
pub(super) fn picture(template: &Template) -> String {
    let rows = rows(template);
    let width_of = |step: usize| template.steps[step].name.chars().count() * LETTER + 2 * PAD;
    let row_width =
        |row: &[usize]| row.iter().map(|&step| width_of(step)).sum::<usize>() + GAP_X * row.len().saturating_sub(1);
    let widest = rows.iter().map(|row| row_width(row)).max().unwrap_or(0);
    let mut placed: Vec<Placed> = template.steps.iter().map(|_| Placed { x: 0, y: 0, width: 0 }).collect();
    for (level, row) in rows.iter().enumerate() {
        let mut x = MARGIN + (widest - row_width(row)) / 2;
        for &step in row {
            placed[step] = Placed { x, y: MARGIN + level * (HEIGHT + GAP_Y), width: width_of(step) };
            x += width_of(step) + GAP_X;
        }
    }
    let (width, height) =
        (widest + 2 * MARGIN, rows.len() * HEIGHT + rows.len().saturating_sub(1) * GAP_Y + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{}\" font-family=\"ui-monospace, monospace\" font-size=\"13\">\n<style>\
         rect{{fill:#fff;stroke:#57606a}}text{{fill:#1f2328}}path{{fill:none;stroke:#8c959f;stroke-width:1.5}}\
         @media (prefers-color-scheme:dark){{rect{{fill:#161b22;stroke:#8b949e}}text{{fill:#e6edf3}}}}</style>\n\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8z\" style=\"fill:#8c959f;stroke:none\"/></marker></defs>\n",
        template.name
    );
    for (number, step) in template.steps.iter().enumerate() {
        for parent in &step.dependencies {
            out.push_str(&edge(&placed[parent.index()], &placed[number]));
        }
    }
    for (number, step) in template.steps.iter().enumerate() {
        let Placed { x, y, width } = placed[number];
        _ = writeln!(
            out,
            "<g><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"6\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>",
            x + width / 2,
            y + HEIGHT / 2 + 5,
            step.name
        );
    }
    out.push_str("</svg>\n");
    out
}

fn edge(from: &Placed, to: &Placed) -> String {
    let (x1, y1) = (from.x + from.width / 2, from.y + HEIGHT);
    let (x2, y2) = (to.x + to.width / 2, to.y);
    let middle = y1 + (y2.saturating_sub(y1)) / 2;
    format!("<path d=\"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}\" marker-end=\"url(#to)\"/>\n")
}

/// The steps of each level, in an order that crosses few edges: each row is put in the order of where its parents stand,
/// then of where its children do, a few times over (Sugiyama, Tagawa, Toda 1981).
fn rows(template: &Template) -> Vec<Vec<usize>> {
    let levels = levels(template);
    let graph = template.graph();
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); levels.iter().copied().max().map_or(0, |most| most + 1)];
    for (step, &level) in levels.iter().enumerate() {
        rows[level].push(step);
    }
    let mut at: Vec<usize> = vec![0; levels.len()];
    let note = |row: &[usize], at: &mut Vec<usize>| row.iter().enumerate().for_each(|(place, &step)| at[step] = place);
    rows.iter().for_each(|row| note(row, &mut at));
    for round in 0..ROUNDS {
        let downwards = round % 2 == 0;
        let order: Vec<usize> = if downwards { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for level in order {
            let place = |&step: &usize| {
                let number = StepNumber(u32::try_from(step).unwrap_or(u32::MAX));
                let near = if downwards { graph.parents(number) } else { graph.children(number) };
                let sum: usize = near.iter().map(|next| at[next.index()]).sum();
                // Scaled, so that the mean keeps a fraction.
                if near.is_empty() { at[step] * 1000 } else { sum * 1000 / near.len() }
            };
            let mut row = std::mem::take(&mut rows[level]);
            row.sort_by_key(place);
            note(&row, &mut at);
            rows[level] = row;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use tasker_types::template::parse;

    use super::*;

    #[test]
    fn rows_follow_the_longest_path_and_are_put_in_the_order_of_their_parents() {
        let source = "name: x\nsteps:\n- name: a\n- name: b\n- {name: c, dependencies: [b]}\n- {name: d, dependencies: [a]}\n- {name: e, dependencies: [a, c]}\n";
        let template = parse("x.yaml", source).expect("it is well").template;
        assert_eq!(rows(&template), [vec![0, 1], vec![3, 2], vec![4]]);
        assert_eq!(picture(&template).matches("marker-end").count(), 4);
    }
}
