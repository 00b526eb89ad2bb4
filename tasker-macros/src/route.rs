//! `#[derive(Route)]`: the variants of an enum as the branches of a decision.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Meta, Path, Token, Variant};
use tasker_types::name::to_snake_case;
use tasker_types::template::check_step_name;

use crate::errors::Errors;
use crate::values;

/// A variant, and the steps that it names.
struct Branch<'a> {
    variant: &'a Variant,
    steps: Vec<LitStr>,
}

/// The expansion of `#[derive(Route)] item`.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let facade = facade(&input.attrs, &mut errors).map_or_else(|| quote!(::tasker), ToTokens::into_token_stream);
    if !input.generics.params.is_empty() {
        errors.at(
            &input.generics.params,
            "a route cannot be generic: its variants name the steps, and nothing else does",
        );
    }
    let branches = match &input.data {
        Data::Enum(data) => branches(&input.ident, data, &mut errors),
        Data::Struct(data) => not_an_enum(&data.struct_token, &mut errors),
        Data::Union(data) => not_an_enum(&data.union_token, &mut errors),
    };
    // Where something is wrong, it still is a route, so that handlers that return it are not told off as well.
    let (number, numbered, steps) = if errors.is_empty() {
        let variants = branches.iter().map(|branch| &branch.variant.ident);
        let (of, to) = (variants.clone().enumerate(), variants.enumerate());
        let of = of.map(|(number, variant)| quote!(Self::#variant => #number,));
        let to = to.map(|(number, variant)| quote!(#number => __p::Some(Self::#variant),));
        let steps = branches.iter().map(|Branch { steps, .. }| quote!(&[#(#steps),*]));
        (quote!(match self { #(#of)* }), quote!(match number { #(#to)* _ => __p::None }), quote!(#(#steps),*))
    } else {
        (quote!(__p::core::unreachable!()), quote!(__p::None), TokenStream::new())
    };
    let errors = errors.into_tokens();
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            use #facade::__private as __p;
            #[automatically_derived]
            impl #impl_generics __p::Branches for #ident #type_generics #where_clause {
                const STEPS: &'static [&'static [&'static __p::str]] = &[#steps];
                fn number(&self) -> __p::usize {
                    #number
                }
                fn numbered(number: __p::usize) -> __p::Option<Self> {
                    #numbered
                }
            }
        };
        #errors
    }
}

fn not_an_enum<'a>(keyword: &dyn ToTokens, errors: &mut Errors) -> Vec<Branch<'a>> {
    errors.at(keyword, "`Route` can be derived for enums: a variant for each branch of the decision");
    Vec::new()
}

fn branches<'a>(ident: &Ident, data: &'a DataEnum, errors: &mut Errors) -> Vec<Branch<'a>> {
    if data.variants.is_empty() {
        errors.at(ident, "a decision has to choose something: give the enum a variant for each branch");
    }
    let mut branches: Vec<Branch<'a>> = Vec::new();
    for variant in &data.variants {
        let before = errors.count();
        if !matches!(variant.fields, Fields::Unit) {
            errors.at(
                &variant.fields,
                "a branch has no fields: what else there is to tell goes into `Route::with_context`",
            );
        }
        let steps = steps(variant, errors);
        if errors.count() > before {
            continue;
        }
        // A reader of the route finds the variant by its steps.
        let names = |steps: &[LitStr]| steps.iter().map(LitStr::value).collect::<BTreeSet<_>>();
        match branches.iter().find(|earlier| names(&earlier.steps) == names(&steps)) {
            Some(earlier) => errors.at(
                &variant.ident,
                format_args!(
                    "`{}` names the same steps as `{}`: make one variant of them, and tell them apart by `Route::with_context`",
                    variant.ident, earlier.variant.ident
                ),
            ),
            None => branches.push(Branch { variant, steps }),
        }
    }
    branches
}

/// The steps that a variant names.
fn steps(variant: &Variant, errors: &mut Errors) -> Vec<LitStr> {
    let mut given = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("route"));
    let Some(attribute) = given.next() else {
        let written = variant.ident.unraw().to_string();
        let name = to_snake_case(&written);
        // A letter that is not of a-z would silently be left out of the name.
        if !written.is_ascii() || check_step_name(&name).is_err() {
            let sentence = "the variant's name cannot serve as a step's: name the step, `#[route(\"its_name\")]`";
            errors.at(&variant.ident, sentence);
        }
        return vec![LitStr::new(&name, variant.ident.span())];
    };
    for again in given {
        errors.at(again, "`#[route(..)]` is given twice: list all steps of the branch in one");
    }
    let Meta::List(list) = &attribute.meta else {
        let sentence =
            "name the steps that go on: `#[route(\"ask_manager\", \"note_delay\")]`, or `#[route()]` where none does";
        errors.at(&attribute.meta, sentence);
        return Vec::new();
    };
    let mut steps: Vec<LitStr> = Vec::new();
    let read = |input: ParseStream<'_>| {
        values::read_list(input, errors, |input, errors| {
            let step = step(input)?;
            if let Err(reason) = check_step_name(&step.value()) {
                errors.at(&step, format_args!("bad step name: {reason}"));
            } else if steps.iter().any(|other| other.value() == step.value()) {
                errors.at(&step, format_args!("step `{}` is named twice", step.value()));
            }
            steps.push(step);
            Ok(())
        });
        Ok(())
    };
    let _: syn::Result<()> = read.parse2(list.tokens.clone());
    steps
}

/// The name of one step.
fn step(input: ParseStream<'_>) -> syn::Result<LitStr> {
    if input.peek(LitStr) {
        return input.parse();
    }
    if input.peek(Ident::peek_any) {
        let word = values::key(input)?;
        let sentence = if word == "crate" {
            "`crate` stands on the enum: `#[route(crate = path)]`".to_owned()
        } else if input.peek(Token![=]) {
            format!("unknown key `{word}` in `#[route(...)]`: it lists the names of steps, `#[route(\"ask_manager\")]`")
        } else {
            format!("write the step's name as text: `\"{word}\"`")
        };
        values::pass_over(input);
        return Err(syn::Error::new_spanned(word, sentence));
    }
    let odd: TokenTree = input.parse()?;
    values::pass_over(input);
    Err(syn::Error::new_spanned(odd, "this is no name of a step: write it as text, `\"ask_manager\"`"))
}

/// Where the crate `tasker` is found, if the enum says so.
fn facade(attributes: &[Attribute], errors: &mut Errors) -> Option<Path> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("route")) {
        let Meta::List(list) = &attribute.meta else {
            errors.at(&attribute.meta, "the names of steps stand on the variants");
            continue;
        };
        let read = |input: ParseStream<'_>| {
            values::read_list(input, errors, |input, _| {
                if !input.peek(Token![crate]) {
                    let odd: TokenTree = input.parse()?;
                    values::pass_over(input);
                    return Err(syn::Error::new_spanned(odd, "the names of steps stand on the variants"));
                }
                let _: Token![crate] = input.parse()?;
                let _: Token![=] = input.parse()?;
                found = Some(input.call(Path::parse_mod_style)?);
                Ok(())
            });
            Ok(())
        };
        let _: syn::Result<()> = read.parse2(list.tokens.clone());
    }
    found
}

#[cfg(test)]
mod tests;
