//! One argument of a handler: where its value comes from, and in which form it is passed.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Meta, Pat, PatType, Path, Token, Type};
use tasker_types::suggest::nearest;

use super::types;
use crate::errors::Errors;
use crate::values::{self, Seen};

const SOURCES: &[&str] = &["input", "context", "config", "dependency", "dependencies", "state"];
/// Attributes that the language itself allows on an argument.
const LANGUAGE: &[&str] = &["allow", "expect", "warn", "deny", "forbid", "doc"];

/// One argument of a handler.
pub(crate) struct Argument {
    pub(crate) source: Source,
    /// The type as it is read: what a reference refers to, owned.
    pub(crate) owned: TokenStream,
    /// The type as it is written, but for lifetimes.
    pub(crate) written: TokenStream,
    /// How the owned value is passed.
    pub(crate) form: Form,
    /// Where mistakes of the type are shown.
    pub(crate) span: Span,
}

/// How a value is passed to the handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Owned,
    /// As a reference to it.
    Borrowed,
}

/// Where an argument's value comes from.
pub(crate) enum Source {
    /// The step itself: the trait `FromStep`.
    Step,
    /// A value of the task's context.
    Input { key: LitStr, default: Option<Fallback> },
    /// The task's whole context.
    Context,
    /// The handler's `initialization`, or a value of it.
    Config { key: Option<LitStr>, default: Option<Fallback> },
    /// The result of an earlier step.
    Dependency { step: StepRef, partial: bool },
    /// The results of all earlier steps whose names begin so.
    Dependencies { prefix: LitStr },
    /// The application's state; where it is optional, a reference or `None`.
    State { optional: bool },
}

/// What stands in for a value that is absent.
pub(crate) enum Fallback {
    /// `default`
    OfType,
    /// `default = ..`
    Value(Expr),
}

/// An earlier step.
pub(crate) enum StepRef {
    /// The path of its handler.
    Path(Path),
    /// Its name.
    Name(LitStr),
}

impl StepRef {
    /// What tells it from others.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Path(path) => path.to_token_stream().to_string(),
            Self::Name(name) => format!("{:?}", name.value()),
        }
    }
}

impl Argument {
    /// Reads an argument and takes our attributes off it; mistakes go to `errors`.
    pub(crate) fn parse(argument: &mut PatType, errors: &mut Errors) -> Option<Self> {
        let own = take_sources(&mut argument.attrs, errors);
        let of_state = own.as_ref().is_some_and(|attribute| attribute.path().is_ident("state"));
        let lent = types::reference_in_option(&argument.ty).filter(|_| of_state);
        let (owned, form) = form_of(lent.unwrap_or(&argument.ty), errors)?;
        let source = match own {
            Some(attribute) => {
                let key = key_of(&argument.pat);
                Source::parse(&attribute, key, &argument.pat, errors)?
            }
            None => Source::Step,
        };
        let source = if lent.is_some() { Source::State { optional: true } } else { source };
        let written = types::without_lifetimes(argument.ty.to_token_stream());
        let span = argument.ty.span();
        if matches!(source, Source::Step) {
            // Without an attribute a reference is a type of its own: `&TaskSequenceStep`.
            return Some(Self { source, owned: written.clone(), written, form: Form::Owned, span });
        }
        if !matches!(source, Source::State { .. }) {
            types::check_owned(&owned, errors);
        }
        Some(Self { source, owned, written, form, span })
    }
}

