//! The engine in a simulated world: one thread, virtual time, and everything that can go wrong drawn from a seed. A seed
//! gives one history, the same each time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod event;
mod handler;
mod journal;
mod life;
mod lifetime;
mod process;
mod rng;
mod run;
mod search;
mod shrink;
mod sim;
mod store;
mod trace;
mod watch;
mod world;

use std::path::Path;

use run::run;
use search::{report, search};
use shrink::shrink;
use tasker_runtime::mark::Mark;
use tasker_runtime::plant::{Bug, plant};
use world::World;

/// Seeds that found a bug once: they come first.
const SEEDS: &str = include_str!("seeds.txt");
/// How many seeds a planted bug may take.
const SEEDS_MAX: u64 = 5_000;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..50 {
        let (first, second) = (run(World::of(seed), true), run(World::of(seed), true));
        if let Some(at) = first.text.lines().zip(second.text.lines()).position(|(one, other)| one != other) {
            panic!("seed {seed} differs at line {at}");
        }
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

#[test]
fn seeds_that_failed_once_pass() {
    for line in SEEDS.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split(' ').next().and_then(|seed| seed.parse().ok()).unwrap();
        assert!(run(World::of(seed), false).failure.is_none(), "{}", report(seed));
    }
}

/// How many, and from which on, can be set: `cargo xtask sim --seeds 100000 --from 5000`.
#[test]
fn seeds_pass() {
    let (from, seeds) = (number("TASKER_SIM_FROM", 0), number("TASKER_SIM_SEEDS", 1_000));
    let found = search(from..from + seeds, None, true);
    println!("{} seeds/s", found.per_second);
    for (mark, count) in &found.marks {
        println!("{count:>9}  {mark:?}");
    }
    if let Some(seed) = found.failed {
        if let Some(kept) = std::env::var_os(KEEP) {
            keep(seed, Path::new(&kept));
        }
        panic!("{}", report(seed));
    }
}

/// Where seeds that failed are written down, so that they run first from then on: `cargo xtask sim` names the file.
const KEEP: &str = "TASKER_SIM_KEEP";

fn keep(seed: u64, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    if !text.lines().any(|line| line.split(' ').next() == Some(&*seed.to_string())) {
        let rule = run(World::of(seed), false).failure.unwrap().rule;
        std::fs::write(file, format!("{text}{seed} {rule}\n")).unwrap();
    }
}

#[test]
fn a_seed_that_failed_is_kept_once_and_shrinks_to_less_that_fails_alike() {
    plant(Some(Bug::FenceDropped));
    let seed = search(0..SEEDS_MAX, Some(Bug::FenceDropped), false).failed.unwrap();
    let world = World::of(seed);
    let rule = run(world.clone(), false).failure.unwrap().rule;
    let size =
        |world: &World| world.tasks.len() + world.acts.len() + world.templates.iter().map(Vec::len).sum::<usize>();
    let (smaller, outcome) = shrink(world.clone());
    assert_eq!(outcome.failure.unwrap().rule, rule);
    assert!(size(&smaller) < size(&world), "nothing is taken away of {world:#?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seeds.txt");
    std::fs::write(&file, "# seeds\n").unwrap();
    keep(seed, &file);
    keep(seed, &file);
    assert_eq!(std::fs::read_to_string(file).unwrap(), format!("# seeds\n{seed} {rule}\n"));
}

#[test]
fn every_rare_path_is_visited() {
    let found = search(0..2_000, None, false);
    let never: Vec<Mark> = found.marks.into_iter().filter(|(_, count)| *count == 0).map(|(mark, _)| mark).collect();
    assert!(never.is_empty(), "never visited: {never:?}");
}

macro_rules! planted {
    ($($test:ident: $bug:ident,)*) => {
        const FOUND: &[Bug] = &[$(Bug::$bug,)*];

        $(
            #[test]
            fn $test() {
                let found = search(0..SEEDS_MAX, Some(Bug::$bug), false);
                println!("{:?}: seed {:?}", Bug::$bug, found.failed);
                let seed = found.failed.expect("the bug is not found");
                assert!(run(World::of(seed), false).failure.is_none(), "it fails without the bug too");
            }
        )*
    };
}

