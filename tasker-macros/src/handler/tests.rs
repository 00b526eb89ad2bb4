//! The wording of every message, on any compiler: what `tests/ui` holds to its place, this holds to its words.

#![allow(clippy::needless_pass_by_value, reason = "tables of `quote!`s read better without `&`")]

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use super::expand;

/// The messages of the expansion's `compile_error!`s.
fn messages(expanded: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let mut after_compile_error = false;
    for token in expanded {
        match token {
            TokenTree::Ident(word) => after_compile_error = word == "compile_error",
            TokenTree::Group(group) if after_compile_error => {
                found.push(syn::parse2::<syn::LitStr>(group.stream()).expect("a text").value());
                after_compile_error = false;
            }
            TokenTree::Group(group) => found.extend(messages(group.stream())),
            _ => {}
        }
    }
    found
}

/// What is said of a function, which stands in the expansion all the same.
#[track_caller]
fn said(attribute: TokenStream, item: TokenStream) -> Vec<String> {
    let expanded = expand(attribute, item);
    syn::parse2::<syn::File>(expanded.clone()).expect("the expansion is a list of items");
    messages(expanded)
}

#[track_caller]
fn check_attribute(attribute: TokenStream, expected: &[&str]) {
    assert_eq!(
        said(
            attribute,
            quote!(
                async fn validate_order() {}
            )
        ),
        expected
    );
}

