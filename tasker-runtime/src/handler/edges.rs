//! What one handler takes from another is what that one gives: checked when the taker is compiled.

use std::marker::PhantomData;

use super::returns::Untyped;

/// A handler that gives an `Output`, which is [`Typed`] or [`Untyped`].
///
/// The type is a parameter of the trait, not an associated type: a public handler may give a private type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step handler",
    label = "`#[dependency(..)]` takes the path of a `#[step_handler]`",
    note = "for a step whose handler is elsewhere, give the step's name: `#[dependency(\"its_name\")]`"
)]
pub trait Produces<Output> {
    /// The handler's name.
    const NAME: &'static str;
}

/// An output whose type is known.
#[derive(Debug)]
pub struct Typed<T>(PhantomData<T>);

/// Puts a known type into [`Typed`], and what has no shape of its own into [`Untyped`].
pub trait Mark<const ANY: bool> {
    /// The mark.
    type As;
}

impl<T> Mark<false> for T {
    type As = Typed<T>;
}

impl<T> Mark<true> for T {
    type As = Untyped;
}

/// A handler, and what it gives.
#[derive(Debug)]
pub struct Producer<P, O> {
    /// The handler's name.
    pub name: &'static str,
    types: PhantomData<(P, O)>,
}

/// The handler `P`; what it gives follows from its only impl of [`Produces`].
#[must_use]
pub const fn producer<P: Produces<O>, O>() -> Producer<P, O> {
    Producer { name: P::NAME, types: PhantomData }
}

/// Checks that `T`, which the handler `C` takes, is what the handler `P` gives.
pub const fn check_edge<T: Fits<O, C, P, ANY>, C, P, O, const ANY: bool>(_: &Producer<P, O>) {}

/// What a handler `C` may take from a handler `P` that gives an `Output`.
pub trait Fits<Output, C, P, const ANY: bool> {}

impl<T, C, P, const ANY: bool> Fits<Untyped, C, P, ANY> for T {}
impl<T, O, C, P, const ANY: bool> Fits<Typed<O>, C, P, ANY> for T where T: IsOutput<O, C, P, ANY> {}

/// What fits a known output: the same type, an `Option` of it, or, where `ANY` says so, everything.
#[diagnostic::on_unimplemented(
    message = "step handler `{C}` takes `{Self}` from step `{P}`, which returns `{Output}`",
    label = "`{P}` returns `{Output}`",
    note = "take `{Output}`, or `Option<{Output}>` if that step may be skipped,",
    note = "or add `partial` to read another shape out of the same JSON: `#[dependency({P}, partial)]`"
)]
pub trait IsOutput<Output, C, P, const ANY: bool> {}

impl<T, C, P> IsOutput<T, C, P, false> for T {}
impl<T, C, P> IsOutput<T, C, P, false> for Option<T> {}
#[diagnostic::do_not_recommend]
impl<T, O, C, P> IsOutput<O, C, P, true> for T {}
