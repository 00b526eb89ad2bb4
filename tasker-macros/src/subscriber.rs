//! `#[event_subscriber]`: from the attribute and its function to the function and its entry among the subscribers.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{FnArg, LitStr, Path, Token, Type};
use tasker_types::event::check_pattern;
use tasker_types::name::check_handler_name;

use crate::errors::Errors;
use crate::handler::{Function, Item, conditions_of};
use crate::values::{self, Seen};

const KEYS: &[&str] = &["event", "name", "from", "crate"];

/// What the attribute says.
#[derive(Default)]
struct Options {
    events: Vec<LitStr>,
    name: Option<LitStr>,
    from_oldest: bool,
    crate_path: Option<Path>,
}

/// An argument of the function.
enum Argument {
    /// What is made of the event.
    Event(Box<Type>),
    /// A reference to a value of the application's state.
    State(Box<Type>),
}

/// The expansion of `#[event_subscriber(attribute)] item`. Whatever is wrong, the user's item is in it.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(attribute, &mut errors);
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Function(function)) => expand_function(*function, &options, errors),
        Ok(_) => {
            errors.at_span(Span::call_site(), "`#[event_subscriber]` goes on an `async fn`");
            errors.after(item)
        }
        // The compiler tells what is wrong with the item itself.
        Err(error) => {
            errors.push(error);
            errors.after(item)
        }
    }
}

fn expand_function(mut function: Function, options: &Options, mut errors: Errors) -> TokenStream {
    let signature = &mut function.signature;
    let ident = signature.ident.clone();
    if signature.asyncness.is_none() {
        errors.at(signature.fn_token, "an event subscriber must be an `async fn`");
    }
    if let Some(parameter) = signature.generics.params.first() {
        errors.at(
            parameter,
            "an event subscriber cannot be generic: it is found by its name, and nobody would choose the type",
        );
    }
    if options.events.is_empty() && errors.is_empty() {
        errors.at_span(ident.span(), "say which events it takes: `#[event_subscriber(event = \"order.validated\")]`");
    }
    let mut arguments = Vec::new();
    for input in &mut signature.inputs {
        match input {
            FnArg::Receiver(receiver) => errors.at(&*receiver, "an event subscriber takes no `self`"),
            FnArg::Typed(argument) => {
                let before = argument.attrs.len();
                argument.attrs.retain(|attribute| !attribute.path().is_ident("state"));
                let ty = argument.ty.clone();
                arguments.push(match (before > argument.attrs.len(), *ty) {
                    (true, Type::Reference(reference)) => Argument::State(reference.elem),
                    (true, other) => {
                        errors.at(&other, "an event subscriber is lent the state: take a reference, `&T`");
                        continue;
                    }
                    (false, other) => Argument::Event(Box::new(other)),
                });
            }
        }
    }
    if arguments.iter().filter(|argument| matches!(argument, Argument::Event(_))).count() != 1 && errors.is_empty() {
        errors.at_span(
            ident.span(),
            "an event subscriber takes one event (`StepEvent`, `StepEventContext`, `LifecycleEvent` or `Payload<T>`), and what else it takes has `#[state]`",
        );
    }
    if !errors.is_empty() {
        return errors.after(function);
    }
    let entry = entry(&function, &arguments, options);
    quote!(#function #entry)
}

fn entry(function: &Function, arguments: &[Argument], options: &Options) -> TokenStream {
    let ident = &function.signature.ident;
    let facade = options.crate_path.as_ref().map_or_else(|| quote!(::tasker), ToTokens::to_token_stream);
    let name = options.name.clone().unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()));
    let conditions = conditions_of(&function.attributes);
    let passed = arguments.iter().map(|argument| match argument {
        Argument::Event(ty) => quote_spanned!(ty.span()=> __p::from_event::<#ty>(&__event)?),
        Argument::State(ty) => quote_spanned!(ty.span()=> __p::state::<#ty>(&__state)?),
    });
    let needs = arguments.iter().filter_map(|argument| match argument {
        Argument::State(ty) => Some(quote!(__p::StateNeed::of::<#ty>())),
        Argument::Event(_) => None,
    });
    let (events, from_oldest) = (&options.events, options.from_oldest);
    let call = quote_spanned!(ident.span()=> __p::assert_send(#ident(#(#passed),*)));
    let returned = match &function.signature.output {
        syn::ReturnType::Default => quote!(__p::taken(__returned)),
        syn::ReturnType::Type(_, ty) => quote_spanned!(ty.span()=> __p::taken::<#ty>(__returned)),
    };
    quote! {
        #(#conditions)*
        const _: () = {
            use #facade::__private::event as __p;
            fn __give(__event: __p::Event, __state: __p::Arc<__p::AppState>) -> __p::Giving {
                __p::Box::pin(async move {
                    let __returned = #call.await;
                    #returned
                })
            }
            __p::inventory::submit! {
                __p::SubscriberEntry {
                    name: #name,
                    patterns: &[#(#events),*],
                    from_oldest: #from_oldest,
                    give: __give,
                    state: &[#(#needs),*],
                    file: __p::core::file!(),
                    line: __p::core::line!(),
                    module: __p::core::module_path!(),
                }
            }
        };
    }
}

impl Options {
    /// Reads the attribute; mistakes go to `errors`, and the rest counts.
    fn parse(attribute: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let mut seen = Seen::default();
        values::read_attribute(attribute, errors, |input, errors| options.read(input, &mut seen, errors));
        options
    }

    fn read(&mut self, input: ParseStream<'_>, seen: &mut Seen, errors: &mut Errors) -> syn::Result<()> {
        let key = values::key_not_text("event", input)?;
        let word = key.to_string();
        if word != "event" && KEYS.contains(&word.as_str()) {
            seen.once(&key, errors);
        }
        match word.as_str() {
            "event" => {
                let event = values::text(&key, "order.validated", input)?;
                if let Err(why) = check_pattern(&event.value()) {
                    errors.at(&event, format_args!("bad event: {why}"));
                }
                self.events.push(event);
            }
            "name" => {
                let name = values::text(&key, "send_receipt", input)?;
                if let Err(why) = check_handler_name(&name.value()) {
                    errors.at(&name, format_args!("bad event subscriber name: {why}"));
                }
                self.name = Some(name);
            }
            "from" => {
                let from = values::text(&key, "oldest", input)?;
                match from.value().as_str() {
                    "oldest" => self.from_oldest = true,
                    "now" => self.from_oldest = false,
                    _ => errors.at(&from, "`from` is \"now\" (what is stored from its first start on) or \"oldest\" (what was stored before, too)"),
                }
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
}
