//! Which names templates, steps and handlers may have.

use super::limits::{MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES};

/// A name cannot be used.
///
/// ```
/// use tasker_types::template::names;
///
/// let bad = names::check_handler("ValidateOrder").unwrap_err();
/// assert_eq!(bad.to_string(), "it has `V`; names are made of a-z, 0-9, `_` and `.`");
/// assert_eq!(bad.suggestion.as_deref(), Some("validate_order"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadName {
    /// What is wrong with it, as the end of a sentence.
    pub reason: String,
    /// A name that is like it and can be used.
    pub suggestion: Option<String>,
}

/// Checks the name of a template or a namespace.
///
/// # Errors
/// It is not 1 to 64 bytes of a-z, 0-9 and `_`.
pub fn check_name(name: &str) -> Result<(), BadName> {
    check(name, MAX_NAME_BYTES, "", "a-z, 0-9 and `_`")
}

/// Checks the name of a step.
///
/// # Errors
/// It is not 1 to 255 bytes of a-z, 0-9 and `_`.
pub fn check_step(name: &str) -> Result<(), BadName> {
    check(name, MAX_IDENTIFIER_BYTES, "", "a-z, 0-9 and `_`")
}

/// Checks the name of a handler.
///
/// # Errors
/// It is not 1 to 255 bytes of a-z, 0-9, `_` and `.`.
pub fn check_handler(name: &str) -> Result<(), BadName> {
    check(name, MAX_IDENTIFIER_BYTES, ".", "a-z, 0-9, `_` and `.`")
}

/// Whether the text is a Rust path of at least two segments, such as `rust::linear::Step1Handler`.
#[must_use]
pub fn is_rust_path(text: &str) -> bool {
    let identifier = |segment: &str| {
        let mut chars = segment.chars();
        let first = chars.next();
        first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.len() <= MAX_IDENTIFIER_BYTES && text.contains("::") && text.split("::").all(identifier)
}

/// Checks a version: three numbers without leading zeros, with dots between them.
///
/// # Errors
/// It is not `x.y.z`.
pub fn check_version(version: &str) -> Result<(), BadName> {
    let number = |part: &str| {
        (1..=9).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let parts: Vec<&str> = version.trim_start_matches('v').split('.').collect();
    let good = parts.iter().all(|part| number(part));
    if good && parts.len() == 3 && !version.starts_with('v') {
        return Ok(());
    }
    let suggestion = (good && parts.len() <= 3).then(|| {
        let part = |at: usize| parts.get(at).copied().unwrap_or("0");
        format!("{}.{}.{}", part(0), part(1), part(2))
    });
    Err(BadName { reason: "a version is three numbers, such as 1.0.0".to_owned(), suggestion })
}

fn check(name: &str, longest: usize, also: &str, made_of: &str) -> Result<(), BadName> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || also.contains(c);
    let reason = match name.chars().find(|&c| !fits(c)) {
        Some(bad) => format!("it has `{}`; names are made of {made_of}", bad.escape_debug()),
        None if name.is_empty() => "it is empty".to_owned(),
        None if name.len() > longest => {
            format!("it has {} characters; at most {longest} are allowed", name.len())
        }
        None => return Ok(()),
    };
    let suggestion = snake_case(name, also);
    let usable = !suggestion.is_empty() && suggestion.len() <= longest && suggestion != name;
    Err(BadName { reason, suggestion: usable.then_some(suggestion) })
}

/// `ValidateOrder`, `validate-order` and `Validate order!` all become `validate_order`.
fn snake_case(text: &str, also: &str) -> String {
    let mut out = String::new();
    let mut before_was_lower = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && before_was_lower {
            out.push('_');
        }
        if c.is_ascii_alphanumeric() || also.contains(c) {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        before_was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    out.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_of_a_bounded_length() {
        assert_eq!(check_name("order_fulfillment_2"), Ok(()));
        assert_eq!(check_name(&"a".repeat(64)), Ok(()));
        assert!(check_name(&"a".repeat(65)).is_err());
        assert_eq!(check_step(&"a".repeat(255)), Ok(()));
        assert!(check_step(&"a".repeat(256)).is_err());
        assert!(check_step("a.b").is_err());
        assert_eq!(check_handler("a.b"), Ok(()));
        assert_eq!(check_name("").unwrap_err().reason, "it is empty");
    }

    #[test]
    fn a_bad_name_suggests_a_good_one() {
        let suggestion = |name| check_step(name).unwrap_err().suggestion;
        assert_eq!(suggestion("ValidateOrder").as_deref(), Some("validate_order"));
        assert_eq!(suggestion("validate-order").as_deref(), Some("validate_order"));
        assert_eq!(suggestion(" Validate  order! ").as_deref(), Some("validate_order"));
        assert_eq!(suggestion("Step1Handler").as_deref(), Some("step1_handler"));
        assert_eq!(suggestion("日本"), None);
    }

    #[test]
    fn versions_have_three_numbers() {
        assert_eq!(check_version("1.0.12"), Ok(()));
        let suggestion = |version| check_version(version).unwrap_err().suggestion;
        assert_eq!(suggestion("1.0").as_deref(), Some("1.0.0"));
        assert_eq!(suggestion("v2").as_deref(), Some("2.0.0"));
        assert_eq!(suggestion("1.0.0.0"), None);
        assert_eq!(suggestion("1.02.0"), None);
        assert_eq!(suggestion("1.0.0-beta"), None);
        assert_eq!(suggestion(""), None);
    }

    #[test]
    fn a_rust_path_has_two_segments_at_least() {
        assert!(is_rust_path("rust::linear_workflow::LinearStep1Handler"));
        for text in ["Handler", "a::", "::a", "a::1b", "a:b", "a:: b", ""] {
            assert!(!is_rust_path(text), "{text}");
        }
    }
}
