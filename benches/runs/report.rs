//! The table.

use serde::Serialize;

use crate::database::Kind;
use crate::machine::Machine;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) database: Kind,
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

/// Of which database it is, whoever measured it says later.
pub(crate) fn row(row: u8, what: impl Into<String>, value: f64, unit: &'static str, target: &'static str) -> Row {
    Row { database: Kind::Memory, row, what: what.into(), value, unit, target }
}

/// The chains as a share of the ceiling of the same round.
pub(crate) fn add_share(rows: &mut Vec<Row>) {
    let find = |what: &str| rows.iter().find(|row| row.what.starts_with(what)).map(|row| row.value);
    if let (Some(ours), Some(ceiling)) = (find("4-step chains"), find("ceiling")) {
        rows.push(row(1, "share of the ceiling", 100.0 * ours / ceiling, "%", "at least 60"));
    }
}

/// The median of all rounds, and the bounds.
pub(crate) struct Summary<'r> {
    pub(crate) median: f64,
    min: f64,
    max: f64,
    row: &'r Row,
}

impl Summary<'_> {
    /// The median with its unit, and the bounds where there were several rounds.
    fn cell(&self) -> String {
        let Self { median, min, max, row } = self;
        let space = if row.unit.is_empty() || row.unit == "%" { "" } else { " " };
        let bounds = if min == max { String::new() } else { format!(" ({} to {})", figure(*min), figure(*max)) };
        format!("{}{space}{}{bounds}", figure(*median), row.unit)
    }
}

/// A number with the digits that it deserves.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let (sign, rest) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, part) = rest.split_once('.').map_or((rest, String::new()), |(whole, part)| (whole, format!(".{part}")));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{part}")
}

impl Report {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, kind: Kind, rows: Vec<Row>) {
        for mut row in rows {
            row.database = kind;
            eprintln!("row {:>2} {:<10} {:<58} {:>12} {}", row.row, kind.name(), row.what, figure(row.value), row.unit);
            self.rows.push(row);
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What is measured, in the order in which it first was.
    fn subjects(&self) -> Vec<(u8, &str)> {
        let mut seen: Vec<(u8, &str)> = Vec::new();
        for row in &self.rows {
            if !seen.contains(&(row.row, &row.what)) {
                seen.push((row.row, &row.what));
            }
        }
        seen
    }

    /// All rounds of one figure.
    pub(crate) fn summary(&self, kind: Kind, what: &str) -> Option<Summary<'_>> {
        let found: Vec<&Row> = self.rows.iter().filter(|row| row.database == kind && row.what == what).collect();
        let mut values: Vec<f64> = found.iter().map(|row| row.value).collect();
        values.sort_by(f64::total_cmp);
        let row = found.first()?;
        let median = values.get(values.len() / 2).copied()?;
        Some(Summary { median, min: *values.first()?, max: *values.last()?, row })
    }

    /// The figures whose names begin so, with the number that follows.
    pub(crate) fn series(&self, kind: Kind, prefix: &str) -> Vec<(f64, f64)> {
        let subjects = self.subjects().into_iter().filter_map(|(_, what)| {
            let at: f64 = what.strip_prefix(prefix)?.parse().ok()?;
            Some((at, self.summary(kind, what)?.median))
        });
        subjects.collect()
    }

    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string_pretty(self).unwrap_or_default());
            return;
        }
        let Machine { cores, load_average, fdatasync_us, sqlite, postgres, batch_max, in_flight } = &self.machine;
        println!(
            "\n{cores} cores, load {load_average}, fdatasync {fdatasync_us:.0} us; at most {batch_max} commands a commit; {in_flight} tasks in flight"
        );
        println!("SQLite: {sqlite}");
        if let Some(postgres) = postgres {
            println!("PostgreSQL: {postgres}");
        }
        println!("\n| row | what | SQLite | target | PostgreSQL | target |\n|---|---|---|---|---|---|");
        for (number, what) in self.subjects() {
            let [sqlite, postgres] = [Kind::Sqlite, Kind::Postgres].map(|kind| match self.summary(kind, what) {
                Some(summary) => (summary.cell(), summary.row.target),
                None => ("-".to_owned(), ""),
            });
            println!("| {number} | {what} | {} | {} | {} | {} |", sqlite.0, sqlite.1, postgres.0, postgres.1);
        }
    }
}
