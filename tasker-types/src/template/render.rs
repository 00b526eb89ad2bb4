//! A finding as plain text, with the lines that it is about.

use std::fmt::Write;

use super::finding::{Finding, Span};

/// How much of a line is shown, in columns.
const WIDEST: usize = 120;
/// A tab is shown as so many spaces.
const TAB: &str = "    ";

/// The finding with its snippets; see [`Finding::render`].
pub(super) fn render(finding: &Finding, file_name: &str, source: &str) -> String {
    let mut out = String::new();
    let message = one_line(&finding.message);
    let _ = writeln!(out, "{}[{}]: {message}", finding.severity.as_str(), finding.code);
    let related = finding.related.iter().map(|(span, text)| (*span, Some(text.as_str())));
    let places: Vec<_> = finding.span.map(|span| (span, finding.label.as_deref())).into_iter().chain(related).collect();
    let last_line = places.iter().map(|(span, _)| span.line).max().unwrap_or(0);
    let margin = last_line.to_string().len();
    for (at, &(span, label)) in places.iter().enumerate() {
        let corner = if at == 0 { '╭' } else { '├' };
        let _ = writeln!(out, "{:margin$} {corner}─[{}:{}:{}]", "", one_line(file_name), span.line, span.column);
        write_snippet(&mut out, margin, span, label, source);
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "{:margin$} help: {}", "", one_line(help));
    }
    out
}

fn write_snippet(out: &mut String, margin: usize, span: Span, label: Option<&str>, source: &str) {
    let snippet = Snippet::of(source, span);
    let _ = writeln!(out, "{:>margin$} │ {}", span.line, snippet.text);
    let mut line = " ".repeat(snippet.before);
    match label {
        None => line.push_str(&"─".repeat(snippet.width)),
        Some(_) => {
            let stem = snippet.width / 2;
            line.push_str(&"─".repeat(stem));
            line.push('┬');
            line.push_str(&"─".repeat(snippet.width - stem - 1));
        }
    }
    let _ = writeln!(out, "{:margin$} · {line}", "");
    if let Some(label) = label {
        let stem = " ".repeat(snippet.before + snippet.width / 2);
        let _ = writeln!(out, "{:margin$} · {stem}╰── {}", "", one_line(label));
    }
}

/// The part of a line around a place, and where in it the place is, in columns of a terminal.
struct Snippet {
    text: String,
    before: usize,
    /// At least 1, so that the end of a line can be pointed at.
    width: usize,
}

impl Snippet {
    fn of(source: &str, span: Span) -> Self {
        let start = source.floor_char_boundary(span.start);
        let end = source.floor_char_boundary(span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &source[start..];
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        // Of a place that goes over several lines, the part in its first line is shown.
        let marked_end = end.min(line_end);
        let before = Shown::last_of(&source[line_start..start]);
        let marked = Shown::first_of(source[start..marked_end].trim_end_matches('\r'), WIDEST / 2);
        let room = WIDEST.saturating_sub(before.width + marked.width);
        let after = if marked.cut {
            Shown::default()
        } else {
            Shown::first_of(source[marked_end..line_end].trim_end_matches('\r'), room)
        };
        let mut text = before.text;
        text.push_str(&marked.text);
        text.push_str(&after.text);
        Self { text: text.trim_end().to_owned(), before: before.width, width: marked.width.max(1) }
    }
}

/// Text as a terminal shows it.
#[derive(Default)]
struct Shown {
    text: String,
    width: usize,
    cut: bool,
}

impl Shown {
    /// As much of the text's beginning as has room, and `…` where the rest is cut.
    fn first_of(text: &str, room: usize) -> Self {
        let mut shown = Self::default();
        for c in text.chars() {
            let width = width(c);
            if shown.width + width > room {
                shown.text.push('…');
                shown.width += 1;
                shown.cut = true;
                break;
            }
            push_visible(&mut shown.text, c);
            shown.width += width;
        }
        shown
    }

    /// As much of the text's end as half a line has room for, and `…` where the rest is cut.
    fn last_of(text: &str) -> Self {
        let mut room = WIDEST / 2;
        let mut from = text.len();
        for (at, c) in text.char_indices().rev() {
            match room.checked_sub(width(c)) {
                Some(rest) => room = rest,
                None => break,
            }
            from = at;
        }
        let mut shown = Self::first_of(&text[from..], WIDEST);
        if from > 0 {
            shown.text.insert(0, '…');
            shown.width += 1;
        }
        shown
    }
}

/// Text without line breaks and other control characters: what a file holds must not move the
/// cursor of the terminal that shows a finding about it, nor turn the direction of its letters.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_visible(&mut out, c);
    }
    out
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\t' => out.push_str(TAB),
        '\u{feff}' => {}
        _ if c.is_control() || is_direction(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
            out.push('\u{fffd}');
        }
        _ => out.push(c),
    }
}

/// Characters that change the direction of what follows (Unicode Standard Annex 9).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many columns a terminal gives to the character: an approximation of Unicode Standard Annex
/// 11 by its large blocks, enough for an underline to stand where it should.
fn width(c: char) -> usize {
    match c {
        '\t' => TAB.len(),
        '\u{0300}'..='\u{036f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}
