//! From bytes to lines and columns.

use super::finding::Span;

/// The lines of a text. Places that are asked for in their order cost one walk through the text
/// altogether, be it one line of a megabyte.
pub(super) struct Lines<'s> {
    source: &'s str,
    starts: Vec<usize>,
    last: Span,
}

impl<'s> Lines<'s> {
    pub(super) fn of(source: &'s str) -> Self {
        let breaks = source.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { source, starts, last: Span { start: 0, end: 0, line: 1, column: 1 } }
    }

    /// The span with its line and column. Bytes that are not within the text, or not at the
    /// beginning of a character, are moved back to where they are.
    pub(super) fn locate(&mut self, span: Span) -> Span {
        let start = self.source.floor_char_boundary(span.start);
        let end = self.source.floor_char_boundary(span.end).max(start);
        let line = self.starts.partition_point(|&line_start| line_start <= start);
        let line_start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let (from, column) = if self.last.line == line && self.last.start <= start {
            (self.last.start, self.last.column)
        } else {
            (line_start, 1)
        };
        let passed = self.source[from..start].chars().filter(|&c| c != '\u{feff}').count();
        self.last = Span { start, end, line, column: column + passed };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_in_any_order() {
        let source = "\u{feff}a: é\r\nbé: 2";
        let mut lines = Lines::of(source);
        let mut place = |start| {
            let span = lines.locate(Span { start, end: start + 1, ..Span::default() });
            (span.line, span.column)
        };
        assert_eq!(place(source.find('2').unwrap()), (2, 5));
        assert_eq!(place(source.find('a').unwrap()), (1, 1));
        assert_eq!(place(source.find('é').unwrap()), (1, 4));
        assert_eq!(place(source.find('b').unwrap()), (2, 1));
        assert_eq!(place(source.find(':').unwrap() + 11), (2, 5));
        assert_eq!(place(source.len()), (2, 6));
        assert_eq!(place(usize::MAX - 1), (2, 6));
        assert_eq!(Lines::of("").locate(Span::default()).column, 1);
    }
}
