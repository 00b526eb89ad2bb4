//! What a scalar's text stands for: the core schema of YAML 1.2, which is JSON's and a little more.
//! `yes`, `no`, `on` and `off` are text.

use super::node::{Kind, Node};

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    /// A whole number; `None` where it has more than 64 bits.
    Int(Option<i128>),
    /// Any other number, as it is spelt.
    Float(&'t str),
    Text(&'t str),
}

/// What the text of a scalar stands for; quoted text always stands for itself.
pub(super) fn resolve(text: &str, plain: bool) -> Scalar<'_> {
    if !plain {
        return Scalar::Text(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ => integer(text).map_or_else(
            || {
                if is_float(text) { Scalar::Float(text) } else { Scalar::Text(text) }
            },
            Scalar::Int,
        ),
    }
}

/// The number, if the text is a whole number: `Some(None)` where it does not fit 64 bits.
fn integer(text: &str) -> Option<Option<i128>> {
    let (digits, radix) = if let Some(octal) = text.strip_prefix("0o") {
        (octal, 8)
    } else if let Some(hex) = text.strip_prefix("0x") {
        (hex, 16)
    } else {
        (text.strip_prefix(['-', '+']).unwrap_or(text), 10)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let negative = text.starts_with('-');
    let size = i128::from_str_radix(digits, radix).ok();
    let value = size.map(|size| if negative { -size } else { size });
    Some(value.filter(|value| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(value)))
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let good_exponent = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    has_digits && digits(whole) && digits(fraction) && good_exponent
}

/// The value in words: "must be a number, but is {..}".
pub(super) fn describe(node: &Node<'_>) -> String {
    match &node.kind {
        Kind::List(items) if items.is_empty() => "an empty list".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a mapping".to_owned(),
        Kind::Scalar { text, plain } => match resolve(text, *plain) {
            Scalar::Null => "empty".to_owned(),
            Scalar::Bool(value) => format!("`{value}`"),
            Scalar::Int(_) | Scalar::Float(_) => format!("the number {}", quoted(text)),
            Scalar::Text(text) => format!("the text {}", quoted(text)),
        },
    }
}

/// A word of the source in backticks, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// A word of the source, cut where it is long.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for null in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(null, true), Scalar::Null);
        }
        assert_eq!(resolve("True", true), Scalar::Bool(true));
        assert_eq!(resolve("-12", true), Scalar::Int(Some(-12)));
        assert_eq!(resolve("0x1F", true), Scalar::Int(Some(31)));
        assert_eq!(resolve("0o17", true), Scalar::Int(Some(15)));
        assert_eq!(resolve("017", true), Scalar::Int(Some(17)));
        assert_eq!(resolve("18446744073709551615", true), Scalar::Int(Some(u64::MAX.into())));
        assert_eq!(resolve("18446744073709551616", true), Scalar::Int(None));
        for float in ["1.0", ".5", "1.", "1e3", "-1.5E-7", ".inf", "-.INF", ".nan"] {
            assert_eq!(resolve(float, true), Scalar::Float(float));
        }
        for text in ["no", "yes", "on", "tRue", "1.0.0", "1_000", ".", "e5", "1e", "-", "0x", "-0x1", "+.nan"] {
            assert_eq!(resolve(text, true), Scalar::Text(text));
        }
    }

    #[test]
    fn quoted_scalars_are_text() {
        assert_eq!(resolve("true", false), Scalar::Text("true"));
        assert_eq!(resolve("", false), Scalar::Text(""));
    }
}