/// Takes the attributes that name a source off an argument, and gives the first.
fn take_sources(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Option<Attribute> {
    let mut found: Option<Attribute> = None;
    let mut unknown = false;
    attributes.retain(|attribute| {
        let name = attribute.path().get_ident().map(ToString::to_string).unwrap_or_default();
        if SOURCES.contains(&name.as_str()) {
            match &found {
                Some(first) => {
                    let first = first.path().to_token_stream();
                    errors.at(
                        attribute,
                        format_args!("an argument has one source, and this one already has `#[{first}]`"),
                    );
                }
                None => found = Some(attribute.clone()),
            }
            return false;
        }
        if LANGUAGE.contains(&name.as_str()) {
            return true;
        }
        let path = attribute.path().to_token_stream().to_string().replace(' ', "");
        if name == "cfg" || name == "cfg_attr" {
            errors.at(
                attribute,
                format_args!("an argument of a step handler cannot have `#[{name}]`: put it on the handler"),
            );
        } else if let Some(near) = nearest(&path, SOURCES.iter().copied()) {
            errors.at(attribute, format_args!("unknown argument attribute `{path}`; did you mean `{near}`?"));
        } else {
            let known = SOURCES.join("`, `");
            errors.at(attribute, format_args!("unknown argument attribute `{path}`; known: `{known}`"));
        }
        unknown = true;
        false
    });
    if unknown && found.is_none() {
        // The argument has a source, only a mistyped one: any does, so that nothing else is said of it.
        found = Parser::parse2(Attribute::parse_outer, quote!(#[context])).ok()?.pop();
    }
    found
}

/// The type to read and how to pass it. A reference refers to a value that the shim reads and lends.
fn form_of(ty: &Type, errors: &mut Errors) -> Option<(TokenStream, Form)> {
    let reference = match ty {
        Type::Group(group) => return form_of(&group.elem, errors),
        Type::Paren(paren) => return form_of(&paren.elem, errors),
        Type::ImplTrait(_) => {
            errors.at(ty, "name the type: `impl Trait` could be anything, and the engine has to know what to read");
            return None;
        }
        Type::Reference(reference) => reference,
        other => return Some((other.to_token_stream(), Form::Owned)),
    };
    if let Some(mutability) = &reference.mutability {
        let (and, sentence) =
            (&reference.and_token, "a step handler cannot be given `&mut`: its arguments are shared or its own");
        errors.at(quote!(#and #mutability), sentence);
        return None;
    }
    if let Some(lifetime) = &reference.lifetime
        && lifetime.ident == "static"
    {
        let sentence =
            "a step handler's arguments live as long as its attempt: leave out `'static`, or take an owned value";
        errors.at(lifetime, sentence);
        return None;
    }
    Some((types::owned_form_of(&reference.elem), Form::Borrowed))
}

/// The key that an argument's name stands for: `r#type` for `type`, `_unused` for `unused`.
fn key_of(pattern: &Pat) -> Option<LitStr> {
    let Pat::Ident(name) = pattern else { return None };
    let text = name.ident.unraw().to_string();
    let key = text.trim_start_matches('_');
    (!key.is_empty()).then(|| LitStr::new(key, name.ident.span()))
}

impl Source {
    fn parse(attribute: &Attribute, key: Option<LitStr>, pattern: &Pat, errors: &mut Errors) -> Option<Self> {
        let name = attribute.path().get_ident()?.to_string();
        let given = Given::parse(attribute, &name, errors)?;
        let need_key = |errors: &mut Errors| {
            let sentence = format!("this argument is a pattern, so name the key: `#[{name}(\"key\")]`");
            errors.at(pattern, sentence);
            None
        };
        Some(match name.as_str() {
            "input" => match given.text.or(key) {
                Some(key) => Self::Input { key, default: given.default },
                None => return need_key(errors),
            },
            "config" => {
                if let (None, Some(_)) = (&given.text, &given.default) {
                    errors.at(attribute, "a default needs a key: `#[config(\"key\", default = ...)]`");
                }
                Self::Config { key: given.text, default: given.default }
            }
            "dependency" => {
                let step = given.path.map(StepRef::Path).or_else(|| given.text.or(key).map(StepRef::Name));
                match step {
                    Some(step) => Self::Dependency { step, partial: given.partial },
                    None => return need_key(errors),
                }
            }
            "dependencies" => {
                Self::Dependencies { prefix: given.text.unwrap_or_else(|| LitStr::new("", attribute.span())) }
            }
            "context" => Self::Context,
            _ => Self::State { optional: false },
        })
    }
}

/// What stands in the parentheses of an argument's attribute.
#[derive(Default)]
struct Given {
    text: Option<LitStr>,
    path: Option<Path>,
    default: Option<Fallback>,
    partial: bool,
}

impl Given {
    fn parse(attribute: &Attribute, name: &str, errors: &mut Errors) -> Option<Self> {
        let mut given = Self::default();
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::NameValue(pair) => {
                let value = pair.value.to_token_stream();
                errors.at(attribute, format_args!("write `#[{name}({value})]`"));
                return None;
            }
            Meta::List(list) => {
                let before = errors.count();
                let mut seen = Seen::default();
                let read = |input: ParseStream<'_>| {
                    values::read_list(input, errors, |input, errors| given.read(name, input, &mut seen, errors));
                    Ok(())
                };
                let _: syn::Result<()> = read.parse2(list.tokens.clone());
                if errors.count() > before {
                    return None;
                }
            }
        }
        Some(given)
    }

    fn read(&mut self, name: &str, input: ParseStream<'_>, seen: &mut Seen, errors: &mut Errors) -> syn::Result<()> {
        let place = format!("#[{name}(...)]");
        let takes_text = matches!(name, "input" | "config" | "dependency");
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            return match (takes_text, self.text.is_some() || self.path.is_some()) {
                (true, false) => {
                    self.text = Some(text);
                    Ok(())
                }
                (true, true) => Err(syn::Error::new_spanned(text, format_args!("`#[{name}]` takes one name"))),
                (false, _) if name == "dependencies" => {
                    Err(syn::Error::new_spanned(&text, format_args!("write `prefix = {}`", text.to_token_stream())))
                }
                (false, _) => Err(syn::Error::new_spanned(
                    text,
                    format_args!("`#[{name}]` takes nothing: it stands for the whole"),
                )),
            };
        }
        if name == "dependency" {
            return self.read_step(input, &place, seen, errors);
        }
        let key = values::key(input)?;
        let known: &[&str] = match name {
            "input" | "config" => &["default"],
            "dependencies" => &["prefix"],
            _ => &[],
        };
        match key.to_string().as_str() {
            "default" if known == ["default"] => {
                seen.once(&key, errors);
                let value = input.parse::<Option<Token![=]>>()?;
                self.default = Some(if value.is_some() { Fallback::Value(input.parse()?) } else { Fallback::OfType });
                Ok(())
            }
            "prefix" if known == ["prefix"] => {
                seen.once(&key, errors);
                self.text = Some(values::text(&key, "batch_worker_", input)?);
                Ok(())
            }
            _ => {
                values::pass_over(input);
                Err(unknown_argument_key(&key, name, &place, known))
            }
        }
    }

    /// `path`, `partial`
    fn read_step(
        &mut self,
        input: ParseStream<'_>,
        place: &str,
        seen: &mut Seen,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let step: Path = input.call(Path::parse_mod_style)?;
        match step.get_ident() {
            Some(word) if self.text.is_some() || self.path.is_some() => {
                if word != "partial" {
                    values::pass_over(input);
                    return Err(values::unknown_key(word, place, &["partial"]));
                }
                seen.once(word, errors);
                self.partial = true;
                Ok(())
            }
            None if self.text.is_some() || self.path.is_some() => {
                Err(syn::Error::new_spanned(step, "`#[dependency]` takes one step"))
            }
            _ => {
                self.path = Some(step);
                Ok(())
            }
        }
    }
}

fn unknown_argument_key(key: &syn::Ident, name: &str, place: &str, known: &[&str]) -> syn::Error {
    match name {
        "context" | "state" => {
            syn::Error::new_spanned(key, format_args!("`#[{name}]` takes nothing: it stands for the whole"))
        }
        "input" | "config" if nearest(&key.to_string(), known.iter().copied()).is_none() => {
            let sentence = format!(
                "unknown key `{key}` in `{place}`; known: `default`; a key to read is a string: `#[{name}(\"{key}\")]`"
            );
            syn::Error::new_spanned(key, sentence)
        }
        _ => values::unknown_key(key, place, known),
    }
}
