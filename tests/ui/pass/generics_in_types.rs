//! A handler is not generic, but its types may be, deeply.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tasker::step_handler;

#[derive(Serialize, Deserialize)]
struct Page<T, const N: usize> {
    items: Vec<T>,
}

trait Kind {
    type Item: DeserializeOwned + Serialize + Send;
}

struct Orders;

impl Kind for Orders {
    type Item = u32;
}

#[step_handler]
async fn list_orders(
    #[input] pages: HashMap<String, Vec<Page<Option<(i64, String)>, 10>>>,
    #[input] item: <Orders as Kind>::Item,
    #[input] shared: Arc<BTreeMap<u8, Box<str>>>,
    #[input] array: [u8; 3],
) -> Result<Page<<Orders as Kind>::Item, { 1 + 1 }>, Box<dyn std::error::Error + Send + Sync>> {
    let _ = (pages.values().map(|pages| pages.len()).sum::<usize>(), shared, array);
    Ok(Page { items: vec![item] })
}

#[step_handler(returns = HashMap<String, Vec<u8>>)]
async fn raw(step: &tasker::TaskSequenceStep) -> tasker::StepExecutionResult {
    tasker::StepExecutionResult::success(step.workflow_step.workflow_step_uuid, 1.into(), None)
}

#[step_handler]
async fn next(#[dependency(list_orders)] page: Page<u32, 2>, #[dependency(raw)] raw: HashMap<String, Vec<u8>>) -> usize {
    page.items.len() + raw.len()
}

fn main() {}
