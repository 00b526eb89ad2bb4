//! `template graph`: a template as a picture.

use std::fmt::Write as _;

use tasker_types::{StepType, Template};

use super::args::Graph;
use super::exit::Exit;
use super::problem::Problem;
use super::screen::{BOLD, DIM};
use super::{Context, Outcome};

/// Draws a template.
pub(crate) fn draw(context: &Context, template: &Template, args: &Graph) -> Outcome {
    let text = if args.svg {
        template.to_svg()
    } else if args.mermaid {
        template.to_mermaid()
    } else {
        outline(template, args.file.is_none())
    };
    match &args.file {
        None => context.screen.data(text.trim_end())?,
        Some(file) => {
            std::fs::write(file, &text)
                .map_err(|error| Problem::new("E316", format!("{} cannot be written: {error}", file.display())))?;
            context.screen.status(format!("wrote {}", file.display()));
        }
    }
    Ok(Exit::Ok)
}

/// The longest path that leads to each step.
fn levels(template: &Template) -> Vec<usize> {
    // The parser has refused cycles.
    template.graph().levels().unwrap_or_else(|_| vec![0; template.steps.len()])
}

/// The steps in the order in which they can run; what stands on one line can run at once.
fn outline(template: &Template, styled: bool) -> String {
    let (bold, dim) = if styled { (BOLD, DIM) } else { Default::default() };
    let levels = levels(template);
    let mut out = String::new();
    for level in 0..=levels.iter().copied().max().unwrap_or(0) {
        for (number, step) in template.steps.iter().enumerate().filter(|(number, _)| levels[*number] == level) {
            let parents: Vec<&str> =
                step.dependencies.iter().map(|parent| template.steps[parent.index()].name.as_str()).collect();
            let indent = "  ".repeat(levels[number]);
            let kind = match step.step_type {
                StepType::Standard => String::new(),
                kind => format!("  {dim}{}{dim:#}", kind.as_str().replace('_', " ")),
            };
            let after = match parents.as_slice() {
                [] => kind,
                parents => format!("{kind}  {dim}after {}{dim:#}", parents.join(", ")),
            };
            _ = writeln!(out, "{indent}{bold}{}{bold:#}{after}", step.name);
        }
    }
    out
}
