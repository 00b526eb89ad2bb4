//! The engine in a simulated world: one thread, virtual time, and everything that can go wrong drawn from a seed. A seed
//! gives one history, the same each time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod handler;
mod journal;
mod life;
mod process;
mod rng;
mod run;
mod sim;
mod store;
mod trace;
mod watch;
mod world;

use run::run;
use world::World;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..20 {
        let (first, second) = (run(World::of(seed), true), run(World::of(seed), true));
        if first.text != second.text {
            let at = first.text.lines().zip(second.text.lines()).position(|(one, other)| one != other);
            panic!("seed {seed} differs at line {at:?}");
        }
    }
}

#[test]
fn seeds_pass() {
    let (from, seeds) = (number("TASKER_SIM_FROM", 0), number("TASKER_SIM_SEEDS", 200));
    let began = std::time::Instant::now();
    let mut failed = 0;
    for seed in from..from + seeds {
        let outcome = run(World::of(seed), false);
        if let Some(failure) = outcome.failure {
            failed += 1;
            println!("seed {seed}: {failure}");
        }
    }
    println!("{:.0} seeds/s", seeds as f64 / began.elapsed().as_secs_f64());
    assert_eq!(failed, 0);
}

#[test]
fn show() {
    let seed = number("TASKER_SIM_FROM", 0);
    let outcome = run(World::of(seed), true);
    println!("{:#?}\n{}", World::of(seed), outcome.text);
    println!("{:?} {} s", outcome.failure, outcome.seconds);
}
