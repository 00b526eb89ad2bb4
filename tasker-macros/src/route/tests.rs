//! What the derive makes, and the wording of its messages, on any compiler.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

#[track_caller]
fn check(item: TokenStream, expected: &[&str]) -> String {
    let expanded = expand(item);
    syn::parse2::<syn::File>(expanded.clone()).expect("the expansion is a list of items");
    let text = expanded.to_string();
    assert_eq!(text.matches("compile_error").count(), expected.len(), "{text}");
    for message in expected {
        let quoted = format!("{message:?}");
        assert!(text.contains(&quoted), "{quoted} is not in {text}");
    }
    assert!(text.contains("impl"), "an impl is there whatever is wrong");
    text
}

#[test]
fn a_variant_names_the_step_that_is_called_like_it_or_those_that_it_lists() {
    let made = check(
        quote!(
            enum R {
                HighValueReview,
                #[route("standard", "low_value")]
                Low,
                #[route()]
                Nothing,
                r#Type,
            }
        ),
        &[],
    );
    let steps = quote!(&[&["high_value_review"], &["standard", "low_value"], &[], &["type"]]).to_string();
    assert!(made.contains(&steps), "{made}");
    check(
        quote!(
            #[route(crate = vendored::workflows)]
            enum R {
                A,
            }
        ),
        &[],
    );
}

#[test]
fn only_an_enum_of_plain_variants_is_a_route() {
    const NO_ENUM: &str = "`Route` can be derived for enums: a variant for each branch of the decision";
    check(
        quote!(
            struct R;
        ),
        &[NO_ENUM],
    );
    check(quote!(union R { a: u8 }), &[NO_ENUM]);
    check(
        quote!(
            enum R {}
        ),
        &["a decision has to choose something: give the enum a variant for each branch"],
    );
    check(
        quote!(
            enum R<'a, T> {
                A,
            }
        ),
        &["a route cannot be generic: its variants name the steps, and nothing else does"],
    );
    const FIELDS: &str = "a branch has no fields: what else there is to tell goes into `Route::with_context`";
    check(
        quote!(
            enum R {
                A(u8),
                B { why: String },
                C,
            }
        ),
        &[FIELDS, FIELDS],
    );
}

#[test]
fn what_is_mistyped_is_told_all_at_once() {
    check(
        quote!(
            enum R {
                #[route(ship_order)]
                A,
                #[route(step = "x", "y")]
                B,
                #[route(5)]
                C,
                #[route("Ship-Order", "a.b")]
                D,
                #[route]
                E,
                #[route("one", "one")]
                F,
                #[route("one")]
                #[route("two")]
                G,
                #[route(crate = a)]
                H,
                Été,
            }
        ),
        &[
            "write the step's name as text: `\"ship_order\"`",
            "unknown key `step` in `#[route(...)]`: it lists the names of steps, `#[route(\"ask_manager\")]`",
            "this is no name of a step: write it as text, `\"ask_manager\"`",
            "bad step name: `Ship-Order` has `S`; names are made of a-z, 0-9 and `_`; did you mean \"ship_order\"?",
            "bad step name: `a.b` has `.`; names are made of a-z, 0-9 and `_`; did you mean \"a_b\"?",
            "name the steps that go on: `#[route(\"ask_manager\", \"note_delay\")]`, or `#[route()]` where none does",
            "step `one` is named twice",
            "`#[route(..)]` is given twice: list all steps of the branch in one",
            "`crate` stands on the enum: `#[route(crate = path)]`",
            "the variant's name cannot serve as a step's: name the step, `#[route(\"its_name\")]`",
        ],
    );
    check(
        quote!(
            #[route("a")]
            #[route]
            enum R {
                A,
            }
        ),
        &["the names of steps stand on the variants", "the names of steps stand on the variants"],
    );
}

#[test]
fn two_variants_never_name_the_same_steps() {
    check(
        quote!(
            enum R {
                #[route("a", "b")]
                A,
                #[route("b", "a")]
                B,
            }
        ),
        &["`B` names the same steps as `A`: make one variant of them, and tell them apart by `Route::with_context`"],
    );
}
