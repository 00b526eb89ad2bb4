//! Every source lends what it has read.

use std::path::Path;

use serde::Deserialize;
use tasker::{StepContext, TaskSequenceStep, step_handler};

#[derive(Clone, Deserialize)]
struct Item;

struct Pool;

#[step_handler]
async fn validate_order<'a>(
    #[input] name: &str,
    #[input] items: &'a [Item],
    #[input] one: &Item,
    #[input(default = &[1, 2])] sizes: &[u8],
    #[input("currency", default = "EUR")] currency: &'a str,
    #[context] all: &serde_json::Value,
    #[config("path")] path: &str,
    #[dependency("earlier")] earlier: &Vec<Option<Item>>,
    #[state] pool: &Pool,
    #[state] url: &str,
    step: &'a TaskSequenceStep,
    context: StepContext<'a>,
) -> usize {
    let _ = (one, sizes, all, earlier.len(), pool, url, step, Path::new(path));
    name.len() + items.len() + currency.len() + usize::from(context.is_cancelled())
}

fn main() {}
