//! Several statements in one message to the server, which answers all of them at once. What they are given is written into
//! the text as numbers, UUIDs and hexadecimal digits only: no character of it could end a literal.

use std::borrow::Cow;
use std::fmt::Write as _;

use uuid::Uuid;

/// A statement that goes with others in one message. A session keeps it prepared under its name.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: Cow<'static, str>,
    /// The types of its parameters.
    pub(super) types: &'static str,
    pub(super) text: Cow<'static, str>,
}

impl Kept {
    pub(super) fn preparation(&self) -> String {
        format!("PREPARE {} ({}) AS {}", self.name, self.types, self.text)
    }
}

/// A parameter, as it stands in the text.
#[derive(Debug)]
pub(super) struct Literal(String);

impl Literal {
    pub(super) fn id(id: Option<Uuid>) -> Self {
        Self(id.map_or_else(|| "NULL".to_owned(), |id| format!("'{id}'")))
    }

    pub(super) fn number(number: Option<i64>) -> Self {
        Self(number.map_or_else(|| "NULL".to_owned(), |number| format!("'{number}'")))
    }

    pub(super) fn ids(ids: &[Uuid]) -> Self {
        const LENGTH: usize = 37;
        let mut text = String::with_capacity(ids.len() * LENGTH + 4);
        Self::array(&mut text, ids.iter().map(|id| id.hyphenated()));
        Self(text)
    }

    pub(super) fn numbers(numbers: impl IntoIterator<Item = i64>) -> Self {
        let mut text = String::new();
        Self::array(&mut text, numbers.into_iter());
        Self(text)
    }

    fn array(text: &mut String, values: impl Iterator<Item = impl std::fmt::Display>) {
        text.push_str("'{");
        for (place, value) in values.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{value}");
        }
        text.push_str("}'");
    }
}

/// Values of any types as one array of texts: to read one literal takes the server less time than to read many.
#[derive(Debug, Default)]
pub(super) struct Cells(String);

impl Cells {
    /// How the statement reads the value at this place, from 1 on, of the array that is its only parameter.
    pub(super) fn read(place: usize, of: &str) -> String {
        match of {
            "text" => format!("convert_from(decode(($1::text[])[{place}], 'hex'), 'UTF8')"),
            _ => format!("($1::text[])[{place}]::{of}"),
        }
    }

    pub(super) fn push(&mut self, value: impl Cell) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        value.write(&mut self.0);
    }

    pub(super) fn literal(self) -> Literal {
        Literal(format!("'{{{}}}'", self.0))
    }
}

/// What can be written as digits.
pub(super) trait Cell {
    fn write(&self, to: &mut String);
}

macro_rules! cells {
    ($($of:ty),+) => {$(
        impl Cell for $of {
            fn write(&self, to: &mut String) {
                // Writing to a string cannot fail.
                let _ = write!(to, "{self}");
            }
        }
    )+};
}
cells!(Uuid, i64, i32, i16, bool);

impl<T: Cell> Cell for Option<T> {
    fn write(&self, to: &mut String) {
        match self {
            Some(value) => value.write(to),
            None => to.push_str("NULL"),
        }
    }
}

impl Cell for &str {
    fn write(&self, to: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Quoted, for it may be empty.
        to.push('"');
        to.extend(
            self.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])),
        );
        to.push('"');
    }
}

/// Statements in the order in which they are carried out; one that fails ends it.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) begins: bool,
    pub(super) calls: Vec<(&'static Kept, Vec<Literal>)>,
    pub(super) commits: bool,
}

impl Message {
    pub(super) fn call(&mut self, statement: &'static Kept, given: Vec<Literal>) {
        self.calls.push((statement, given));
    }

    /// The text of the calls: of statements that the session keeps, or, where it keeps none, of the statements themselves.
    pub(super) fn text(&self, begin: &str, keeps: bool) -> String {
        let mut text = if self.begins { begin.to_owned() } else { String::new() };
        for (statement, given) in &self.calls {
            if !text.is_empty() {
                text.push_str("; ");
            }
            if keeps {
                text.push_str("EXECUTE ");
                text.push_str(&statement.name);
                for (place, literal) in given.iter().enumerate() {
                    text.push_str(if place == 0 { "(" } else { ", " });
                    text.push_str(&literal.0);
                }
                text.push(')');
            } else {
                filled(&mut text, &statement.text, given);
            }
        }
        if self.commits {
            text.push_str("; COMMIT");
        }
        text
    }
}

/// The statement with its parameters in place.
fn filled(text: &mut String, statement: &str, given: &[Literal]) {
    let mut parts = statement.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let place: usize = part[..digits].parse().unwrap_or_default();
        if let Some(literal) = place.checked_sub(1).and_then(|place| given.get(place)) {
            text.push_str(&literal.0);
        }
        text.push_str(&part[digits..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUM: Kept = Kept {
        name: Cow::Borrowed("sum_of"),
        types: "bigint, bigint[]",
        text: Cow::Borrowed("SELECT $1::bigint + $2 [1] + $1"),
    };

    fn message() -> Message {
        let mut message = Message { begins: true, ..Message::default() };
        message.call(&SUM, vec![Literal::number(Some(-7)), Literal::numbers([1, 2])]);
        message.call(&SUM, vec![Literal::number(None), Literal::numbers([])]);
        message
    }

    #[test]
    fn statements_that_a_session_keeps_are_called_by_their_names() {
        assert_eq!(SUM.preparation(), "PREPARE sum_of (bigint, bigint[]) AS SELECT $1::bigint + $2 [1] + $1");
        assert_eq!(message().text("BEGIN", true), "BEGIN; EXECUTE sum_of('-7', '{1,2}'); EXECUTE sum_of(NULL, '{}')");
    }

    #[test]
    fn where_none_is_kept_the_parameters_stand_in_the_statements() {
        let wanted = "BEGIN; SELECT '-7'::bigint + '{1,2}' [1] + '-7'; SELECT NULL::bigint + '{}' [1] + NULL";
        assert_eq!(message().text("BEGIN", false), wanted);
    }

    #[test]
    fn a_message_may_end_its_transaction() {
        let mut message = Message { commits: true, ..Message::default() };
        message.call(&SUM, vec![Literal::number(Some(1)), Literal::numbers([2])]);
        assert_eq!(message.text("BEGIN", true), "EXECUTE sum_of('1', '{2}'); COMMIT");
    }

    #[test]
    fn no_character_of_a_text_stands_in_a_message() {
        let mut cells = Cells::default();
        cells.push(7_i64);
        cells.push("'\\\"},é");
        cells.push("");
        cells.push(None::<&str>);
        cells.push(true);
        assert_eq!(cells.literal().0, "'{7,\"275c227d2cc3a9\",\"\",NULL,true}'");
        assert_eq!(Cells::read(2, "text"), "convert_from(decode(($1::text[])[2], 'hex'), 'UTF8')");
        assert_eq!(Cells::read(1, "bigint"), "($1::text[])[1]::bigint");
    }

    #[test]
    fn identities_are_written_as_they_are_read() {
        let id = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(Literal::id(Some(id)).0, "'01980000-0000-7000-8000-000000000001'");
        assert_eq!(Literal::id(None).0, "NULL");
        assert_eq!(
            Literal::ids(&[id, id]).0,
            "'{01980000-0000-7000-8000-000000000001,01980000-0000-7000-8000-000000000001}'"
        );
    }
}
