//! What stands in the parentheses of `#[step_handler(..)]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{LitStr, Path, Token, Type};
use tasker_types::Backoff;
use tasker_types::name::{check_handler_alias, check_handler_name, handler_name_fault};
use tasker_types::suggest::nearest;

use crate::errors::Errors;
use crate::values::{self, Seen};

const KEYS: &[&str] = &["name", "alias", "blocking", "timeout", "retry", "returns", "crate"];
const RETRY_KEYS: &[&str] = &["max_attempts", "backoff", "base", "max", "max_losses", "retryable"];

/// What the attribute says.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) blocking: bool,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retry: Retry,
    pub(crate) returns: Option<Type>,
    pub(crate) crate_path: Option<Path>,
}

/// What `retry(..)` says.
#[derive(Default)]
pub(crate) struct Retry {
    retryable: Option<bool>,
    max_attempts: Option<u32>,
    max_losses: Option<u32>,
    backoff: Option<Backoff>,
    base_ms: Option<u64>,
    max_ms: Option<u64>,
}

impl Options {
    /// Reads the attribute; mistakes go to `errors`, and the rest counts.
    pub(crate) fn parse(attribute: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let mut seen = Seen::default();
        values::read_attribute(attribute, errors, |input, errors| options.read(input, &mut seen, errors));
        options
    }

    fn read(&mut self, input: ParseStream<'_>, seen: &mut Seen, errors: &mut Errors) -> syn::Result<()> {
        let key = values::key_not_text("name", input)?;
        let word = key.to_string();
        if word != "alias" && KEYS.contains(&word.as_str()) {
            seen.once(&key, errors);
        }
        match word.as_str() {
            "name" => {
                let name = values::text(&key, "validate_order", input)?;
                if let Err(why) = check_handler_name(&name.value()) {
                    errors.at(&name, format_args!("bad step handler name: {why}"));
                }
                self.name = Some(name);
            }
            "alias" => {
                let alias = values::text(&key, "another_name", input)?;
                if let Err(why) = check_handler_alias(&alias.value()) {
                    errors.at(&alias, format_args!("bad alias: {why}"));
                }
                if self.aliases.iter().any(|other| other.value() == alias.value()) {
                    errors.at(&alias, format_args!("the alias `{}` is given twice", alias.value()));
                }
                self.aliases.push(alias);
            }
            "blocking" => {
                if !input.is_empty() && !input.peek(Token![,]) {
                    let rest = input.span();
                    values::pass_over(input);
                    errors.at_span(rest, "`blocking` takes no value: it is there or not");
                }
                self.blocking = true;
            }
            "timeout" => self.timeout_ms = Some(values::duration_ms(&key, input)?),
            "retry" => {
                if !input.peek(syn::token::Paren) {
                    let example =
                        "`retry` takes a list: `retry(max_attempts = 3, backoff = \"exponential\", base = \"100ms\")`";
                    values::pass_over(input);
                    return Err(syn::Error::new_spanned(&key, example));
                }
                let list;
                syn::parenthesized!(list in input);
                let mut seen = Seen::default();
                values::read_list(&list, errors, |input, errors| self.retry.read(input, &mut seen, errors));
            }
            "returns" => {
                let _: Token![=] = input.parse()?;
                self.returns = Some(input.parse()?);
            }
            "crate" => {
                let _: Token![=] = input.parse()?;
                self.crate_path = Some(input.call(Path::parse_mod_style)?);
            }
            _ => {
                values::pass_over(input);
                return Err(values::unknown_key(&key, "", KEYS));
            }
        }
        Ok(())
    }

    /// The path of the facade.
    pub(crate) fn facade(&self) -> TokenStream {
        self.crate_path.as_ref().map_or_else(|| quote!(::tasker), ToTokens::to_token_stream)
    }

    /// The handler's name: the one given, or the item's.
    pub(crate) fn name_or(&self, default: &str, span: Span, what: &str, errors: &mut Errors) -> LitStr {
        if let Some(name) = &self.name {
            return name.clone();
        }
        if let Some(bad) = handler_name_fault(default) {
            let better = bad.suggestion.as_deref().unwrap_or("...");
            let sentence = format!(
                "the {what} name cannot serve as the step handler's: {}; give one with `#[step_handler(name = \"{better}\")]`",
                bad.reason
            );
            errors.at_span(span, sentence);
        }
        LitStr::new(default, span)
    }
}

impl Retry {
    fn read(&mut self, input: ParseStream<'_>, seen: &mut Seen, errors: &mut Errors) -> syn::Result<()> {
        let key = values::key(input)?;
        let word = key.to_string();
        if RETRY_KEYS.contains(&word.as_str()) {
            seen.once(&key, errors);
        }
        match word.as_str() {
            "max_attempts" => {
                self.max_attempts = Some(values::count(&key, 1..=1_000, "counts the first try too: ", input)?);
            }
            "max_losses" => self.max_losses = Some(values::count(&key, 1..=1_000, "counts lost workers: ", input)?),
            "retryable" => self.retryable = Some(values::switch(&key, input)?),
            "backoff" => {
                let name = values::text(&key, "exponential", input)?;
                self.backoff = Some(Backoff::from_name(&name.value()).ok_or_else(|| unknown_backoff(&name))?);
            }
            "base" => self.base_ms = Some(values::duration_ms(&key, input)?),
            "max" => self.max_ms = Some(values::duration_ms(&key, input)?),
            _ => {
                values::pass_over(input);
                return Err(values::unknown_key(&key, "retry(...)", RETRY_KEYS));
            }
        }
        Ok(())
    }

    /// A `RetrySpec`.
    pub(crate) fn to_tokens(&self) -> TokenStream {
        let Self { retryable, max_attempts, max_losses, backoff, base_ms, max_ms } = self;
        let backoff = backoff.map(|backoff| match backoff {
            Backoff::None => quote!(__p::Backoff::None),
            Backoff::Linear => quote!(__p::Backoff::Linear),
            Backoff::Exponential => quote!(__p::Backoff::Exponential),
            Backoff::Fibonacci => quote!(__p::Backoff::Fibonacci),
        });
        let fields = [
            ("retryable", retryable.map(|value| quote!(#value))),
            ("max_attempts", max_attempts.map(|value| quote!(#value))),
            ("max_losses", max_losses.map(|value| quote!(#value))),
            ("backoff", backoff),
            ("backoff_base_ms", base_ms.map(|value| quote!(#value))),
            ("max_backoff_ms", max_ms.map(|value| quote!(#value))),
        ];
        if fields.iter().all(|(_, value)| value.is_none()) {
            return quote!(__p::RetrySpec::NONE);
        }
        // Every field, also the ones that say nothing: clippy tells off `..` where none is left.
        let fields = fields.into_iter().map(|(field, value)| {
            let field = syn::Ident::new(field, Span::mixed_site());
            let value = value.map_or_else(|| quote!(__p::None), |value| quote!(__p::Some(#value)));
            quote!(#field: #value)
        });
        quote!(__p::RetrySpec { #(#fields),* })
    }
}

fn unknown_backoff(name: &LitStr) -> syn::Error {
    let names: Vec<&str> = Backoff::ALL.iter().map(|backoff| backoff.as_str()).collect();
    let given = name.value();
    let help = match nearest(&given, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", names.join(", ")),
    };
    syn::Error::new_spanned(name, format_args!("unknown backoff `{given}`; {help}"))
}
