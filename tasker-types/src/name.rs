//! What a handler may be called, in one place for the macros, the registry and the templates.

/// The longest name of a handler, in bytes.
pub const MAX_HANDLER_NAME_BYTES: usize = 255;

/// Checks the name of a handler.
///
/// ```
/// use tasker_types::name::check_handler_name;
///
/// assert!(check_handler_name("validate_order").is_ok());
/// assert!(check_handler_name("ValidateOrder").unwrap_err().ends_with("did you mean \"validate_order\"?"));
/// ```
///
/// # Errors
/// What is wrong with the name, and a name that would do where one can be guessed.
pub fn check_handler_name(name: &str) -> Result<(), String> {
    match handler_name_fault(name) {
        None => Ok(()),
        Some(Fault { reason, suggestion: Some(better) }) => Err(format!("{reason}; did you mean \"{better}\"?")),
        Some(Fault { reason, suggestion: None }) => Err(reason),
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong with it.
    pub reason: String,
    /// A name that would do.
    pub suggestion: Option<String>,
}

/// What is wrong with the name of a handler, in two parts; `None` where it is right.
#[must_use]
pub fn handler_name_fault(name: &str) -> Option<Fault> {
    let reason = why_unusable(name)?;
    let better = to_snake_case(name);
    let suggestion = (better != name && why_unusable(&better).is_none()).then_some(better);
    Some(Fault { reason, suggestion })
}

/// Checks a further name of a handler, which may also be a path such as `rust::orders::ValidateOrder`.
///
/// # Errors
/// What is wrong with the name.
pub fn check_handler_alias(alias: &str) -> Result<(), String> {
    if let Some(reason) = why_bad_length(alias) {
        return Err(reason);
    }
    match alias.chars().find(|&letter| !(letter.is_ascii_alphanumeric() || "_.:-/#".contains(letter))) {
        Some(odd) => Err(format!("`{alias}` has `{odd}`; further names are made of a-z, A-Z, 0-9 and `_ . : - / #`")),
        None => Ok(()),
    }
}

fn why_bad_length(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    (name.len() > MAX_HANDLER_NAME_BYTES)
        .then(|| format!("it has {} bytes; {MAX_HANDLER_NAME_BYTES} are allowed", name.len()))
}

pub(crate) fn why_unusable(name: &str) -> Option<String> {
    if let Some(reason) = why_bad_length(name) {
        return Some(reason);
    }
    if let Some(odd) = name
        .chars()
        .find(|&letter| !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '.'))
    {
        return Some(format!("`{name}` has `{odd}`; names are made of a-z, 0-9, `_` and `.`"));
    }
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_') {
        return Some(format!("`{name}` must begin with a letter"));
    }
    (name.ends_with('.') || name.contains("..")).then(|| format!("`{name}` has a `.` without a word after it"))
}

/// A name as handlers have it: `validate_order` for `ValidateOrder` and `validate-order`, `http_call` for `HTTPCall`.
#[must_use]
pub fn to_snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut letters = name.trim().chars().peekable();
    let mut before = None;
    while let Some(letter) = letters.next() {
        if letter.is_ascii_uppercase() {
            let after_word = before.is_some_and(|b: char| b.is_ascii_lowercase() || b.is_ascii_digit());
            let begins_word = before.is_some_and(|b: char| b.is_ascii_uppercase())
                && letters.peek().is_some_and(char::is_ascii_lowercase);
            if after_word || begins_word {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        } else if letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '.' {
            snake.push(letter);
        } else if !snake.ends_with('_') {
            snake.push('_');
        }
        before = Some(letter);
    }
    snake.trim_end_matches(['_', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        check_handler_name(name).expect_err("the name is refused")
    }

    #[test]
    fn ordinary_names_pass() {
        for name in ["a", "validate_order", "step_1", "shop.validate_order", "_hidden"] {
            assert_eq!(check_handler_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_refusal_names_the_letter_and_a_name_that_would_do() {
        assert_eq!(
            refusal("ValidateOrder"),
            "`ValidateOrder` has `V`; names are made of a-z, 0-9, `_` and `.`; did you mean \"validate_order\"?"
        );
        assert_eq!(
            refusal("validate-order"),
            "`validate-order` has `-`; names are made of a-z, 0-9, `_` and `.`; did you mean \"validate_order\"?"
        );
        assert_eq!(
            refusal("HTTPCall"),
            "`HTTPCall` has `H`; names are made of a-z, 0-9, `_` and `.`; did you mean \"http_call\"?"
        );
        assert_eq!(
            refusal("charge card"),
            "`charge card` has ` `; names are made of a-z, 0-9, `_` and `.`; did you mean \"charge_card\"?"
        );
    }

    #[test]
    fn what_cannot_be_guessed_gets_no_suggestion() {
        assert_eq!(refusal(""), "it is empty");
        assert_eq!(refusal("1st"), "`1st` must begin with a letter");
        assert_eq!(refusal("é"), "`é` has `é`; names are made of a-z, 0-9, `_` and `.`");
        assert_eq!(refusal(&"x".repeat(300)), "it has 300 bytes; 255 are allowed");
    }

    #[test]
    fn a_dot_stands_between_words() {
        assert_eq!(refusal("shop..order"), "`shop..order` has a `.` without a word after it");
        assert_eq!(refusal("shop."), "`shop.` has a `.` without a word after it; did you mean \"shop\"?");
    }

    #[test]
    fn an_alias_may_be_a_path() {
        assert_eq!(check_handler_alias("rust::linear_workflow::LinearStep1Handler"), Ok(()));
        assert!(check_handler_alias("two words").is_err());
        assert!(check_handler_alias("").is_err());
    }
}
