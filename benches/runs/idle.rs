//! What an idle worker costs.

use std::time::{Duration, Instant};

use tasker_runtime::engine::Options;

use crate::database::{Bench, Database, Kind};
use crate::machine;
use crate::report::{Row, row};
use crate::workload::{chain, nothing, request};

/// After its last step, a worker has something to tidy up.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) async fn idle_cost(kind: Kind, duration: Duration) -> anyhow::Result<Vec<Row>> {
    let database = Database::create(kind).await?;
    database.count_statements().await?;
    let bench = Bench::on(database, &[chain(4)], nothing(), Options::default()).await?;
    bench.engine.run(request("chain_4")).await?;
    tokio::time::sleep(SETTLE).await;
    let (before, began, counted) = (machine::processor_time(), Instant::now(), bench.database.counted().await?);
    tokio::time::sleep(duration).await;
    let (used, took) = (machine::processor_time() - before, began.elapsed().as_secs_f64());
    let after = bench.database.counted().await?;
    bench.stop().await?;
    let share = 100.0 * used.as_secs_f64() / took;
    let mut rows = vec![row(9, "idle: share of a core", share, "%", kind.of("0.2", "0.5"))];
    let statements = |counted: Option<crate::database::Counted>| counted.and_then(|counted| counted.statements);
    if let (Some(before), Some(after)) = (statements(counted), statements(after)) {
        rows.push(row(9, "idle: statements a second", (after - before) as f64 / took, "/s", "1"));
    }
    Ok(rows)
}
