//! The steps of the import.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tasker::{Classify as _, TaskSequenceStep, step_handler};

/// An order, as it is delivered and as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) amount_cents: u64,
}

/// The orders to write, each once.
#[derive(Debug, Serialize)]
pub(crate) struct Sorted {
    orders: Vec<Order>,
    total_cents: u64,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    written: usize,
}

/// What became of a delivery.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    sent: usize,
    imported: usize,
    total_cents: u64,
}

/// One of the values that the template maps into the step's inputs.
fn mapped<T: DeserializeOwned>(step: &TaskSequenceStep, name: &str) -> anyhow::Result<T> {
    let value = step.workflow_step.inputs.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).permanent().with_context(|| format!("the input `{name}`"))
}

/// Leaves out orders that come again later in the same delivery.
#[step_handler]
pub(crate) async fn sort_orders(#[input] orders: Vec<Order>) -> Sorted {
    let last: BTreeMap<String, Order> = orders.into_iter().map(|order| (order.id.clone(), order)).collect();
    let orders: Vec<Order> = last.into_values().collect();
    Sorted { total_cents: orders.iter().map(|order| order.amount_cents).sum(), orders }
}

/// Writes each order to a file of its own: one that is written again is the same file.
#[step_handler(blocking)]
pub(crate) fn write_orders(step: &TaskSequenceStep) -> anyhow::Result<Written> {
    let (folder, orders): (PathBuf, Vec<Order>) = (mapped(step, "folder")?, mapped(step, "orders")?);
    std::fs::create_dir_all(&folder)?;
    for order in &orders {
        std::fs::write(folder.join(format!("{}.json", order.id)), serde_json::to_vec(order)?)?;
    }
    Ok(Written { written: orders.len() })
}

/// Says what became of the delivery.
#[step_handler]
pub(crate) async fn report_import(step: &TaskSequenceStep) -> anyhow::Result<Report> {
    let sent: Vec<Order> = mapped(step, "sent")?;
    Ok(Report { sent: sent.len(), imported: mapped(step, "written")?, total_cents: mapped(step, "total_cents")? })
}
