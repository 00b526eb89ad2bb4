//! The decision, its branches, and the step that joins them.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tasker::{Route, StepError, step_handler};

/// From this amount on, a manager looks at an expense.
const MANAGER_FROM: u64 = 1_000;
/// From this amount on, finance does, too.
const FINANCE_FROM: u64 = 5_000;

/// Who has to approve: each variant names the steps that go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Route)]
pub(crate) enum Approval {
    #[route("auto_approve")]
    Nobody,
    #[route("manager_approval")]
    Manager,
    #[route("manager_approval", "finance_review")]
    ManagerAndFinance,
}

/// Somebody's approval.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Approved {
    by: String,
}

/// What became of the expense.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    amount: u64,
    approved_by: Vec<String>,
}

/// Says who has to approve.
#[step_handler]
pub(crate) async fn route_approval(#[input] amount: u64) -> Result<Route<Approval>, StepError> {
    let (branch, reason) = match amount {
        0 => return Err(StepError::permanent("there is nothing to approve").with_code("NOTHING_TO_APPROVE")),
        1..MANAGER_FROM => (Approval::Nobody, "a small amount"),
        MANAGER_FROM..FINANCE_FROM => (Approval::Manager, "a manager's amount"),
        FINANCE_FROM.. => (Approval::ManagerAndFinance, "a large amount"),
    };
    Ok(Route::to(branch).with_context(json!({ "reason": reason, "amount": amount })))
}

#[step_handler]
pub(crate) async fn auto_approve() -> Approved {
    Approved { by: "nobody".to_owned() }
}

#[step_handler]
pub(crate) async fn manager_approval() -> Approved {
    Approved { by: "the manager".to_owned() }
}

#[step_handler]
pub(crate) async fn finance_review() -> Approved {
    Approved { by: "finance".to_owned() }
}

/// Joins the branches: those that were not chosen are `None`.
#[step_handler]
pub(crate) async fn finalize_approval(
    #[input] amount: u64,
    #[dependency(auto_approve)] automatic: Option<Approved>,
    #[dependency(manager_approval)] manager: Option<Approved>,
    #[dependency(finance_review)] finance: Option<Approved>,
) -> Outcome {
    let approved_by = [automatic, manager, finance].into_iter().flatten().map(|approved| approved.by).collect();
    Outcome { amount, approved_by }
}
