//! The macros of tasker: `#[step_handler]` and `#[derive(StepFailure)]`.

use proc_macro::TokenStream;

mod errors;
mod failure;
mod handler;
mod values;

/// Makes a step handler.
#[proc_macro_attribute]
pub fn step_handler(attribute: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(attribute.into(), item.into()).into()
}

/// Says of each error whether the engine may try again.
#[proc_macro_derive(StepFailure, attributes(step))]
pub fn derive_step_failure(item: TokenStream) -> TokenStream {
    failure::expand(item.into()).into()
}
