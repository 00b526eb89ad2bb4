//! Whole runs, measured: `cargo xtask bench [--quick] [ROW ..]`. Prints a table, and JSON with `--json`.
//!
//! Every figure is taken with durability on. The machine's fsync rate is probed in the same run; compare only runs that
//! were interleaved.

#![allow(clippy::cast_precision_loss, reason = "figures are rounded for people")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints its report")]

mod ceiling;
mod load;
mod machine;
mod report;

use std::time::Duration;

use report::{Report, Row};

fn main() -> anyhow::Result<()> {
    let mut options = Options::from_args()?;
    match options.child.take() {
        Some(Child::FirstStep(path)) => return load::first_step(&path),
        Some(Child::Memory) => return load::memory_of_this_process(scale(&options, 20_000)),
        None => {}
    }
    let machine = machine::probe()?;
    let mut report = Report::new(machine);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for row in &options.rows {
        for _ in 0..options.rounds {
            let rows = runtime.block_on(measure(*row, &options))?;
            report.add(rows);
        }
    }
    report.print(options.json);
    Ok(())
}

/// As wide as a template of at most 10,000 steps can be.
const WIDEST: usize = 9_998;

fn scale(options: &Options, full: usize) -> usize {
    if options.quick { full / 10 } else { full }
}

async fn measure(row: u8, options: &Options) -> anyhow::Result<Vec<Row>> {
    let scale = |full| scale(options, full);
    Ok(match row {
        0 => load::single_steps(scale(60_000)).await?,
        1 => {
            let mut rows = load::chains(scale(25_000)).await?;
            rows.extend(ceiling::run(scale(25_000)).await?);
            rows.extend(load::chains_in_memory(scale(5_000)).await?);
            report::add_share(&mut rows);
            rows
        }
        2 => load::idle_latency(scale(400).max(50)).await?,
        3 => load::fan_outs(if options.quick { &[1_000] } else { &[1_000, WIDEST] }).await?,
        5 => load::transactions(scale(10_000)).await?,
        7 => load::memory()?,
        8 => load::start_up(if options.quick { 5 } else { 25 })?,
        9 => load::idle_cost(Duration::from_secs(if options.quick { 2 } else { 10 })).await?,
        _ => anyhow::bail!("there is no row {row}; there are {:?}", Options::ROWS),
    })
}

struct Options {
    rows: Vec<u8>,
    rounds: usize,
    quick: bool,
    json: bool,
    child: Option<Child>,
}

/// This process is a child that measures itself.
enum Child {
    /// Its start, on the database at this path.
    FirstStep(String),
    /// Its memory.
    Memory,
}

impl Options {
    const ROWS: &'static [u8] = &[0, 1, 2, 3, 5, 7, 8, 9];

    fn from_args() -> anyhow::Result<Self> {
        let mut options = Self { rows: Vec::new(), rounds: 1, quick: false, json: false, child: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What `cargo bench` passes on.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--rounds" => options.rounds = arguments.next().unwrap_or_default().parse()?,
                "--first-step" => options.child = arguments.next().map(Child::FirstStep),
                "--memory" => options.child = Some(Child::Memory),
                row => options.rows.push(row.parse()?),
            }
        }
        if options.rows.is_empty() {
            options.rows = Self::ROWS.to_vec();
        }
        Ok(options)
    }
}
