//! The wording of the derive's messages, on any compiler.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

#[track_caller]
fn check(item: TokenStream, expected: &[&str]) {
    let expanded = expand(item);
    syn::parse2::<syn::File>(expanded.clone()).expect("the expansion is a list of items");
    let text = expanded.to_string();
    assert_eq!(text.matches("compile_error").count(), expected.len(), "{text}");
    for message in expected {
        let quoted = format!("{message:?}");
        assert!(text.contains(&quoted), "{quoted} is not in {text}");
    }
    assert!(text.contains("impl"), "an impl is there whatever is wrong");
}

#[test]
fn each_variant_says_whether_to_try_again() {
    check(
        quote!(
            enum E {
                #[step(retryable)]
                A,
                #[step(permanent, code = "X")]
                B(u8),
                #[step(transparent)]
                C { e: X },
            }
        ),
        &[],
    );
    check(
        quote!(
            #[step(retryable)]
            enum E {
                A,
                #[step(permanent)]
                B,
            }
        ),
        &[],
    );
    check(
        quote!(
            #[step(permanent, retry_after = "1s", error_type = "timeout")]
            struct E<T>(T);
        ),
        &[],
    );
    check(
        quote!(
            enum E {}
        ),
        &[],
    );
    check(
        quote!(
            enum E {
                A,
                #[step(permanent)]
                B,
                C,
            }
        ),
        &[
            "say whether the engine may try again after `A`: `#[step(retryable)]` or `#[step(permanent)]`",
            "say whether the engine may try again after `C`: `#[step(retryable)]` or `#[step(permanent)]`",
        ],
    );
}

#[test]
fn what_is_mistyped_is_told() {
    check(
        quote!(
            #[step(retriable)]
            struct E;
        ),
        &["unknown key `retriable` in `#[step(...)]`; did you mean `retryable`?"],
    );
    check(
        quote!(
            #[step(retryable, retryable)]
            struct E;
        ),
        &["`retryable` is given twice"],
    );
    check(
        quote!(
            #[step(retryable, permanent)]
            struct E;
        ),
        &["an error is `retryable`, `permanent` or `transparent`: one of them"],
    );
    check(
        quote!(
            #[step(retryable, code = 5)]
            struct E;
        ),
        &["`code` takes a string: `code = \"SOLD_OUT\"`"],
    );
    check(
        quote!(
            #[step(retryable, retry_after = 2)]
            struct E;
        ),
        &["`retry_after` takes a duration with a unit: `\"2s\"`?"],
    );
    check(
        quote!(
            #[step(transparent)]
            struct E(A, B);
        ),
        &["`#[step(transparent)]` needs exactly one field: the error that says whether it may be tried again"],
    );
    check(quote!(#[step(retryable)] union E { a: u8 }), &["`StepFailure` can be derived for enums and structs"]);
}
