//! Durations, times and foreign text, as people read them.

use std::time::Duration;

use tasker_types::Timestamp;

/// A duration in at most two units: `12 ms`, `1.3 s`, `2 min 5 s`, `3 h 20 min`, `5 d 1 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let (ms, s) = (duration.as_millis(), duration.as_secs());
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => two((s / 60, "min"), (s % 60, "s")),
        3600..86_400 => two((s / 3600, "h"), (s % 3600 / 60, "min")),
        _ => two((s / 86_400, "d"), (s % 86_400 / 3600, "h")),
    }
}

fn two((large, unit): (u64, &str), (small, part): (u64, &str)) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {part}") }
}

/// How long ago it was.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then).as_secs() {
        0 => "now".to_owned(),
        s @ 1..60 => format!("{s} s ago"),
        s @ 60..3600 => format!("{} min ago", s / 60),
        s @ 3600..86_400 => format!("{} h ago", s / 3600),
        s => format!("{} d ago", s / 86_400),
    }
}

/// When something starts: `starts in 5 min`.
pub(crate) fn starts(at: Timestamp, now: Timestamp) -> String {
    format!("starts in {}", duration(at.since(now)))
}

/// A number of bytes: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "KiB", "MiB", "GiB"] {
        if bytes < unit * 1024 || name == "GiB" {
            return match name {
                "B" => format!("{bytes} B"),
                _ => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
            };
        }
        unit *= 1024;
    }
    format!("{bytes} B")
}

/// A number and its noun: `1 task`, `2 tasks`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Text in one line that moves no cursor and turns no letters, whatever wrote it.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| {
            if is_visible(c) {
                c
            } else if c.is_whitespace() {
                ' '
            } else {
                '\u{fffd}'
            }
        })
        .collect()
}

/// The same, with its lines kept.
pub(crate) fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

fn is_visible(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!([shown(0), shown(999), shown(1_349), shown(59_999)], ["0 ms", "999 ms", "1.3 s", "59.9 s"]);
        assert_eq!([shown(60_000), shown(7_200_000)], ["1 min", "2 h"]);
        assert_eq!([shown(125_000), shown(12_000_000), shown(435_600_000)], ["2 min 5 s", "3 h 20 min", "5 d 1 h"]);
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(5 << 40)], ["0 B", "1023 B", "1.5 KiB", "5120.0 GiB"]);
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(visible("a\u{1b}[2Jb\nc\u{202e}d\te"), "a\u{fffd}[2Jb c\u{fffd}d e");
        assert_eq!(visible_lines("a\u{7}\nb"), "a\u{fffd}\nb");
    }
}
