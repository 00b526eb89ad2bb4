//! What one handler takes from another is what that one gives: checked when the taker is compiled.

use std::marker::PhantomData;

/// A handler that gives an `Output`; `ANY` where its shape is not known, so that there is nothing to compare.
///
/// The type is a parameter of the trait, not an associated type: a public handler may give a private type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step handler",
    label = "`#[dependency(..)]` takes the path of a `#[step_handler]`",
    note = "for a step whose handler is elsewhere, give the step's name: `#[dependency(\"its_name\")]`"
)]
pub trait Produces<Output, const ANY: bool> {
    /// The handler's name.
    const NAME: &'static str;
}

/// A handler, and what it gives.
#[derive(Debug)]
pub struct Producer<P, O, const ANY: bool> {
    /// The handler's name.
    pub name: &'static str,
    types: PhantomData<(P, O)>,
}

/// The handler `P`; what it gives follows from its only impl of [`Produces`].
#[must_use]
pub const fn producer<P: Produces<O, ANY>, O, const ANY: bool>() -> Producer<P, O, ANY> {
    Producer { name: P::NAME, types: PhantomData }
}

/// Checks that `T`, which the handler `C` takes, is what the handler `P` gives. `ALL` where `T` takes any JSON.
pub const fn check_edge<T, C, P, O, const ALL: bool, const ANY: bool>(_: &Producer<P, O, ANY>)
where
    T: IsOutput<O, C, P, ALL, ANY>,
{
}

/// What a handler `C` may take from a handler `P` that gives an `Output`: the same type, an `Option` of it, or, where one
/// of the two is any JSON, everything.
#[diagnostic::on_unimplemented(
    message = "step handler `{C}` takes `{Self}` from step `{P}`, which returns `{Output}`",
    label = "`{P}` returns `{Output}`",
    note = "take `{Output}`, or `Option<{Output}>` if that step may be skipped,",
    note = "or add `partial` to read another shape out of the same JSON: `#[dependency({P}, partial)]`"
)]
pub trait IsOutput<Output, C, P, const ALL: bool, const ANY: bool> {}

#[diagnostic::do_not_recommend]
impl<T, C, P> IsOutput<T, C, P, false, false> for T {}
#[diagnostic::do_not_recommend]
impl<T, C, P> IsOutput<T, C, P, false, false> for Option<T> {}
#[diagnostic::do_not_recommend]
impl<T, O, C, P> IsOutput<O, C, P, true, false> for T {}
#[diagnostic::do_not_recommend]
impl<T, O, C, P> IsOutput<O, C, P, false, true> for T {}
#[diagnostic::do_not_recommend]
impl<T, O, C, P> IsOutput<O, C, P, true, true> for T {}
