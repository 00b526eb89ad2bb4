//! `#[derive(StepFailure)]`: which errors of an application may be tried again.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, Ident, LitStr, Member, Path, Token};
use tasker_types::name::to_snake_case;

use crate::errors::Errors;
use crate::values::{self, Seen};

const KEYS: &[&str] = &["retryable", "permanent", "transparent", "code", "error_type", "retry_after", "crate"];

/// What `#[step(..)]` says.
#[derive(Default)]
struct Step {
    class: Option<Class>,
    code: Option<LitStr>,
    error_type: Option<LitStr>,
    retry_after_ms: Option<u64>,
    crate_path: Option<Path>,
    /// Whether something in it is wrong, and told already.
    wrong: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Retryable,
    Permanent,
    /// As the error inside says.
    Transparent,
}

/// The expansion of `#[derive(StepFailure)] item`.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let whole = Step::parse(&input.attrs, &mut errors);
    let facade = whole.crate_path.as_ref().map_or_else(|| quote!(::tasker), ToTokens::to_token_stream);
    let arms: TokenStream = match &input.data {
        Data::Struct(data) => {
            let subject = format!("`{}`", input.ident);
            arm(&quote!(Self), &input.ident, &data.fields, &whole, &Step::default(), &subject, &mut errors)
        }
        Data::Enum(data) => {
            let arms = data.variants.iter().map(|variant| {
                let own = Step::parse(&variant.attrs, &mut errors);
                let (ident, subject) = (&variant.ident, format!("`{}`", variant.ident));
                arm(&quote!(Self::#ident), ident, &variant.fields, &own, &whole, &subject, &mut errors)
            });
            arms.collect()
        }
        Data::Union(data) => {
            errors.at(data.union_token, "`StepFailure` can be derived for enums and structs");
            TokenStream::new()
        }
    };
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    // Where something is wrong, the error still is one, so that handlers that return it are not told off as well.
    let body = if !errors.is_empty() {
        quote!(__p::core::unreachable!())
    } else if arms.is_empty() {
        quote!(match self {})
    } else {
        let describe = quote_spanned!(ident.span().resolved_at(Span::mixed_site())=> __p::Describe::describe);
        quote! {
            let message = #describe(&self);
            match self { #arms }
        }
    };
    let errors = errors.into_tokens();
    quote! {
        const _: () = {
            use #facade::__private as __p;
            #[automatically_derived]
            impl #impl_generics __p::StepFailure for #ident #type_generics #where_clause {
                fn into_step_error(self) -> __p::StepError {
                    #body
                }
            }
        };
        #errors
    }
}

/// The arm of one variant, or of a struct.
fn arm(
    pattern: &TokenStream,
    ident: &Ident,
    fields: &Fields,
    own: &Step,
    whole: &Step,
    subject: &str,
    errors: &mut Errors,
) -> TokenStream {
    let Some(class) = own.class.or(whole.class) else {
        if !own.wrong && !whole.wrong {
            let sentence = format!(
                "say whether the engine may try again after {subject}: `#[step(retryable)]` or `#[step(permanent)]`"
            );
            errors.at(ident, sentence);
        }
        return TokenStream::new();
    };
    if class == Class::Transparent {
        return transparent_arm(pattern, ident, fields, errors);
    }
    let make = if class == Class::Retryable { quote!(retryable) } else { quote!(permanent) };
    let code = own.code.as_ref().or(whole.code.as_ref()).map_or_else(|| screaming(ident), LitStr::value);
    let error_type = own.error_type.as_ref().or(whole.error_type.as_ref());
    let error_type = error_type.map(|error_type| quote!(.with_type(#error_type)));
    let retry_after = own.retry_after_ms.or(whole.retry_after_ms);
    let retry_after = retry_after.map(|ms| quote!(.with_retry_after(__p::core::time::Duration::from_millis(#ms))));
    quote! {
        #pattern { .. } => __p::StepError::#make(message).with_code(#code) #error_type #retry_after,
    }
}

fn transparent_arm(pattern: &TokenStream, ident: &Ident, fields: &Fields, errors: &mut Errors) -> TokenStream {
    let mut members = fields.members();
    let (Some(member), None) = (members.next(), members.next()) else {
        errors.at(
            ident,
            "`#[step(transparent)]` needs exactly one field: the error that says whether it may be tried again",
        );
        return TokenStream::new();
    };
    let member = match member {
        Member::Named(name) => quote!(#name),
        Member::Unnamed(index) => quote!(#index),
    };
    let span = fields.iter().next().map_or_else(Span::call_site, |field| field.ty.span());
    let inner = quote_spanned!(span.resolved_at(Span::mixed_site())=> __p::StepFailure::into_step_error);
    quote!(#pattern { #member: inner } => #inner(inner).with_message(message),)
}

/// `EMPTY_ORDER` for `EmptyOrder`.
fn screaming(ident: &Ident) -> String {
    to_snake_case(&syn::ext::IdentExt::unraw(ident).to_string()).to_uppercase()
}

impl Step {
    fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut step = Self::default();
        let mut seen = Seen::default();
        let before = errors.count();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("step")) {
            let Some(list) = errors.ok(attribute.meta.require_list()) else { continue };
            let read = |input: ParseStream<'_>| {
                values::read_list(input, errors, |input, errors| step.read(input, &mut seen, errors));
                Ok(())
            };
            let _: syn::Result<()> = read.parse2(list.tokens.clone());
        }
        step.wrong = errors.count() > before;
        step
    }

    fn read(&mut self, input: ParseStream<'_>, seen: &mut Seen, errors: &mut Errors) -> syn::Result<()> {
        let key = values::key(input)?;
        let word = key.to_string();
        if KEYS.contains(&word.as_str()) {
            seen.once(&key, errors);
        }
        match word.as_str() {
            "retryable" => self.set_class(Class::Retryable, &key, errors),
            "permanent" => self.set_class(Class::Permanent, &key, errors),
            "transparent" => self.set_class(Class::Transparent, &key, errors),
            "code" => self.code = Some(values::text(&key, "SOLD_OUT", input)?),
            "error_type" => self.error_type = Some(values::text(&key, "timeout", input)?),
            "retry_after" => self.retry_after_ms = Some(values::duration_ms(&key, input)?),
            "crate" => {
                let _: Token![=] = input.parse()?;
                self.crate_path = Some(input.call(Path::parse_mod_style)?);
            }
            _ => {
                values::pass_over(input);
                return Err(values::unknown_key(&key, "#[step(...)]", KEYS));
            }
        }
        Ok(())
    }

    fn set_class(&mut self, class: Class, key: &Ident, errors: &mut Errors) {
        if self.class.is_some_and(|other| other != class) {
            errors.at(key, "an error is `retryable`, `permanent` or `transparent`: one of them");
        }
        self.class = Some(class);
    }
}

#[cfg(test)]
mod tests;
