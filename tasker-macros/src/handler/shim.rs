//! The generated handler: a thin shim over `::tasker::__private`.
//!
//! Names inside are hygienic where they can be (locals), or stand in a `const _` block of their own (items), and all
//! else is reached through `__p`: a user's own `Result`, `Box` or `String` is not in the way.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, LitStr};

use super::argument::{Argument, Fallback, Form, Source, StepRef};
use super::options::Options;

/// Everything that the generated handler is made of.
pub(crate) struct Shim<'a> {
    pub(crate) facade: &'a TokenStream,
    pub(crate) options: &'a Options,
    /// The `#[cfg]`s of the item.
    pub(crate) conditions: &'a [&'a Attribute],
    pub(crate) name: &'a LitStr,
    pub(crate) rust_name: &'a str,
    pub(crate) docs: &'a str,
    /// The type that stands for the handler in `#[dependency(..)]`.
    pub(crate) marker: &'a TokenStream,
    /// Where mistakes of the future are shown.
    pub(crate) span: Span,
    pub(crate) made: Made<'a>,
    pub(crate) asynchronous: bool,
    pub(crate) output: TokenStream,
    pub(crate) output_span: Span,
    pub(crate) arguments: &'a [Argument],
}

/// What the user wrote.
#[derive(Clone, Copy)]
pub(crate) enum Made<'a> {
    /// A function.
    Function(&'a Ident),
    /// A type with `new` and `call`.
    Type {
        /// What `new` takes.
        takes: Takes,
        /// Where mistakes of what `new` returns are shown.
        span: Span,
    },
}

/// How `new` takes the configuration.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    /// Not at all.
    Nothing,
    /// By value.
    Value,
    /// By reference.
    Reference,
}

/// What stands for a handler that could not be generated, so that others that name it are not told off as well.
pub(crate) fn stub(
    facade: &TokenStream,
    conditions: &[&Attribute],
    marker: &TokenStream,
    name: &LitStr,
) -> TokenStream {
    quote! {
        #(#conditions)*
        const _: () = {
            use #facade::__private as __p;
            impl __p::Produces<__p::Untyped, true> for #marker {
                const NAME: &'static __p::str = #name;
            }
        };
    }
}

