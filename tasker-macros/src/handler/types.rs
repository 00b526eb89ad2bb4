//! Types, as far as tokens tell.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypePath};

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
        Type::Path(path) if is_str(path) => quote_spanned!(span=> __p::String),
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote_spanned!(span=> __p::Vec<#element>)
        }
        other => other.to_token_stream(),
    }
}

/// `str`, or `core::primitive::str`.
fn is_str(ty: &TypePath) -> bool {
    let mut segments = ty.path.segments.iter().rev();
    ty.qself.is_none()
        && segments.next().is_some_and(|segment| segment.ident == "str")
        && segments.next().is_none_or(|segment| segment.ident == "primitive")
}

/// The `&T` of an `Option<&T>`.
pub(crate) fn reference_in_option(ty: &Type) -> Option<&Type> {
    let path = match ty {
        Type::Group(group) => return reference_in_option(&group.elem),
        Type::Paren(paren) => return reference_in_option(&paren.elem),
        Type::Path(path) => path.path.segments.last().filter(|last| last.ident == "Option")?,
        _ => return None,
    };
    let PathArguments::AngleBracketed(arguments) = &path.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(inner @ Type::Reference(_))), None) => Some(inner),
        _ => None,
    }
}

/// Tells what a handler cannot return, as far as it can be seen.
pub(crate) fn check_return(output: &ReturnType, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = output else { return };
    let tokens = ty.to_token_stream();
    if let Some(word) = find_impl(tokens.clone()) {
        let sentence = "name the return type: others take a step's result by its type, and `impl Trait` has no name";
        errors.at(word, sentence);
    }
    if let Some(borrow) = find_borrow(tokens) {
        errors.at(borrow, "a step's result must own its data: it is stored when the handler is long gone");
    }
}

/// Tells what cannot be read from JSON because it borrows inside; a reference to the whole is taken off already.
pub(crate) fn check_owned(owned: &TokenStream, errors: &mut Errors) {
    if let Some(borrow) = find_borrow(owned.clone()) {
        let sentence = "what a step handler reads must own its data inside: `String` for `&str`, `Vec<T>` for `&[T]`; only the whole can be lent";
        errors.at(borrow, sentence);
    }
}

fn find_impl(tokens: TokenStream) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ref word) if word == "impl" => Some(token),
        TokenTree::Group(group) => find_impl(group.stream()),
        _ => None,
    })
}

/// The first reference or lifetime that is not `'static`.
fn find_borrow(tokens: TokenStream) -> Option<TokenStream> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            // A reference without a lifetime; one that has it is found at the lifetime.
            TokenTree::Punct(mark) if mark.as_char() == '&' && !is_quote(tokens.peek()) => return Some(token.into()),
            TokenTree::Punct(mark) if mark.as_char() == '\'' => match tokens.next() {
                Some(TokenTree::Ident(lifetime)) if lifetime == "static" => {}
                Some(lifetime) => return Some([token, lifetime].into_iter().collect()),
                None => {}
            },
            TokenTree::Group(group) => {
                if let Some(found) = find_borrow(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_quote(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == '\'')
}
