//! Whole runs, measured: `cargo xtask bench [--database sqlite|postgres|both] [--quick] [--rounds N] [--json] [--svg FILE] [ROW ..]`.
//!
//! Every figure is taken with durability on. The machine's fsync rate is probed in the same run; compare only runs that
//! were interleaved.

#![allow(clippy::cast_precision_loss, reason = "figures are rounded for people")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints its report")]

mod backlog;
mod ceiling;
mod ceiling_postgres;
mod database;
mod fairness;
mod idle;
mod load;
mod machine;
mod plot;
mod process;
mod report;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use database::Kind;
use process::Role;
use report::{Report, Row};

fn main() -> anyhow::Result<()> {
    let options = Options::from_args()?;
    if let Some(role) = options.role {
        return role.play(options.quick);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut report = Report::new(runtime.block_on(machine::probe(&options.kinds))?);
    for &row in &options.rows {
        // The rounds of this row are its own: what it measures takes long to make.
        let rounds = if row == BACKLOG { 1 } else { options.rounds };
        for _ in 0..rounds {
            for &kind in &options.kinds {
                let fdatasync_us = report.machine().fdatasync_us;
                let rows = runtime.block_on(measure(row, kind, &options, fdatasync_us))?;
                report.add(kind, rows);
            }
        }
    }
    report.print(options.json);
    if let Some(path) = &options.svg {
        std::fs::write(path, plot::draw(&report))?;
    }
    Ok(())
}

/// As wide as a template of at most 10,000 steps can be.
const WIDEST: usize = 9_998;
/// The row of growing backlogs.
const BACKLOG: u8 = 4;

async fn measure(row: u8, kind: Kind, options: &Options, fdatasync_us: f64) -> anyhow::Result<Vec<Row>> {
    let quick = options.quick;
    let scale = |full: usize| if quick { full / 10 } else { full };
    Ok(match row {
        0 => load::single_steps(kind, scale(60_000)).await?,
        1 => {
            let (mut rows, batch) = load::chains(kind, scale(25_000)).await?;
            rows.extend(match kind {
                Kind::Postgres => ceiling_postgres::run(scale(25_000), batch).await?,
                _ => ceiling::run(scale(25_000), batch).await?,
            });
            if kind == Kind::Sqlite {
                rows.extend(load::chains(Kind::Memory, scale(5_000)).await?.0);
            }
            report::add_share(&mut rows);
            rows
        }
        2 => load::idle_latency(kind, scale(400).max(50), fdatasync_us).await?,
        3 => load::fan_outs(kind, if quick { &[1_000] } else { &[1_000, WIDEST] }).await?,
        BACKLOG if quick => backlog::growth(kind, &[10_000, 100_000], options.rounds).await?,
        BACKLOG => backlog::growth(kind, &[10_000, 100_000, 1_000_000], options.rounds).await?,
        5 => load::transactions(kind, scale(10_000)).await?,
        6 => load::written(kind, scale(10_000)).await?,
        7 => process::memory(kind, quick).await?,
        8 => process::start_up(kind, if quick { 5 } else { 25 }).await?,
        9 => idle::idle_cost(kind, Duration::from_secs(if quick { 2 } else { 10 })).await?,
        10 if kind == Kind::Postgres => process::two_workers(scale(500).max(200)).await?,
        10 => Vec::new(),
        12 => fairness::beside_a_backlog(kind, scale(100_000)).await?,
        _ => anyhow::bail!("there is no row {row}; there are {:?}", Options::ROWS),
    })
}

struct Options {
    rows: Vec<u8>,
    kinds: Vec<Kind>,
    rounds: usize,
    quick: bool,
    json: bool,
    svg: Option<PathBuf>,
    /// This process is a child that measures itself.
    role: Option<Role>,
}

impl Options {
    const ROWS: &'static [u8] = &[0, 1, 2, 3, BACKLOG, 5, 6, 7, 8, 9, 10, 12];

    fn from_args() -> anyhow::Result<Self> {
        // Both where a server can be had.
        let mut kinds = vec![Kind::Sqlite];
        kinds.extend(database::server().map(|_| Kind::Postgres));
        let mut options = Self { rows: Vec::new(), kinds, rounds: 1, quick: false, json: false, svg: None, role: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What `cargo bench` passes on.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--rounds" => options.rounds = arguments.next().unwrap_or_default().parse()?,
                "--svg" => options.svg = Some(arguments.next().unwrap_or_default().into()),
                "--database" => match arguments.next().unwrap_or_default().as_str() {
                    "sqlite" => options.kinds = vec![Kind::Sqlite],
                    "postgres" => options.kinds = vec![Kind::Postgres],
                    "both" => options.kinds = vec![Kind::Sqlite, Kind::Postgres],
                    other => anyhow::bail!("`--database` is sqlite, postgres or both, not `{other}`"),
                },
                argument => match Role::of_argument(argument) {
                    Some(role) => options.role = Some(role),
                    None => options.rows.push(argument.parse()?),
                },
            }
        }
        if options.rows.is_empty() {
            options.rows = Self::ROWS.to_vec();
        }
        Ok(options)
    }
}
