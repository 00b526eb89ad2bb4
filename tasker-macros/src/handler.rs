//! `#[step_handler]`: from the attribute and its item to the item, a handler, and its entry in the registry.

mod argument;
mod item;
mod options;
mod shim;
mod types;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{FnArg, GenericParam, Generics, ReceiverKind, Safety, Signature, Type};
use tasker_types::name::to_snake_case;

use self::argument::{Argument, Source};
use self::item::{Block, docs_of, type_name};
pub(crate) use self::item::{Function, Item, conditions_of};
use self::options::Options;
use self::shim::{Made, Shim, Takes};
use crate::errors::Errors;

/// The expansion of `#[step_handler(attribute)] item`. Whatever is wrong, the user's item is in it.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(attribute, &mut errors);
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Function(function)) => expand_function(*function, &options, errors),
        Ok(Item::Block(block)) => expand_block(*block, &options, errors),
        Ok(Item::Other) => {
            let sentence = "`#[step_handler]` goes on an `async fn`, or on the `impl` block of a handler's own type";
            errors.at_span(first_span(&item), sentence);
            errors.after(item)
        }
        // The compiler tells what is wrong with the item itself.
        Err(error) => {
            errors.push(error);
            errors.after(item)
        }
    }
}

fn first_span(tokens: &TokenStream) -> Span {
    let no_attribute = tokens.clone().into_iter().find(|token| matches!(token, proc_macro2::TokenTree::Ident(_)));
    no_attribute.map_or_else(Span::call_site, |token| token.span())
}

