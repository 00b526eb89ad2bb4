//! Where output goes: data on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;

use super::args::{Format, Global};
use super::problem::Problem;
use super::{human, live};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// The columns that every terminal has.
const WIDTH: usize = 80;

/// How output is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    format: Format,
    quiet: bool,
}

impl Screen {
    /// As the command line says.
    pub(crate) fn new(global: &Global) -> Self {
        if global.no_color {
            ColorChoice::Never.write_global();
        }
        Self { format: global.output, quiet: global.quiet }
    }

    /// In this format, where nothing else of the command line is known.
    pub(crate) fn of(format: Format) -> Self {
        Self { format, quiet: false }
    }

    /// How data is printed.
    pub(crate) fn format(self) -> Format {
        self.format
    }

    /// Whether data is for people.
    pub(crate) fn is_human(self) -> bool {
        self.format == Format::Table
    }

    /// Whether progress is told: to people, unless they asked for silence.
    pub(crate) fn tells(self) -> bool {
        self.is_human() && !self.quiet
    }

    /// Whether progress can move on the screen.
    pub(crate) fn is_live(self) -> bool {
        self.tells() && std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether somebody can be asked.
    pub(crate) fn can_ask(self) -> bool {
        self.is_human() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Data: a line, or several.
    pub(crate) fn data(self, text: impl Display) -> Result<(), Problem> {
        live::aside(|| {
            let mut out = anstream::stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush())
        })
        .map_err(|error| Problem::of_output(&error))
    }

    /// A document, as the format wants it.
    pub(crate) fn document(self, value: &impl Serialize) -> Result<(), Problem> {
        self.data(json_text(value, self.format != Format::Jsonl)?)
    }

    /// Documents: one array, or one a line.
    pub(crate) fn documents(self, values: &[Value]) -> Result<(), Problem> {
        if self.format != Format::Jsonl {
            return self.document(&values);
        }
        let lines: Result<Vec<String>, Problem> = values.iter().map(|value| json_text(value, false)).collect();
        let lines = lines?;
        if lines.is_empty() { Ok(()) } else { self.data(lines.join("\n")) }
    }

    /// Something that is worth knowing, and no data. Nothing is lost where it cannot be written.
    pub(crate) fn status(self, text: impl Display) {
        if self.tells() {
            error_line(&text.to_string());
        }
    }

    /// Commands to type, each with what it does: beside it, or above it where that would not fit into a line.
    pub(crate) fn commands(self, commands: &[(String, &str)]) -> String {
        let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
        let fits = commands.iter().all(|(_, what)| width + what.len() + 5 <= WIDTH);
        let line = |(command, what): &(String, &str)| {
            if fits {
                format!("  {command:width$}   {DIM}{what}{DIM:#}")
            } else {
                format!("  {DIM}# {what}{DIM:#}\n  {command}")
            }
        };
        commands.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Something that may become a problem.
    pub(crate) fn warn(self, text: impl Display) {
        if self.is_human() {
            error_line(&format!("{WARN}warning{WARN:#}: {text}"));
        }
    }

    /// What went wrong.
    pub(crate) fn problem(self, problem: &Problem) {
        if problem.silent {
            return;
        }
        if !self.is_human() {
            let program = super::program::Program::this();
            if let Ok(text) = json_text(&problem.to_json(&program.name), false) {
                error_line(&text);
            }
            return;
        }
        let mut text = String::new();
        if !problem.rendered().is_empty() {
            text.push_str(problem.rendered());
            text.push_str("\n\n");
        }
        let mut lines = problem.message.lines();
        let first = human::visible(lines.next().unwrap_or_default());
        text.push_str(&format!("{BAD}error[{}]{BAD:#}: {first}", problem.code));
        for line in lines {
            text.push_str(&format!("\n  {}", human::visible(line)));
        }
        if let Some(help) = &problem.help {
            text.push_str(&format!("\n  {HELP}help{HELP:#}: {}", human::visible(help)));
        }
        error_line(&text);
    }
}

fn error_line(text: &str) {
    live::aside(|| {
        // Where standard error is gone, nobody is left to be told.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    });
}

/// JSON that cannot move a terminal's cursor: serde leaves DEL and the second block of control characters as they are.
pub(crate) fn json_text(value: &impl Serialize, pretty: bool) -> Result<String, Problem> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let text = text.map_err(|error| Problem::new("E316", format!("the output cannot be written as JSON: {error}")))?;
    if !text.contains(|c: char| ('\u{7f}'..='\u{9f}').contains(&c)) {
        return Ok(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Ok(out)
}
