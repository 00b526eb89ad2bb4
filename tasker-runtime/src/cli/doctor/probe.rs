//! How long the disk takes to make a write durable.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::human;
use super::{Check, Level};

const WRITES: usize = 9;
/// A disk that takes longer bounds how many commits a second there can be.
const SLOW: Duration = Duration::from_millis(20);

/// Writes and syncs a few blocks beside the database.
pub(super) fn disk(database: &Path) -> Check {
    let file = database.with_extension(format!("probe-{}", std::process::id()));
    let measured = measure(&file);
    // Where it could not be made there is nothing to remove.
    let _ = std::fs::remove_file(&file);
    match measured {
        Ok(time) if time > SLOW => {
            Check::new("disk", Level::Warning, format!("a write is durable after {}", human::duration(time))).with_help(
                "every commit waits so long; batches share it, so throughput suffers less than a single task does",
            )
        }
        Ok(time) => {
            Check::new("disk", Level::Good, format!("a write is durable after {:.2} ms", time.as_secs_f64() * 1e3))
        }
        Err(error) => Check::new("disk", Level::Bad, format!("beside the database nothing can be written: {error}"))
            .with_help("SQLite needs to make files in the folder of the database"),
    }
}

/// The median time of a write with its sync.
fn measure(path: &Path) -> std::io::Result<Duration> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[WRITES / 2])
}