/// A span where the user's token is, in which our names mean what we say.
fn here(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Shim<'_> {
    pub(crate) fn to_tokens(&self) -> TokenStream {
        let Self { facade, conditions, name, marker, output, output_span, .. } = self;
        let ret = quote_spanned! {here(*output_span)=> type __Ret = #output; };
        let returned = match &self.options.returns {
            Some(returns) => quote!(#returns),
            None => quote!(<__Ret as __p::Shape<__Kind>>::Output),
        };
        let check_returns =
            self.options.returns.as_ref().map(
                |returns| quote_spanned!(here(returns.span())=> const _: () = __p::check_returns::<__Kind, __Ret>();),
            );
        let checks: TokenStream =
            self.arguments.iter().enumerate().map(|(index, argument)| self.check(index, argument)).collect();
        let handler = self.handler();
        let entry = self.entry();
        quote! {
            #(#conditions)*
            #[doc(hidden)]
            const _: () = {
                use #facade::__private::{self as __p, No as _, NoBranches as _, NoSchema as _};
                #ret
                type __Kind = __p::Kind<{ __p::kind(__p::IsResult::<__Ret>::YES, __p::IsRaw::<__Ret>::YES) }>;
                #check_returns
                type __Out = #returned;
                    impl __p::Produces<__Out, { __p::IsJson::<__Out>::YES }> for #marker {
                    const NAME: &'static __p::str = #name;
                }
                #checks
                #handler
                #entry
            };
        }
    }

    /// What is checked of an argument before anything runs.
    fn check(&self, index: usize, argument: &Argument) -> TokenStream {
        let span = here(argument.span);
        let owned = &argument.owned;
        let marker = self.marker;
        match &argument.source {
            Source::Dependency { step: StepRef::Path(path), partial } => {
                let path_span = here(path.span());
                let alias = format_ident!("__Dep{index}", span = path_span);
                let edge = format_ident!("__EDGE{index}");
                let producer = local("__producer");
                let made = quote_spanned!(path_span=> __p::producer::<#alias, _, _>());
                let fits = if *partial {
                    TokenStream::new()
                } else {
                    quote_spanned! {span=>
                        __p::check_edge::<#owned, #marker, _, _, { __p::IsJson::<#owned>::YES }, _>(&#producer);
                    }
                };
                quote! {
                    type #alias = #path;
                    const #edge: &'static __p::str = {
                        let #producer = #made;
                        #fits
                        #producer.name
                    };
                }
            }
            Source::State { optional: false } => {
                let need = format_ident!("__STATE{index}");
                // What an async handler is lent is in its future, which has to be `Send`: one of the two errors is enough.
                let of = if argument.form == Form::Borrowed && !self.options.blocking { "lent" } else { "of" };
                let of = Ident::new(of, span);
                quote_spanned!(span=> const #need: __p::StateNeed = __p::StateNeed::#of::<#owned>();)
            }
            _ => TokenStream::new(),
        }
    }

    /// The type that runs steps, and its impl.
    fn handler(&self) -> TokenStream {
        let name = self.name;
        let marker = self.marker;
        let (config, step) = (local("__config"), local("__step"));
        let body = if self.options.blocking { self.blocking_body() } else { self.async_body() };
        let (handler, definition, new) = match self.made {
            Made::Function(_) => (marker.clone(), TokenStream::new(), quote!(Self { config: #config })),
            Made::Type { takes, span } => {
                let argument = match takes {
                    Takes::Nothing => TokenStream::new(),
                    Takes::Value => quote!(__p::Clone::clone(&#config)),
                    Takes::Reference => quote!(&#config),
                };
                let new = quote_spanned!(here(span)=> __p::inner::<#marker, _>(<#marker>::new(#argument)));
                let definition = quote! {
                    struct __Handler {
                        inner: __p::Inner<#marker>,
                        config: __p::StepHandlerConfig,
                    }
                    fn __make(#config: __p::StepHandlerConfig) -> __p::Made {
                        let made = <__Handler as __p::RustStepHandler>::new(#config);
                        match made.inner {
                            __p::Ok(_) => __p::Ok(__p::Box::new(made)),
                            __p::Err(error) => __p::Err(__p::Into::into(error)),
                        }
                    }
                };
                (quote!(__Handler), definition, quote!(Self { inner: #new, config: #config }))
            }
        };
        quote! {
            #definition
            #[automatically_derived]
            #[allow(unused_variables)]
            impl __p::RustStepHandler for #handler {
                fn new(#config: __p::StepHandlerConfig) -> Self {
                    #new
                }
                fn name(&self) -> &__p::str {
                    #name
                }
                fn call<'life0, 'life1, 'async_trait>(
                    &'life0 self,
                    #step: &'life1 __p::Step,
                ) -> __p::CallFuture<'async_trait>
                where
                    'life0: 'async_trait,
                    'life1: 'async_trait,
                    Self: 'async_trait,
                {
                    #body
                }
            }
        }
    }

    fn async_body(&self) -> TokenStream {
        let config = local("__config");
        let inner = self.take_inner(&quote!(&self.inner));
        let read = self.read_arguments();
        let called = self.call();
        let returned = local("__returned");
        let awaited = quote_spanned!(here(self.span)=> __p::assert_send(#called).await);
        let finish = self.finish(&returned);
        quote! {
            __p::Box::pin(async move {
                let #config = &self.config;
                #inner
                #read
                let #returned: __Ret = #awaited;
                #finish
            })
        }
    }

    fn blocking_body(&self) -> TokenStream {
        let (config, step, shared) = (local("__config"), local("__step"), local("__shared"));
        let share =
            matches!(self.made, Made::Type { .. }).then(|| quote!(let #shared = __p::Clone::clone(&self.inner);));
        let inner = self.take_inner(&quote!(&#shared));
        let read = self.read_arguments();
        let called = self.call();
        let called = if self.asynchronous { quote!(__p::block_on(#called)) } else { called };
        let returned = local("__returned");
        let finish = self.finish(&returned);
        quote! {
            let #config = __p::Clone::clone(&self.config);
            #share
            __p::Box::pin(__p::run_blocking(#step, move |#step: &__p::Step| {
                let #config = &#config;
                #inner
                #read
                let #returned: __Ret = #called;
                #finish
            }))
        }
    }

    /// The user's own value behind an `impl` block's handler.
    fn take_inner(&self, from: &TokenStream) -> TokenStream {
        let (inner, step) = (local("__inner"), local("__step"));
        match self.made {
            Made::Function(_) => TokenStream::new(),
            Made::Type { .. } => quote! {
                let #inner = match #from {
                    __p::Ok(inner) => inner,
                    __p::Err(error) => return __p::reject(#step, __p::Clone::clone(error)),
                };
            },
        }
    }

    /// One `let` for each argument; the first that fails ends the attempt.
    fn read_arguments(&self) -> TokenStream {
        let step = local("__step");
        let read = self.arguments.iter().enumerate().map(|(index, argument)| {
            let value = argument_local(index);
            let (read, found) = (read(index, argument), local("__found"));
            if matches!(argument.source, Source::State { optional: true }) {
                let written = &argument.written;
                return quote_spanned! {here(argument.span)=>
                    let #value: #written = match #read {
                        __p::Some(#found) => __p::Some(#found),
                        __p::None => __p::None,
                    };
                };
            }
            let kept = match (&argument.source, argument.form) {
                (Source::State { .. }, Form::Owned) => {
                    let found = Ident::new("__found", here(argument.span));
                    quote_spanned!(here(argument.span)=> __p::Clone::clone(#found))
                }
                _ => quote!(#found),
            };
            quote! {
                let #value = match #read {
                    __p::Ok(#found) => #kept,
                    __p::Err(error) => return __p::reject(#step, error),
                };
            }
        });
        read.collect()
    }

    /// The call of the user's function.
    fn call(&self) -> TokenStream {
        let arguments = self.arguments.iter().enumerate().map(|(index, argument)| {
            let value = argument_local(index);
            match (&argument.source, argument.form) {
                (Source::State { .. }, _) | (_, Form::Owned) => quote!(#value),
                (_, Form::Borrowed) => quote!(&#value),
            }
        });
        match self.made {
            // One span for the whole call: the compiler looks at it twice, and tells one mistake once.
            Made::Function(name) => quote_spanned!(here(self.span)=> #name(#(#arguments),*)),
            Made::Type { .. } => {
                let (marker, inner) = (self.marker, local("__inner"));
                quote_spanned!(here(self.span)=> <#marker>::call(#inner, #(#arguments),*))
            }
        }
    }

    fn finish(&self, returned: &Ident) -> TokenStream {
        let step = local("__step");
        quote_spanned!(here(self.output_span)=> __p::finish::<__Kind, __Ret>(#step, #returned))
    }

    /// What the registry knows of it.
    fn entry(&self) -> TokenStream {
        let Self { name, rust_name, docs, marker, options, .. } = self;
        let aliases = &options.aliases;
        let factory = match self.made {
            Made::Function(_) => quote!(__p::factory::<#marker>),
            Made::Type { .. } => quote!(__make),
        };
        let blocking = options.blocking;
        let retry = options.retry.to_tokens();
        let timeout = options.timeout_ms.map_or_else(|| quote!(__p::None), |ms| quote!(__p::Some(#ms)));
        let arguments = || self.arguments.iter().enumerate();
        let needs_state = |argument: &Argument| matches!(argument.source, Source::State { optional: false });
        let state = arguments().filter(|(_, argument)| needs_state(argument));
        let state = state.map(|(index, _)| format_ident!("__STATE{index}"));
        let dependencies = arguments().filter_map(|(index, argument)| {
            let step = dependency_name(index, argument)?;
            let owned = &argument.owned;
            Some(quote!(__p::DependencySpec { step: #step, optional: __p::IsOption::<#owned>::YES }))
        });
        let inputs = arguments().filter_map(|(_, argument)| {
            let Source::Input { key, default } = &argument.source else { return None };
            let (owned, has_default) = (&argument.owned, default.is_some());
            Some(quote!(__p::InputSpec {
                key: #key,
                optional: #has_default || __p::IsOption::<#owned>::YES,
                schema: __p::SchemaOf::<#owned>::TAKEN,
            }))
        });
        quote! {
            __p::inventory::submit! {
                __p::HandlerEntry {
                    name: #name,
                    aliases: &[#(#aliases),*],
                    rust_name: #rust_name,
                    docs: #docs,
                    file: __p::core::file!(),
                    line: __p::core::line!(),
                    module: __p::core::module_path!(),
                    factory: #factory,
                    blocking: #blocking,
                    retry: #retry,
                    timeout_ms: #timeout,
                    state: &[#(#state),*],
                    dependencies: &[#(#dependencies),*],
                    branches: __p::BranchesOf::<__Out>::BRANCHES,
                    inputs: &[#(#inputs),*],
                    result_schema: __p::SchemaOf::<__Out>::GIVEN,
                }
            }
        }
    }
}

fn argument_local(index: usize) -> Ident {
    local(&format!("__argument{index}"))
}

fn dependency_name(index: usize, argument: &Argument) -> Option<TokenStream> {
    match &argument.source {
        Source::Dependency { step: StepRef::Path(_), .. } => {
            let edge = format_ident!("__EDGE{index}");
            Some(quote!(#edge))
        }
        Source::Dependency { step: StepRef::Name(name), .. } => Some(quote!(#name)),
        _ => None,
    }
}

/// The expression that makes an argument, or the error that ends the attempt.
fn read(index: usize, argument: &Argument) -> TokenStream {
    let span = here(argument.span);
    let owned = &argument.owned;
    let (step, config) = (local("__step"), local("__config"));
    let fallback = |default: &Fallback| fallback(default, argument);
    match &argument.source {
        Source::Step => quote_spanned!(span=> __p::from_step::<#owned>(#step)),
        Source::Input { key, default: None } => quote_spanned!(span=> __p::input::<#owned>(#step, #key)),
        Source::Input { key, default: Some(default) } => {
            let default = fallback(default);
            quote_spanned!(span=> __p::input_or::<#owned>(#step, #key, #default))
        }
        Source::Context => quote_spanned!(span=> __p::context::<#owned>(#step)),
        Source::Config { key: None, .. } => quote_spanned!(span=> __p::config::<#owned>(#config)),
        Source::Config { key: Some(key), default: None } => {
            quote_spanned!(span=> __p::config_key::<#owned>(#config, #key))
        }
        Source::Config { key: Some(key), default: Some(default) } => {
            let default = fallback(default);
            quote_spanned!(span=> __p::config_key_or::<#owned>(#config, #key, #default))
        }
        Source::Dependency { .. } => {
            let name = dependency_name(index, argument);
            quote_spanned!(span=> __p::dependency::<#owned>(#step, #name))
        }
        Source::Dependencies { prefix } => quote_spanned!(span=> __p::dependencies::<#owned>(#step, #prefix)),
        Source::State { optional: true } => {
            quote_spanned!(span=> __p::state_if_any::<#owned>(#step))
        }
        Source::State { optional: false } => quote_spanned!(span=> __p::state::<#owned>(#step)),
    }
}

/// The closure that makes a default; for a borrowed argument the author writes what it borrows.
fn fallback(default: &Fallback, argument: &Argument) -> TokenStream {
    let Argument { owned, written, .. } = argument;
    match (default, argument.form) {
        (Fallback::OfType, _) => quote_spanned!(here(argument.span)=> <#owned as __p::Default>::default),
        (Fallback::Value(value), Form::Owned) => quote!(|| -> #owned { #value }),
        (Fallback::Value(value), Form::Borrowed) => {
            let lent = local("__lent");
            quote!(|| -> #owned { let #lent: #written = #value; __p::ToOwned::to_owned(#lent) })
        }
    }
}
