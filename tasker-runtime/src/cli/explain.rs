//! `explain`: what a code means, and what to do.

mod pages;

use serde_json::{Value, json};
use tasker_types::suggest::nearest;
use tasker_types::template::codes;

use super::args::Format;
use super::exit::Exit;
use super::problem::Problem;
use super::screen::{BOLD, DIM};
use super::table::{Cell, Table};
use super::task::lines;
use super::{Context, Outcome};

/// What there is to say about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// All pages, in the order of their codes.
pub(crate) fn all() -> Vec<Page> {
    let templates = codes::ALL.iter().map(|code| Page { code: code.code, title: code.title, text: code.explanation });
    let mut all: Vec<Page> = pages::PAGES.iter().copied().chain(templates).collect();
    all.sort_by_key(|page| page.code);
    all
}

/// Runs the command.
pub(crate) fn run(context: &Context, code: Option<&str>) -> Outcome {
    let all = all();
    let Some(code) = code else { return list(context, &all) };
    let wanted = code.trim_matches(|c| c == '[' || c == ']').to_ascii_uppercase();
    let Some(page) = all.iter().find(|page| page.code == wanted) else {
        let problem = Problem::new("E312", format!("there is no code `{code}`"));
        return Err(match nearest(&wanted, all.iter().map(|page| page.code)) {
            Some(near) => problem.with_help(format!("did you mean {near}? `explain` alone lists all codes")),
            None => problem.with_help("`explain` alone lists all codes"),
        });
    };
    match context.screen.format() {
        Format::Table => {
            context.screen.data(format!("{BOLD}{}  {}{BOLD:#}\n\n{}", page.code, page.title, wrapped(page.text)))?;
        }
        Format::Id => context.screen.data(page.code)?,
        _ => context.screen.document(&document(page))?,
    }
    Ok(Exit::Ok)
}

fn list(context: &Context, all: &[Page]) -> Outcome {
    match context.screen.format() {
        Format::Table => {
            let mut table = Table::new(&["CODE", "MEANS"]);
            for page in all {
                table.row([Cell::styled(page.code, BOLD), page.title.into()]);
            }
            context.screen.data(table)?;
            context.screen.status(format!("{DIM}more about one: `{}`{DIM:#}", context.program.command("explain E201")));
        }
        Format::Id => context.screen.data(lines(all.iter().map(|page| page.code)))?,
        _ => context.screen.documents(&all.iter().map(document).collect::<Vec<_>>())?,
    }
    Ok(Exit::Ok)
}

fn document(page: &Page) -> Value {
    json!({ "code": page.code, "title": page.title, "text": page.text })
}

/// Text in lines of at most 90 letters.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 90;
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

#[cfg(test)]
mod tests;