planted! {
    a_dropped_fence_is_found: FenceDropped,
    attempts_counted_at_failure_are_found: AttemptCountedAtFailure,
    a_fan_in_that_counts_twice_is_found: FanInCountedTwice,
    a_skipped_step_that_is_inserted_again_is_found: SkippedInsertedAgain,
    a_skipped_parent_that_never_counts_is_found: SkippedNeverCounts,
    a_continuation_that_ignores_a_pause_is_found: ContinuationIgnoresPause,
    a_release_that_ignores_a_pause_is_found: ReleaseIgnoresHeld,
    an_aggregator_that_comes_before_its_workers_is_found: AggregatorBeforeWorkers,
    a_poll_that_is_skipped_is_found: PollSkipped,
    a_shut_database_taken_for_a_refusal_is_found: ShutTakenForRefusal,
    an_unknown_commit_taken_for_failed_is_found: UnknownTakenForFailed,
    an_unknown_commit_sent_again_blindly_is_found: UnknownSentBlindly,
    strangers_that_are_kept_are_found: StrangersKept,
    a_slot_that_is_never_freed_is_found: RefusedOutcomeKeepsSlot,
    a_batch_decided_on_old_rows_is_found: DecidedOnOldRows,
    a_backoff_that_is_cut_short_is_found: BackoffCutShort,
    a_cancel_that_misses_a_ready_step_is_found: CancelMissesReady,
    a_loss_that_is_not_counted_is_found: LossNotCounted,
    lost_steps_that_run_together_are_found: LossyTogether,
    a_live_worker_that_is_swept_is_found: LiveWorkerSwept,
    a_claim_that_is_lost_before_its_time_is_found: LostBeforeItsTime,
    an_expired_worker_that_revives_is_found: ExpiredWorkerRevives,
    a_claim_without_a_lease_is_found: ClaimWithoutLease,
    a_lapse_that_is_ignored_is_found: LapseIgnored,
    a_checkpoint_that_is_not_fenced_is_found: CheckpointNotFenced,
    a_checkpoint_that_is_not_given_is_found: CheckpointNotGiven,
    a_rerun_that_keeps_too_much_is_found: RerunKeepsLater,
    a_rerun_that_forgets_a_choice_is_found: RerunForgetsChoice,
    a_forgotten_outcome_is_found: HeldOutcomeForgotten,
    a_continuation_that_jumps_the_queue_is_found: ContinuationJumpsQueue,
    a_time_limit_that_is_ignored_is_found: TimeLimitIgnored,
    an_identity_that_is_checked_outside_is_found: IdentityCheckedOutside,
    a_released_claim_that_keeps_its_slot_is_found: ReleasedClaimKeepsSlot,
    a_batch_that_goes_on_after_its_failure_is_found: FailFastGoesOn,
    an_isolated_failure_that_stops_the_others_is_found: IsolateStops,
    a_batch_that_ignores_its_bound_is_found: ParallelismIgnored,
    a_skippable_step_that_fails_is_found: SkippableFails,
    a_let_go_that_is_forgotten_is_found: LetGoForgotten,
    what_goes_on_out_of_time_is_found: OutOfTimeGoesOn,
    an_event_that_is_forgotten_at_a_failure_is_found: FailureEventForgotten,
    an_event_taken_for_delivered_before_it_was_given_is_found: DeliveredBeforeGiven,
    an_event_that_overtakes_a_failed_one_is_found: FailedEventOvertaken,
    a_failed_event_that_is_not_given_again_is_found: FailedEventForgotten,
}

#[test]
fn every_bug_that_can_be_planted_is_planted() {
    assert_eq!(FOUND.len(), Bug::ALL.len());
    assert!(Bug::ALL.iter().all(|bug| FOUND.contains(bug)));
}
