//! Types, as far as tokens tell.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{ReturnType, Type};

use crate::errors::Errors;

/// The tokens with every named lifetime but `'static` left to the compiler: a shim has no `<'a>`.
pub(crate) fn without_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut after_quote = false;
    let replaced = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(name) if std::mem::take(&mut after_quote) && name != "static" => {
            TokenTree::Ident(proc_macro2::Ident::new("_", name.span()))
        }
        TokenTree::Punct(punct) => {
            after_quote = punct.as_char() == '\'';
            TokenTree::Punct(punct)
        }
        TokenTree::Group(group) => {
            after_quote = false;
            TokenTree::Group(regroup(&group, without_lifetimes(group.stream())))
        }
        other => {
            after_quote = false;
            other
        }
    });
    replaced.collect()
}

/// The tokens with `Self` written out.
pub(crate) fn without_self(tokens: TokenStream, self_type: &TokenStream) -> TokenStream {
    let replaced = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(name) if name == "Self" => self_type.clone(),
        TokenTree::Group(group) => TokenTree::Group(regroup(&group, without_self(group.stream(), self_type))).into(),
        other => other.into(),
    });
    replaced.collect()
}

fn regroup(group: &Group, stream: TokenStream) -> Group {
    let mut regrouped = Group::new(group.delimiter(), stream);
    regrouped.set_span(group.span());
    regrouped
}

/// What to read so that a reference to `ty` can be lent: `String` for `str`, `Vec<T>` for `[T]`.
pub(crate) fn owned_form_of(ty: &Type) -> TokenStream {
    let span = ty.span().resolved_at(proc_macro2::Span::mixed_site());
    match ty {
        Type::Group(group) => owned_form_of(&group.elem),
        Type::Paren(paren) => owned_form_of(&paren.elem),
        Type::Path(path) if path.qself.is_none() && path.path.is_ident("str") => quote_spanned!(span=> __p::String),
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote_spanned!(span=> __p::Vec<#element>)
        }
        other => other.to_token_stream(),
    }
}

/// Tells what a handler cannot return, as far as it can be seen.
pub(crate) fn check_return(output: &ReturnType, errors: &mut Errors) {
    if let ReturnType::Type(_, ty) = output {
        check_tokens(ty.to_token_stream(), &mut false, errors);
    }
}

fn check_tokens(tokens: TokenStream, borrows: &mut bool, errors: &mut Errors) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Ident(word) if word == "impl" => {
                let sentence =
                    "name the return type: others take a step's result by its type, and `impl Trait` has no name";
                errors.at(word, sentence);
            }
            // A reference without a lifetime; one that has it is told at the lifetime.
            TokenTree::Punct(mark) if mark.as_char() == '&' && !is_quote(tokens.peek()) => {
                tell_borrow(&token, borrows, errors);
            }
            TokenTree::Punct(mark) if mark.as_char() == '\'' => match tokens.next() {
                Some(TokenTree::Ident(lifetime)) if lifetime == "static" => {}
                Some(lifetime) => tell_borrow(&[token, lifetime].into_iter().collect::<TokenStream>(), borrows, errors),
                None => {}
            },
            TokenTree::Group(group) => check_tokens(group.stream(), borrows, errors),
            _ => {}
        }
    }
}

fn is_quote(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == '\'')
}

/// Once for a type is enough.
fn tell_borrow(tokens: &impl ToTokens, borrows: &mut bool, errors: &mut Errors) {
    if !std::mem::replace(borrows, true) {
        errors.at(tokens, "a step's result must own its data: it is stored when the handler is long gone");
    }
}