#[track_caller]
fn check_arguments(arguments: TokenStream, expected: &[&str]) {
    assert_eq!(said(quote!(), quote!(async fn validate_order(#arguments) {})), expected);
}

#[track_caller]
fn check_item(item: TokenStream, expected: &[&str]) {
    assert_eq!(said(quote!(), item), expected);
}

#[test]
fn names() {
    check_attribute(quote!(), &[]);
    check_attribute(quote!(name = "shop.validate_order"), &[]);
    let bad = "bad step handler name: `ValidateOrder` has `V`; names are made of a-z, 0-9, `_` and `.`; did you mean \"validate_order\"?";
    check_attribute(quote!(name = "ValidateOrder"), &[bad]);
    check_attribute(quote!("validate_order"), &["write `name = \"validate_order\"`"]);
    check_attribute(quote!(name = validate_order), &["`name` takes a string: `name = \"validate_order\"`"]);
    check_attribute(quote!(name), &["`name` takes a string: `name = \"validate_order\"`"]);
    check_attribute(quote!(name = ), &["`name` takes a string: `name = \"validate_order\"`"]);
    check_attribute(quote!(name = "a", name = "b"), &["`name` is given twice"]);
    check_item(
        quote!(
            async fn ValidateOrder() {}
        ),
        &[
            "the fn's name cannot serve as the step handler's: `ValidateOrder` has `V`; names are made of a-z, 0-9, `_` and `.`; \
           give one with `#[step_handler(name = \"validate_order\")]`",
        ],
    );
}

#[test]
fn aliases() {
    check_attribute(quote!(alias = "a", alias = "rust::orders::ValidateOrder"), &[]);
    check_attribute(quote!(alias = "a", alias = "a"), &["the alias `a` is given twice"]);
    let bad = "bad alias: `two words` has ` `; further names are made of a-z, A-Z, 0-9 and `_ . : - / #`";
    check_attribute(quote!(alias = "two words"), &[bad]);
}

#[test]
fn keys() {
    check_attribute(quote!(nmae = "x"), &["unknown key `nmae`; did you mean `name`?"]);
    let known = "unknown key `colour`; known: `name`, `alias`, `blocking`, `timeout`, `retry`, `returns`, `crate`";
    check_attribute(quote!(colour = "red"), &[known]);
    check_attribute(quote!(blocking = true), &["`blocking` takes no value: it is there or not"]);
    check_attribute(quote!(timeout = "1s" blocking), &["expected `,`"]);
}

#[test]
fn timeouts() {
    check_attribute(quote!(timeout = "30s"), &[]);
    check_attribute(quote!(timeout = 30), &["`timeout` takes a duration with a unit: `\"30s\"`?"]);
    check_attribute(quote!(timeout), &["`timeout` takes a duration with a unit: `timeout = \"30s\"`"]);
    check_attribute(quote!(timeout = LONG), &["`timeout` takes a duration with a unit: `timeout = \"30s\"`"]);
    check_attribute(quote!(timeout = "30"), &["`timeout`: \"30\" has no unit; did you mean \"30s\"?"]);
    let unit = "`timeout`: unknown unit `x`; write for example \"500ms\", \"30s\", \"5m\" or \"1h\"";
    check_attribute(quote!(timeout = "30x"), &[unit]);
    check_attribute(quote!(timeout = "0s"), &["`timeout`: it must be greater than zero"]);
}

#[test]
fn retry() {
    check_attribute(quote!(retry(max_attempts = 2, backoff = "none", base = "1s", max = "1m", max_losses = 1)), &[]);
    check_attribute(quote!(retry(retryable = false)), &[]);
    let counts = "`max_attempts` counts the first try too: it must be from 1 to 1000";
    check_attribute(quote!(retry(max_attempts = 0)), &[counts]);
    check_attribute(quote!(retry(max_attempts = -1)), &[counts]);
    check_attribute(quote!(retry(max_attempts = 1001)), &[counts]);
    check_attribute(quote!(retry(max_attempts)), &["`max_attempts` takes a number: `max_attempts = 3`"]);
    check_attribute(
        quote!(retry(backoff = "exponental")),
        &["unknown backoff `exponental`; did you mean `exponential`?"],
    );
    let known = "unknown backoff `cubic`; known: none, linear, exponential, fibonacci";
    check_attribute(quote!(retry(backoff = "cubic")), &[known]);
    check_attribute(
        quote!(retry(max_attempt = 3)),
        &["unknown key `max_attempt` in `retry(...)`; did you mean `max_attempts`?"],
    );
    check_attribute(quote!(retry(retryable = 1)), &["`retryable` takes `true` or `false`: `retryable = false`"]);
    let list = "`retry` takes a list: `retry(max_attempts = 3, backoff = \"exponential\", base = \"100ms\")`";
    check_attribute(quote!(retry = 3), &[list]);
}

#[test]
fn sources() {
    check_arguments(quote!(#[input] a: i64, #[input("x.y", default = 3)] b: i64, #[input(default)] c: String), &[]);
    check_arguments(quote!(#[dependency(a::b)] a: i64, #[dependency("b", partial)] b: i64, #[dependency] c: i64), &[]);
    check_arguments(
        quote!(#[config] a: A, #[config("k", default = 1)] b: i64, #[context] c: &Value, #[state] d: &P),
        &[],
    );
    check_arguments(quote!(#[dependencies(prefix = "w_")] a: BTreeMap<String, i64>, step: &TaskSequenceStep), &[]);
    check_arguments(quote!(#[inputs] a: i64), &["unknown argument attribute `inputs`; did you mean `input`?"]);
    let known = "unknown argument attribute `header`; known: `input`, `context`, `config`, `dependency`, `dependencies`, `state`";
    check_arguments(quote!(#[header] a: i64), &[known]);
    let one = "an argument has one source, and this one already has `#[input]`";
    check_arguments(quote!(#[input] #[state] a: i64), &[one]);
    check_arguments(quote!(#[input = "x"] a: i64), &["write `#[input(\"x\")]`"]);
    let cfg = "an argument of a step handler cannot have `#[cfg]`: put it on the handler";
    check_arguments(quote!(#[cfg(unix)] #[input] a: i64), &[cfg]);
    let twice = "the result of step `a` is taken twice: take it once and use it twice";
    check_arguments(quote!(#[dependency(a)] one: i64, #[dependency(a)] two: i64), &[twice]);
}

#[test]
fn keys_of_sources() {
    let near = "unknown key `defualt` in `#[input(...)]`; did you mean `default`?";
    check_arguments(quote!(#[input(defualt = 3)] a: i64), &[near]);
    let string = "unknown key `id` in `#[input(...)]`; known: `default`; a key to read is a string: `#[input(\"id\")]`";
    check_arguments(quote!(#[input(id)] a: i64), &[string]);
    let partial = "unknown key `parial` in `#[dependency(...)]`; did you mean `partial`?";
    check_arguments(quote!(#[dependency("a", parial)] a: i64), &[partial]);
    check_arguments(quote!(#[dependency(a, parial)] a: i64), &[partial]);
    check_arguments(quote!(#[dependency(a, b::c)] a: i64), &["`#[dependency]` takes one step"]);
    check_arguments(quote!(#[input("a", "b")] a: i64), &["`#[input]` takes one name"]);
    check_arguments(quote!(#[context("a")] a: i64), &["`#[context]` takes nothing: it stands for the whole"]);
    check_arguments(quote!(#[state(pool)] a: i64), &["`#[state]` takes nothing: it stands for the whole"]);
    check_arguments(quote!(#[dependencies("w_")] a: A), &["write `prefix = \"w_\"`"]);
    check_arguments(
        quote!(#[config(default = 3)] a: i64),
        &["a default needs a key: `#[config(\"key\", default = ...)]`"],
    );
    check_arguments(quote!(#[input(default = 1, default = 2)] a: i64), &["`default` is given twice"]);
}

#[test]
fn types_of_arguments() {
    check_arguments(quote!(#[input] a: &str, #[input] b: &[i64], #[state] c: &str, d: StepContext<'_>), &[]);
    let mutable = "a step handler cannot be given `&mut`: its arguments are shared or its own";
    check_arguments(quote!(#[input] a: &mut Vec<i64>), &[mutable]);
    let forever = "a step handler's arguments live as long as its attempt: leave out `'static`, or take an owned value";
    check_arguments(quote!(#[input] a: &'static str), &[forever]);
    let name = "name the type: `impl Trait` could be anything, and the engine has to know what to read";
    check_arguments(quote!(#[input] a: impl Debug), &[name]);
    let inside = "what a step handler reads must own its data inside: `String` for `&str`, `Vec<T>` for `&[T]`; only the whole can be lent";
    check_arguments(quote!(#[input] a: Option<&str>), &[inside]);
    check_arguments(quote!(#[input] a: Item<'_>), &[inside]);
    check_arguments(quote!(#[input] a: Option<&'static str>), &[]);
    let pattern = "this argument is a pattern, so name the key: `#[input(\"key\")]`";
    check_arguments(quote!(#[input] (a, b): (i64, i64)), &[pattern]);
    check_arguments(quote!(#[input] _: i64), &[pattern]);
    check_arguments(quote!(#[input("k")] (a, b): (i64, i64), #[context] _: Value), &[]);
}

#[test]
fn signatures() {
    let not_async = "a step handler must be an `async fn`; one that computes or blocks is a plain `fn` with `#[step_handler(blocking)]`";
    check_item(
        quote!(
            fn a() {}
        ),
        &[not_async],
    );
    assert!(
        said(
            quote!(blocking),
            quote!(
                fn a() {}
            )
        )
        .is_empty()
    );
    let generic = "a step handler cannot be generic: the engine finds it by name and could not choose the type";
    check_item(
        quote!(
            async fn a<T>() {}
        ),
        &[generic],
    );
    check_item(
        quote!(
            async fn a<const N: usize>() {}
        ),
        &[generic],
    );
    check_item(
        quote!(
            async fn a<'a>(#[input] b: &'a str) {}
        ),
        &[],
    );
    check_item(
        quote!(
            async unsafe fn a() {}
        ),
        &["a step handler cannot be `unsafe`: nobody is there to keep its promises"],
    );
    assert_eq!(
        said(
            quote!(blocking),
            quote!(
                extern "C" fn a() {}
            )
        ),
        ["a step handler cannot be `extern`"]
    );
    assert_eq!(
        said(
            quote!(blocking),
            quote!(
                const fn a() {}
            )
        ),
        ["a step handler cannot be `const`"]
    );
    let own = "a step's result must own its data: it is stored when the handler is long gone";
    check_item(
        quote!(
            async fn a() -> &str {}
        ),
        &[own],
    );
    check_item(
        quote!(
            async fn a() -> Result<Cow<'_, str>, E> {}
        ),
        &[own],
    );
    check_item(
        quote!(
            async fn a() -> Result<&'static str, E> {}
        ),
        &[],
    );
    let name = "name the return type: others take a step's result by its type, and `impl Trait` has no name";
    check_item(
        quote!(
            async fn a() -> impl Serialize {}
        ),
        &[name],
    );
}

#[test]
fn methods_and_other_items() {
    let receiver =
        "a step handler fn takes no `self`; for a handler with fields put `#[step_handler(...)]` on its `impl` block";
    assert_eq!(
        messages(expand(
            quote!(),
            quote!(
                async fn a(&self) {}
            )
        )),
        [receiver]
    );
    let place = "`#[step_handler]` goes on an `async fn`, or on the `impl` block of a handler's own type";
    check_item(
        quote!(
            struct A;
        ),
        &[place],
    );
    check_item(quote!(impl Default for A { fn default() -> Self { A } }), &[place]);
    check_item(
        quote!(
            pub mod a {}
        ),
        &[place],
    );
    check_item(
        quote!(
            const A: u8 = 1;
        ),
        &[place],
    );
}

#[test]
fn impl_blocks() {
    let new = quote!(
        fn new(config: StepHandlerConfig) -> Self {
            Self
        }
    );
    let call = quote!(
        async fn call(&self, #[input] a: &str) -> Self {
            1
        }
    );
    check_item(quote!(impl A { const X: u8 = 1; #new pub #call fn other(self: Arc<Self>) {} type B = u8; }), &[]);
    check_item(quote!(impl A<u8> { #new #call }), &[]);
    let no_call = "this `impl` block has no `async fn call(&self, ...)`, which runs the step";
    check_item(quote!(impl A { #new }), &[no_call]);
    let no_new = "this `impl` block has no `fn new(config: StepHandlerConfig) -> Self`, which makes the handler";
    check_item(quote!(impl A { #call }), &[no_new]);
    check_item(quote!(impl A {}), &[no_new, no_call]);
    let shared = "`call` must take `&self`: one handler serves many steps at once";
    for receiver in [quote!(self), quote!(&mut self), quote!(self: Arc<Self>), quote!(x: u8)] {
        let said = said(quote!(), quote!(impl A { #new async fn call(#receiver) {} }));
        assert_eq!(said, [shared], "{receiver}");
    }
    let generic = "a step handler cannot be generic: the engine finds it by name and could not choose the type";
    check_item(quote!(impl<T> A<T> { #new #call }), &[generic]);
    let waits = "`new` of a step handler cannot be `async`: it runs when a worker starts; do in `call` what must wait";
    check_item(quote!(impl A { async fn new() -> Self { A } #call }), &[waits]);
    check_item(
        quote!(impl A { fn new(&self) -> Self { A } #call }),
        &["`new` of a step handler makes it, so it takes no `self`"],
    );
    check_item(
        quote!(impl A { fn new(config: C, pool: P) -> Self { A } #call }),
        &[
            "`new` of a step handler takes at most its `StepHandlerConfig`; what the application shares goes to `call` as `#[state]`",
        ],
    );
    check_item(
        quote!(impl [u8] { #new #call }),
        &[
            "the type's name cannot serve as the step handler's: it is empty; give one with `#[step_handler(name = \"...\")]`",
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let item = quote!(
        fn a<T>(#[inputs] b: i64, #[input] c: &mut i64) -> &str {}
    );
    assert_eq!(said(quote!(nmae = "x", timeout = "30", retry(max_attempts = 0)), item).len(), 8);
}

#[test]
fn the_users_item_is_there_whatever_is_wrong() {
    let cases = [
        (
            quote!(),
            quote!(
                async fn a() -> i64 {
                    1
                }
            ),
            "async fn a () -> i64 { 1 }",
        ),
        (
            quote!(nmae),
            quote!(
                async fn a() -> i64 {
                    1
                }
            ),
            "async fn a () -> i64 { 1 }",
        ),
        (
            quote!(),
            quote!(
                fn a(
                    #[inputs]
                    #[allow(x)]
                    b: &mut i64,
                ) {
                }
            ),
            "fn a (# [allow (x)] b : & mut i64 ,) { }",
        ),
        (
            quote!("x"),
            quote!(
                struct A;
            ),
            "struct A ;",
        ),
        (quote!(), quote!(impl A { fn x() {} }), "impl A { fn x () { } }"),
        (quote!(), quote!(async fn half_typed() { let x = step. }), "async fn half_typed () { let x = step . }"),
    ];
    for (attribute, item, kept) in cases {
        let expanded = expand(attribute, item).to_string();
        assert!(expanded.contains(kept), "`{kept}` is not in `{expanded}`");
    }
}

#[test]
fn the_path_of_the_facade_can_be_another() {
    let expanded = expand(
        quote!(crate = my::tasker),
        quote!(
            async fn a() {}
        ),
    )
    .to_string();
    assert!(expanded.contains("use my :: tasker :: __private :: { self as __p"), "{expanded}");
    assert!(!expanded.contains(":: tasker :: __private") || !expanded.contains("use :: tasker"), "{expanded}");
}

#[test]
fn conditions_are_those_of_the_item() {
    let expanded = expand(
        quote!(),
        quote!(
            #[cfg(unix)]
            async fn a() {}
        ),
    )
    .to_string();
    assert_eq!(expanded.matches("# [cfg (unix)]").count(), 3, "{expanded}");
}
