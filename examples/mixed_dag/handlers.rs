//! The seven steps of the graph.

use tasker::{StepError, step_handler};

use super::number::Exact;

/// Squares the task's number.
#[step_handler]
pub(crate) async fn dag_init(#[input] even_number: Exact) -> Result<Exact, StepError> {
    if !even_number.is_even() {
        return Err(StepError::permanent("the number must be even")
            .with_type("ValidationError")
            .with_code("VALIDATION_ERROR"));
    }
    Ok(even_number.squared())
}

/// The left side.
#[step_handler]
pub(crate) async fn dag_process_left(#[dependency(dag_init)] init: Exact) -> Exact {
    init.squared()
}

/// The right side.
#[step_handler]
pub(crate) async fn dag_process_right(#[dependency(dag_init)] init: Exact) -> Exact {
    init.squared()
}

/// Multiplies both sides and squares the product.
#[step_handler]
pub(crate) async fn dag_validate(
    #[dependency(dag_process_left)] left: Exact,
    #[dependency(dag_process_right)] right: Exact,
) -> Exact {
    (left * right).squared()
}

/// Follows the left side alone.
#[step_handler]
pub(crate) async fn dag_transform(#[dependency(dag_process_left)] left: Exact) -> Exact {
    left.squared()
}

/// Follows the right side alone.
#[step_handler]
pub(crate) async fn dag_analyze(#[dependency(dag_process_right)] right: Exact) -> Exact {
    right.squared()
}

/// Multiplies what came of all three and squares the product.
#[step_handler]
pub(crate) async fn dag_finalize(
    #[dependency(dag_validate)] validated: Exact,
    #[dependency(dag_transform)] transformed: Exact,
    #[dependency(dag_analyze)] analyzed: Exact,
) -> Exact {
    (validated * transformed * analyzed).squared()
}
