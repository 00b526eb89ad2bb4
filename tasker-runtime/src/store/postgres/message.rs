//! Several statements in one message to the server, which answers all of them at once. What they are given is numbers and
//! UUIDs only: those are written into the text.

use std::fmt::Write as _;

use uuid::Uuid;

/// A statement that goes with others in one message. A session keeps it prepared under its name.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: &'static str,
    /// The types of its parameters.
    pub(super) types: &'static str,
    pub(super) text: &'static str,
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

/// Statements in the order in which they are carried out; one that fails ends it.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) begins: bool,
    pub(super) calls: Vec<(&'static Kept, Vec<Literal>)>,
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
                text.push_str(statement.name);
                for (place, literal) in given.iter().enumerate() {
                    text.push_str(if place == 0 { "(" } else { ", " });
                    text.push_str(&literal.0);
                }
                text.push(')');
            } else {
                filled(&mut text, statement.text, given);
            }
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

    static SUM: Kept = Kept { name: "sum_of", types: "bigint, bigint[]", text: "SELECT $1::bigint + $2 [1] + $1" };

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
