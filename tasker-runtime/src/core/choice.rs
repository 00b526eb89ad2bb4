//! What a decision chose: from the names in its result to the branches that go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tasker_types::StepNumber;

use super::Pinned;

/// The key in a decision's result under which it names the steps that go on.
const KEY: &str = "activated_steps";

/// The steps directly after the decision `number` that go on: those that its result names, and those that lead to a step
/// that it names.
///
/// # Errors
/// The result does not say which steps go on, or names one that does not come after the decision.
pub fn chosen(pinned: &Pinned, number: StepNumber, result: &Value) -> Result<Arc<[StepNumber]>, String> {
    let unreadable =
        || format!("the result of a decision has a list of names of steps under `{KEY}`; this one has not");
    let names = result.get(KEY).and_then(Value::as_array).ok_or_else(unreadable)?;
    let mut wanted = BTreeSet::new();
    for name in names {
        let name = name.as_str().ok_or_else(unreadable)?;
        // Workers of batches have names too, but a decision comes before they are made.
        let named = pinned.number(name).filter(|named| named.index() < pinned.steps.len());
        let Some((named, before)) = named.map(|named| (named, pinned.ancestors(named))) else {
            return Err(unknown(pinned, number, name));
        };
        if before.binary_search(&number).is_err() {
            return Err(unknown(pinned, number, name));
        }
        wanted.insert(named);
        wanted.extend(before);
    }
    Ok(pinned.children(number).iter().copied().filter(|child| wanted.contains(child)).collect())
}

fn unknown(pinned: &Pinned, number: StepNumber, name: &str) -> String {
    const NAMED_MAX: usize = 8;
    let children = pinned.children(number);
    let mut branches: Vec<String> =
        children.iter().take(NAMED_MAX).map(|&child| format!("`{}`", pinned.step(child).name)).collect();
    if children.len() > NAMED_MAX {
        branches.push(format!("{} more", children.len() - NAMED_MAX));
    }
    let decision = &pinned.step(number).name;
    let branches = branches.join(", ");
    format!("the decision `{decision}` chose `{name}`, which is no step after it; its branches begin with {branches}")
}
