//! The table.

use serde::Serialize;

use crate::machine::Machine;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) row: u8,
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: &'static str,
}

/// All figures of one run of the program.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
}

pub(crate) fn row(row: u8, what: impl Into<String>, value: f64, unit: &'static str, target: &'static str) -> Row {
    Row { row, what: what.into(), value, unit, target }
}

/// The chains as a share of the ceiling of the same round.
pub(crate) fn add_share(rows: &mut Vec<Row>) {
    let find = |what: &str| rows.iter().find(|row| row.what.starts_with(what)).map(|row| row.value);
    if let (Some(ours), Some(ceiling)) = (find("4-step chains"), find("ceiling")) {
        rows.push(row(1, "share of the ceiling", 100.0 * ours / ceiling, "%", "at least 60"));
    }
}

impl Report {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        for row in &rows {
            eprintln!("row {} {:<44} {:>12.2} {}", row.row, row.what, row.value, row.unit);
        }
        self.rows.extend(rows);
    }

    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string_pretty(self).unwrap_or_default());
            return;
        }
        let Machine { cores, load_average, fdatasync_us, sqlite } = &self.machine;
        println!("\n{cores} cores, load {load_average}, fdatasync {fdatasync_us:.0} us, SQLite {sqlite}\n");
        println!("| row | what | median | min | max | unit | target |\n|---|---|---|---|---|---|---|");
        let mut seen: Vec<(u8, &str)> = Vec::new();
        for row in &self.rows {
            if seen.contains(&(row.row, &row.what)) {
                continue;
            }
            seen.push((row.row, &row.what));
            let mut all: Vec<f64> =
                self.rows.iter().filter(|r| r.row == row.row && r.what == row.what).map(|r| r.value).collect();
            all.sort_by(f64::total_cmp);
            let (min, max) = (all.first().copied().unwrap_or(0.0), all.last().copied().unwrap_or(0.0));
            let median = all.get(all.len() / 2).copied().unwrap_or(0.0);
            println!(
                "| {} | {} | {median:.2} | {min:.2} | {max:.2} | {} | {} |",
                row.row, row.what, row.unit, row.target
            );
        }
    }
}
