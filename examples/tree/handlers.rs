//! The eight steps of the tree.

use tasker::{StepError, step_handler};

use super::number::Exact;

/// Squares the task's number.
#[step_handler]
pub(crate) async fn tree_root(#[input] even_number: Exact) -> Result<Exact, StepError> {
    if !even_number.is_even() {
        return Err(StepError::permanent("the number must be even")
            .with_type("ValidationError")
            .with_code("VALIDATION_ERROR"));
    }
    Ok(even_number.squared())
}

/// The left branch.
#[step_handler]
pub(crate) async fn tree_branch_left(#[dependency(tree_root)] root: Exact) -> Exact {
    root.squared()
}

/// The right branch.
#[step_handler]
pub(crate) async fn tree_branch_right(#[dependency(tree_root)] root: Exact) -> Exact {
    root.squared()
}

/// A leaf of the left branch.
#[step_handler]
pub(crate) async fn tree_leaf_d(#[dependency(tree_branch_left)] branch: Exact) -> Exact {
    branch.squared()
}

/// A leaf of the left branch.
#[step_handler]
pub(crate) async fn tree_leaf_e(#[dependency(tree_branch_left)] branch: Exact) -> Exact {
    branch.squared()
}

/// A leaf of the right branch.
#[step_handler]
pub(crate) async fn tree_leaf_f(#[dependency(tree_branch_right)] branch: Exact) -> Exact {
    branch.squared()
}

/// A leaf of the right branch.
#[step_handler]
pub(crate) async fn tree_leaf_g(#[dependency(tree_branch_right)] branch: Exact) -> Exact {
    branch.squared()
}

/// Multiplies the leaves and squares the product.
#[step_handler]
pub(crate) async fn tree_final_convergence(
    #[dependency(tree_leaf_d)] d: Exact,
    #[dependency(tree_leaf_e)] e: Exact,
    #[dependency(tree_leaf_f)] f: Exact,
    #[dependency(tree_leaf_g)] g: Exact,
) -> Exact {
    (d * e * f * g).squared()
}
