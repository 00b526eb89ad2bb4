//! The values that attributes take: words, texts, counts, durations.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token};
use tasker_types::suggest::nearest;

use crate::errors::Errors;

/// Reads what stands in the parentheses of an attribute, as [`read_list`] does; mistakes go to `errors`, and the rest counts.
pub(crate) fn read_attribute(
    attribute: TokenStream,
    errors: &mut Errors,
    read: impl FnMut(ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) {
    let all = |input: ParseStream<'_>| {
        read_list(input, errors, read);
        Ok(())
    };
    // The closure never fails: it passes over what it does not understand.
    let _: syn::Result<()> = all.parse2(attribute);
}

/// Reads `key, key = value, key(..)` and hands each key to `read`, which takes the rest up to the comma. After a mistake
/// the rest up to the comma is passed over, so that later ones are found too.
pub(crate) fn read_list(
    input: ParseStream<'_>,
    errors: &mut Errors,
    mut read: impl FnMut(ParseStream<'_>, &mut Errors) -> syn::Result<()>,
) {
    while !input.is_empty() {
        if let Err(error) = read(input, errors) {
            errors.push(error);
            pass_over(input);
        }
        if !input.is_empty() && !input.peek(Token![,]) {
            errors.at_span(input.span(), "expected `,`");
            pass_over(input);
        }
        let _: syn::Result<Option<Token![,]>> = input.parse();
    }
}

/// Passes over everything up to the next comma.
pub(crate) fn pass_over(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _: syn::Result<TokenTree> = input.parse();
    }
}

/// The word that begins an entry, keywords included.
pub(crate) fn key(input: ParseStream<'_>) -> syn::Result<Ident> {
    input.call(Ident::parse_any)
}

/// The same, where a text without a key is most likely meant for this one.
pub(crate) fn key_not_text(meant: &str, input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        return Err(syn::Error::new_spanned(&text, format_args!("write `{meant} = {}`", text.to_token_stream())));
    }
    key(input)
}

/// Keys that were given already.
#[derive(Default)]
pub(crate) struct Seen(Vec<String>);

impl Seen {
    /// Notes `key`; a second time is a mistake.
    pub(crate) fn once(&mut self, key: &Ident, errors: &mut Errors) {
        let name = key.to_string();
        if self.0.contains(&name) {
            errors.at(key, format_args!("`{name}` is given twice"));
        } else {
            self.0.push(name);
        }
    }
}

/// The sentence about a key that there is not.
pub(crate) fn unknown_key(key: &Ident, place: &str, known: &[&str]) -> syn::Error {
    let known_keys = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let help = match nearest(&key.to_string(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {known_keys}"),
    };
    let place = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    syn::Error::new_spanned(key, format_args!("unknown key `{key}`{place}; {help}"))
}

/// `= "text"`
pub(crate) fn text(key: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let wrong = |tokens: TokenStream| {
        let shown = if tokens.is_empty() { key.to_token_stream() } else { tokens };
        syn::Error::new_spanned(shown, format_args!("`{key}` takes a string: `{key} = \"{example}\"`"))
    };
    if input.parse::<Option<Token![=]>>()?.is_none() {
        pass_over(input);
        return Err(wrong(TokenStream::new()));
    }
    if input.is_empty() {
        return Err(wrong(TokenStream::new()));
    }
    match input.parse::<Expr>()? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(wrong(other.into_token_stream())),
    }
}

/// `= 3`
pub(crate) fn count(
    key: &Ident,
    range: std::ops::RangeInclusive<u32>,
    why: &str,
    input: ParseStream<'_>,
) -> syn::Result<u32> {
    let sentence = format!("`{key}` {why}it must be from {} to {}", range.start(), range.end());
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Err(syn::Error::new_spanned(key, format_args!("`{key}` takes a number: `{key} = 3`")));
    }
    let value: Expr = input.parse()?;
    let number = match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse::<u32>().ok(),
        _ => None,
    };
    number.filter(|number| range.contains(number)).ok_or_else(|| syn::Error::new_spanned(&value, sentence))
}

/// `= true`
pub(crate) fn switch(key: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
    let _: Option<Token![=]> = input.parse()?;
    match input.parse::<Option<Lit>>()? {
        Some(Lit::Bool(value)) => Ok(value.value),
        other => Err(syn::Error::new_spanned(
            other.map_or_else(|| key.to_token_stream(), ToTokens::into_token_stream),
            format_args!("`{key}` takes `true` or `false`: `{key} = false`"),
        )),
    }
}

/// `= "30s"`, in milliseconds.
pub(crate) fn duration_ms(key: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Err(syn::Error::new_spanned(
            key,
            format_args!("`{key}` takes a duration with a unit: `{key} = \"30s\"`"),
        ));
    }
    let value: Expr = input.parse()?;
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => parse_duration_ms(&text.value())
            .map_err(|why| syn::Error::new_spanned(text, format_args!("`{key}`: {why}"))),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
            let digits = number.base10_digits();
            Err(syn::Error::new_spanned(number, format_args!("`{key}` takes a duration with a unit: `\"{digits}s\"`?")))
        }
        other => {
            Err(syn::Error::new_spanned(other, format_args!("`{key}` takes a duration with a unit: `{key} = \"30s\"`")))
        }
    }
}

fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits_end = trimmed.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(digits_end);
    let unit = unit.trim();
    if digits.is_empty() {
        return Err(format!("\"{text}\" is no duration; write for example \"500ms\", \"30s\", \"5m\" or \"1h\""));
    }
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("\"{text}\" has no unit; did you mean \"{digits}s\"?")),
        other => return Err(format!("unknown unit `{other}`; write for example \"500ms\", \"30s\", \"5m\" or \"1h\"")),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms)) {
        Some(0) => Err("it must be greater than zero".to_owned()),
        // As many milliseconds as a database's bigint holds.
        Some(ms) if i64::try_from(ms).is_ok() => Ok(ms),
        _ => Err(format!("\"{text}\" is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration_ms("500ms"), Ok(500));
        assert_eq!(parse_duration_ms("30s"), Ok(30_000));
        assert_eq!(parse_duration_ms("5 m"), Ok(300_000));
        assert_eq!(parse_duration_ms("2h"), Ok(7_200_000));
    }

    #[test]
    fn a_refused_duration_says_what_would_do() {
        let refusal = |text| parse_duration_ms(text).expect_err("refused");
        assert_eq!(refusal("30"), "\"30\" has no unit; did you mean \"30s\"?");
        assert_eq!(refusal("30x"), "unknown unit `x`; write for example \"500ms\", \"30s\", \"5m\" or \"1h\"");
        assert_eq!(refusal("0s"), "it must be greater than zero");
        assert_eq!(refusal("soon"), "\"soon\" is no duration; write for example \"500ms\", \"30s\", \"5m\" or \"1h\"");
        assert_eq!(refusal("99999999999999999h"), "\"99999999999999999h\" is too long");
    }
}
