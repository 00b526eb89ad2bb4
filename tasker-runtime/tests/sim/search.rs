//! Runs many seeds on all processors.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tasker_runtime::mark::{Mark, marks};
use tasker_runtime::plant::{Bug, plant};

use crate::run::run;
use crate::shrink::shrink;
use crate::world::World;

pub(crate) struct Found {
    /// The first seed that fails.
    pub(crate) failed: Option<u64>,
    pub(crate) marks: Vec<(Mark, u64)>,
    pub(crate) per_second: u64,
}

/// Runs these seeds with this bug planted, up to the first one that fails.
pub(crate) fn search(seeds: Range<u64>, bug: Option<Bug>, tell: bool) -> Found {
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let counted = Mutex::new(Vec::new());
    let began = Instant::now();
    let work = || {
        plant(bug);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end.min(failed.load(Ordering::Relaxed)) {
                break;
            }
            if run(World::of(seed), false).failure.is_some() {
                failed.fetch_min(seed, Ordering::Relaxed);
            }
            let done = seed - seeds.start + 1;
            if tell && done.is_multiple_of(100) {
                let _ = write!(std::io::stderr(), "\r{done} seeds, {}/s ", rate(done, began));
            }
        }
        counted.lock().unwrap().push(marks());
    };
    // Threads of their own: marks and planted bugs belong to a thread.
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    if tell {
        let _ = writeln!(std::io::stderr());
    }
    let mut all: Vec<(Mark, u64)> = Mark::ALL.iter().map(|&mark| (mark, 0)).collect();
    for of_thread in counted.into_inner().unwrap() {
        for ((_, sum), (_, count)) in all.iter_mut().zip(of_thread) {
            *sum += count;
        }
    }
    let failed = Some(failed.into_inner()).filter(|&seed| seed != u64::MAX);
    let done = next.into_inner().min(seeds.end) - seeds.start;
    Found { failed, marks: all, per_second: rate(done, began) }
}

fn rate(done: u64, began: Instant) -> u64 {
    done * 1_000_000 / u64::try_from(began.elapsed().as_micros()).unwrap().max(1)
}

/// What is to be read where a seed fails.
pub(crate) fn report(seed: u64) -> String {
    let (world, outcome) = shrink(World::of(seed));
    let failure = outcome.failure.map_or_else(|| "it does not fail any more".to_owned(), |failure| failure.to_string());
    let lines: Vec<&str> = outcome.text.lines().collect();
    let shown = lines[lines.len().saturating_sub(200)..].join("\n");
    format!(
        "seed {seed}: {failure}\n\n{world:#?}\n\n{shown}\n\nseed {seed}: {failure}\nto repeat it: cargo xtask sim --from {seed} --seeds 1\n"
    )
}