fn expand_function(mut function: Function, options: &Options, mut errors: Errors) -> TokenStream {
    let ident = function.signature.ident.clone();
    let rust_name = syn::ext::IdentExt::unraw(&ident).to_string();
    let name = options.name_or(&rust_name, ident.span(), "fn's", &mut errors);
    check_signature(&function.signature, options, &mut errors);
    let receiver = function.signature.receiver().map(ToTokens::to_token_stream);
    if let Some(receiver) = &receiver {
        let sentence = "a step handler fn takes no `self`; for a handler with fields put `#[step_handler(...)]` on its `impl` block";
        errors.at(receiver, sentence);
    }
    let arguments = read_arguments(&mut function.signature, &mut errors);
    let facade = options.facade();
    let conditions = conditions_of(&function.attributes);
    let visibility = &function.visibility;
    // Lives in the namespace of types only: `use m::validate_order` brings in the function and the type.
    let marker = quote! {
        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, unreachable_pub, dead_code)]
        #visibility struct #ident {
            config: #facade::__private::StepHandlerConfig,
        }
    };
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        if receiver.is_some() {
            // In an `impl` block nothing but the method may stand.
            return quote!(#function #errors);
        }
        let stub = shim::stub(&facade, &conditions, &ident.to_token_stream(), &name);
        return quote!(#function #marker #stub #errors);
    }
    let shim = Shim {
        facade: &facade,
        options,
        conditions: &conditions,
        name: &name,
        rust_name: &rust_name,
        docs: &docs_of(&function.attributes),
        marker: &ident.to_token_stream(),
        span: ident.span(),
        made: Made::Function(&ident),
        asynchronous: function.signature.asyncness.is_some(),
        output: types::without_lifetimes(return_type(&function.signature)),
        output_span: return_span(&function.signature),
        arguments: &arguments,
    };
    let shim = shim.to_tokens();
    quote!(#function #marker #shim)
}

fn expand_block(mut block: Block, options: &Options, mut errors: Errors) -> TokenStream {
    check_generics(&block.generics, &mut errors);
    let self_type = block.self_type.to_token_stream();
    let type_ident = type_name(&block.self_type);
    let rust_name = type_ident.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = options.name_or(&to_snake_case(&rust_name), block.self_type.span(), "type's", &mut errors);
    let docs = docs_of(&block.attributes);
    let (new_takes, new_span) = check_new(&mut block, &mut errors);
    let mut arguments = Vec::new();
    let mut call_parts = None;
    if let Some(call) = block.function("call") {
        check_signature(&call.signature, options, &mut errors);
        check_receiver(&call.signature, &mut errors);
        arguments = read_arguments(&mut call.signature, &mut errors);
        let output = types::without_self(types::without_lifetimes(return_type(&call.signature)), &self_type);
        let docs = if docs.is_empty() { docs_of(&call.attributes) } else { docs };
        let asynchronous = call.signature.asyncness.is_some();
        call_parts = Some((output, return_span(&call.signature), asynchronous, docs, call.signature.ident.span()));
    } else {
        errors.at(&block.self_type, "this `impl` block has no `async fn call(&self, ...)`, which runs the step");
    }
    for argument in &mut arguments {
        argument.owned = types::without_self(argument.owned.clone(), &self_type);
    }
    let facade = options.facade();
    let conditions = conditions_of(&block.attributes);
    match call_parts {
        Some((output, output_span, asynchronous, docs, span)) if errors.is_empty() => {
            let shim = Shim {
                facade: &facade,
                options,
                conditions: &conditions,
                name: &name,
                rust_name: &rust_name,
                docs: &docs,
                marker: &self_type,
                span,
                made: Made::Type { takes: new_takes, span: new_span },
                asynchronous,
                output,
                output_span,
                arguments: &arguments,
            };
            let shim = shim.to_tokens();
            quote!(#block #shim)
        }
        _ => {
            let errors = errors.into_tokens();
            let stub = if block.generics.params.is_empty() {
                shim::stub(&facade, &conditions, &self_type, &name)
            } else {
                TokenStream::new()
            };
            quote!(#block #stub #errors)
        }
    }
}

/// What must hold of a handler's signature, arguments apart.
fn check_signature(signature: &Signature, options: &Options, errors: &mut Errors) {
    if signature.asyncness.is_none() && !options.blocking {
        let sentence = "a step handler must be an `async fn`; one that computes or blocks is a plain `fn` with `#[step_handler(blocking)]`";
        errors.at(signature.fn_token, sentence);
    }
    if let Some(token) = &signature.constness {
        errors.at(token, "a step handler cannot be `const`");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(token, "a step handler cannot be `unsafe`: nobody is there to keep its promises");
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a step handler cannot be `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, "a step handler has a fixed number of arguments");
    }
    check_generics(&signature.generics, errors);
    types::check_return(&signature.output, errors);
}

fn check_generics(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        let sentence = "a step handler cannot be generic: the engine finds it by name and could not choose the type";
        match parameter {
            GenericParam::Type(parameter) => errors.at(&parameter.ident, sentence),
            GenericParam::Const(parameter) => errors.at(&parameter.ident, sentence),
            // The arguments of an attempt live as long as it: whichever lifetime that is.
            GenericParam::Lifetime(_) => {}
        }
    }
}

fn check_receiver(signature: &Signature, errors: &mut Errors) {
    let sentence = "`call` must take `&self`: one handler serves many steps at once";
    match signature.receiver() {
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) => {}
        Some(receiver) => errors.at(receiver, sentence),
        None => errors.at(&signature.ident, sentence),
    }
}

/// Whether `new` takes the configuration and how, and where it says what it returns.
fn check_new(block: &mut Block, errors: &mut Errors) -> (Takes, Span) {
    let self_type = block.self_type.clone();
    let Some(new) = block.function("new") else {
        let sentence = "this `impl` block has no `fn new(config: StepHandlerConfig) -> Self`, which makes the handler";
        errors.at(&self_type, sentence);
        return (Takes::Nothing, self_type.span());
    };
    let signature = &new.signature;
    if let Some(asyncness) = &signature.asyncness {
        let sentence =
            "`new` of a step handler cannot be `async`: it runs when a worker starts; do in `call` what must wait";
        errors.at(asyncness, sentence);
    }
    check_generics(&signature.generics, errors);
    let mut inputs = signature.inputs.iter();
    let takes = match (inputs.next(), inputs.next()) {
        (None, _) => Takes::Nothing,
        (Some(FnArg::Receiver(receiver)), _) => {
            errors.at(receiver, "`new` of a step handler makes it, so it takes no `self`");
            Takes::Nothing
        }
        (Some(FnArg::Typed(argument)), None) if matches!(*argument.ty, Type::Reference(_)) => Takes::Reference,
        (Some(FnArg::Typed(_)), None) => Takes::Value,
        (Some(FnArg::Typed(_)), Some(second)) => {
            let sentence = "`new` of a step handler takes at most its `StepHandlerConfig`; what the application shares goes to `call` as `#[state]`";
            errors.at(second, sentence);
            Takes::Value
        }
    };
    (takes, return_span(signature))
}

fn read_arguments(signature: &mut Signature, errors: &mut Errors) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut steps: Vec<String> = Vec::new();
    for input in &mut signature.inputs {
        let FnArg::Typed(typed) = input else { continue };
        let Some(argument) = Argument::parse(typed, errors) else { continue };
        if let Source::Dependency { step, .. } = &argument.source {
            if steps.contains(&step.identity()) {
                let sentence = format!(
                    "the result of step `{}` is taken twice: take it once and use it twice",
                    step.identity().replace(['"', ' '], "")
                );
                errors.at(&typed.pat, sentence);
            }
            steps.push(step.identity());
        }
        arguments.push(argument);
    }
    arguments
}

fn return_type(signature: &Signature) -> TokenStream {
    match &signature.output {
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(_, ty) => ty.to_token_stream(),
    }
}

fn return_span(signature: &Signature) -> Span {
    match &signature.output {
        syn::ReturnType::Default => signature.ident.span(),
        syn::ReturnType::Type(_, ty) => ty.span(),
    }
}

#[cfg(test)]
mod tests;
