//! The file: products with a price and a stock, made by a generator, so that they are the same each time.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

const HEADER: &str = "id,name,price_cents,stock";
/// Each row of this many has no price.
const BROKEN: u64 = 97;

/// What was found in some rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) items_processed: u64,
    pub(crate) items_succeeded: u64,
    pub(crate) items_failed: u64,
    /// What the stock is worth.
    pub(crate) value_cents: u64,
}

/// A file of so many products.
pub(crate) fn text(rows: u64) -> String {
    let mut text = format!("{HEADER}\n");
    let mut state: u64 = 42;
    for id in 1..=rows {
        // Knuth's linear congruential generator; its upper bits are random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (price, stock) = ((state >> 33) % 10_000 + 1, (state >> 50) % 100);
        let price = if id.is_multiple_of(BROKEN) { "n/a".to_owned() } else { price.to_string() };
        text.push_str(&format!("{id},product {id},{price},{stock}\n"));
    }
    text
}

/// Puts the file in its place, whole or not at all: who is killed meanwhile leaves no half of it.
pub(crate) fn write(path: &Path, rows: u64) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&unfinished, text(rows))?;
    std::fs::rename(unfinished, path)
}

/// How many products a file has.
pub(crate) fn count(path: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    Ok(u64::try_from(text.lines().skip(1).count()).unwrap_or(u64::MAX))
}

/// The products of a file, each as its line.
pub(crate) fn rows(path: &Path) -> io::Result<Vec<String>> {
    Ok(std::fs::read_to_string(path)?.lines().skip(1).map(str::to_owned).collect())
}

/// Notes which products were counted, for whoever wants to see that none is counted twice without need: a line for each portion.
pub(crate) fn note(journal: &Path, counted: Range<u64>) -> io::Result<()> {
    let mut journal = OpenOptions::new().create(true).append(true).open(journal)?;
    // In one write: nobody else's line comes in between.
    journal.write_all(format!("{} {}\n", counted.start, counted.end).as_bytes())
}

impl Counted {
    /// Counts a row; one that cannot be read is a failed item.
    pub(crate) fn add(&mut self, row: &str) {
        self.items_processed += 1;
        match value_of(row) {
            Some(value) => {
                self.items_succeeded += 1;
                self.value_cents += value;
            }
            None => self.items_failed += 1,
        }
    }
}

fn value_of(row: &str) -> Option<u64> {
    let mut columns = row.split(',').skip(2);
    let price: u64 = columns.next()?.parse().ok()?;
    let stock: u64 = columns.next()?.parse().ok()?;
    price.checked_mul(stock)
}
