//! The four steps of the diamond: plain functions, with the errors of the application.

use tasker::{StepFailure, step_handler};

/// What can go wrong, and whether another try could help.
#[derive(Debug, thiserror::Error, StepFailure)]
pub(crate) enum DiamondError {
    #[error("{0} is odd")]
    #[step(permanent, code = "VALIDATION_ERROR", error_type = "ValidationError")]
    Odd(u64),
    #[error("the result is larger than a 64-bit number can be")]
    #[step(permanent)]
    TooLarge,
}

/// Squares the task's number.
#[step_handler]
pub(crate) async fn diamond_start(#[input] even_number: u64) -> Result<u64, DiamondError> {
    if !even_number.is_multiple_of(2) {
        return Err(DiamondError::Odd(even_number));
    }
    square(even_number)
}

/// Squares once more.
#[step_handler]
pub(crate) async fn diamond_branch_b(#[dependency(diamond_start)] start: u64) -> Result<u64, DiamondError> {
    square(start)
}

/// Squares once more, beside the other branch.
#[step_handler]
pub(crate) async fn diamond_branch_c(#[dependency(diamond_start)] start: u64) -> Result<u64, DiamondError> {
    square(start)
}

/// Multiplies the branches and squares the product.
#[step_handler]
pub(crate) async fn diamond_end(
    #[dependency(diamond_branch_b)] left: u64,
    #[dependency(diamond_branch_c)] right: u64,
) -> Result<u64, DiamondError> {
    square(left.checked_mul(right).ok_or(DiamondError::TooLarge)?)
}

fn square(number: u64) -> Result<u64, DiamondError> {
    number.checked_mul(number).ok_or(DiamondError::TooLarge)
}
