//! Which names may stand in a template, and what a version looks like. The rule for handlers is that of
//! [`name`](crate::name).

use super::limits::{MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES};
use crate::name::{check_handler_alias, to_snake_case};

/// A name cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadName {
    /// What is wrong with it, as a sentence that begins with the name.
    pub(super) reason: String,
    /// A name that is like it and can be used.
    pub(super) suggestion: Option<String>,
}

/// Checks the name of a template or a namespace.
pub(super) fn check_name(name: &str) -> Result<(), BadName> {
    check(name, MAX_NAME_BYTES)
}

/// Checks the name of a step.
pub(super) fn check_step(name: &str) -> Result<(), BadName> {
    check(name, MAX_IDENTIFIER_BYTES)
}

/// Checks the name of a step.
///
/// ```
/// use tasker_types::template::check_step_name;
///
/// assert!(check_step_name("ship_order").is_ok());
/// assert!(check_step_name("ShipOrder").unwrap_err().ends_with("did you mean \"ship_order\"?"));
/// ```
///
/// # Errors
/// What is wrong with the name, and a name that would do where one can be guessed.
pub fn check_step_name(name: &str) -> Result<(), String> {
    check_step(name).map_err(|BadName { reason, suggestion }| match suggestion {
        Some(better) => format!("{reason}; did you mean \"{better}\"?"),
        None => reason,
    })
}

/// Checks the name of a handler, as the macros do.
pub(super) fn check_handler(name: &str) -> Result<(), BadName> {
    let Some(reason) = crate::name::why_unusable(name) else {
        return Ok(());
    };
    let suggestion = to_snake_case(name);
    let usable = crate::name::why_unusable(&suggestion).is_none();
    Err(BadName { reason, suggestion: usable.then_some(suggestion) })
}

/// Whether the text is a Rust path of at least two segments, such as `rust::linear::Step1Handler`.
pub(super) fn is_rust_path(text: &str) -> bool {
    let identifier = |segment: &str| {
        segment.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.contains("::") && text.split("::").all(identifier) && check_handler_alias(text).is_ok()
}

/// Checks a version: three numbers without leading zeros, with dots between them.
pub(super) fn check_version(version: &str) -> Result<(), BadName> {
    let number = |part: &str| {
        (1..=9).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let unprefixed = version.strip_prefix('v').unwrap_or(version);
    let parts: Vec<&str> = unprefixed.split('.').take(4).collect();
    let good = parts.iter().all(|part| number(part));
    if good && parts.len() == 3 && unprefixed == version {
        return Ok(());
    }
    let suggestion = (good && parts.len() <= 3).then(|| {
        let part = |at: usize| parts.get(at).copied().unwrap_or("0");
        format!("{}.{}.{}", part(0), part(1), part(2))
    });
    Err(BadName { reason: "a version is three numbers, such as 1.0.0".to_owned(), suggestion })
}

fn check(name: &str, longest: usize) -> Result<(), BadName> {
    let Some(reason) = why_unusable(name, longest) else {
        return Ok(());
    };
    let suggestion = to_snake_case(name).replace('.', "_").trim_start_matches('_').to_owned();
    let usable = why_unusable(&suggestion, longest).is_none();
    Err(BadName { reason, suggestion: usable.then_some(suggestion) })
}

fn why_unusable(name: &str, longest: usize) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if name.len() > longest {
        return Some(format!("it has {} bytes; {longest} are allowed", name.len()));
    }
    let odd = name.chars().find(|&c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))?;
    Some(format!("`{name}` has `{odd}`; names are made of a-z, 0-9 and `_`"))
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
        assert_eq!(check_name("").unwrap_err().reason, "it is empty");
    }

    #[test]
    fn a_bad_name_suggests_a_good_one() {
        let suggestion = |name| check_step(name).unwrap_err().suggestion;
        assert_eq!(suggestion("ValidateOrder").as_deref(), Some("validate_order"));
        assert_eq!(suggestion("validate-order").as_deref(), Some("validate_order"));
        assert_eq!(suggestion(" Validate  order! ").as_deref(), Some("validate_order"));
        assert_eq!(suggestion("shop.validate").as_deref(), Some("shop_validate"));
        assert_eq!(suggestion("日本"), None);
    }

    #[test]
    fn versions_have_three_numbers() {
        assert_eq!(check_version("1.0.12"), Ok(()));
        let suggestion = |version| check_version(version).unwrap_err().suggestion;
        assert_eq!(suggestion("1.0").as_deref(), Some("1.0.0"));
        assert_eq!(suggestion("v2").as_deref(), Some("2.0.0"));
        for hopeless in ["1.0.0.0", "1.02.0", "1.0.0-beta", "vv1", ""] {
            assert_eq!(suggestion(hopeless), None, "{hopeless}");
        }
    }

    #[test]
    fn a_rust_path_has_two_segments_at_least() {
        assert!(is_rust_path("rust::linear_workflow::LinearStep1Handler"));
        for text in ["Handler", "a::", "::a", "a::1b", "a:b", "a:: b", ""] {
            assert!(!is_rust_path(text), "{text}");
        }
    }
}
