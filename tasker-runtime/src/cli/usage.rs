//! A command line that means nothing, told in the form that the rest of the answer would have had.

use clap::ValueEnum as _;
use clap::error::ErrorKind;

use super::args::Format;
use super::problem::Problem;

/// The format that these arguments ask for. What could not be parsed as a whole is looked through for it: a program
/// that reads JSON is told of its mistakes in JSON.
pub(crate) fn format_in(arguments: impl IntoIterator<Item = String>) -> Format {
    let mut arguments = arguments.into_iter().take_while(|argument| argument != "--");
    let mut format = Format::Table;
    while let Some(argument) = arguments.next() {
        let named = match argument.strip_prefix("--") {
            Some(long) => long.strip_prefix("output").and_then(|rest| match rest {
                "" => arguments.next(),
                value => value.strip_prefix('=').map(str::to_owned),
            }),
            None => short(&argument).and_then(|rest| match rest {
                "" => arguments.next(),
                value => Some(value.strip_prefix('=').unwrap_or(value).to_owned()),
            }),
        };
        format = named.and_then(|name| Format::from_str(&name, false).ok()).unwrap_or(format);
    }
    format
}

/// What follows `-o`, alone or behind flags that take no value: `-qo`.
fn short(argument: &str) -> Option<&str> {
    let flags = argument.strip_prefix('-')?;
    let (before, after) = flags.split_once('o')?;
    before.chars().all(|flag| "qvy".contains(flag)).then_some(after)
}

/// The mistake as one record.
pub(crate) fn problem(error: &clap::Error) -> Problem {
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    // Help in the place of a command that is not complete says everything but that.
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "the command is not complete".to_owned(),
        _ => one_line(paragraphs.next().unwrap_or_default().trim_start_matches("error: ")),
    };
    let says_what_to_do = |text: &&str| ["tip:", "Usage:"].iter().any(|begin| text.trim_start().starts_with(begin));
    let help: Vec<String> = paragraphs.filter(says_what_to_do).map(one_line).collect();
    let help =
        if help.is_empty() { "`--help` after the command says what can be typed".to_owned() } else { help.join("; ") };
    Problem::new("E324", message).with_help(help)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Format {
        format_in(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_format_is_found_however_it_is_written() {
        for line in ["t x -o json", "-ojson", "-o=json", "--output json t", "--output=json", "-qvo json", "-yojson x"] {
            assert_eq!(asked(line), Format::Json, "{line}");
        }
        assert_eq!(asked("-o json -o id"), Format::Id, "the last one counts");
    }

    #[test]
    fn what_only_looks_like_it_is_not_taken_for_it() {
        for line in ["run -- -o json", "-i o -json", "--outputjson", "-o xml", "-o", "--only json", "run t -io json"] {
            assert_eq!(asked(line), Format::Table, "{line}");
        }
    }
}
