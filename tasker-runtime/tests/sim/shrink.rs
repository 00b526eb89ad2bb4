//! Makes the world of a failure smaller, as long as it fails in the same way.

use std::collections::BTreeSet;
use std::sync::Arc;

use tasker_types::StepType;

use crate::run::{Outcome, run};
use crate::world::{Step, Weather, World};

/// A world that fails by itself takes long, so there is an end to trying.
const RUNS_MAX: usize = 400;

pub(crate) fn shrink(world: World) -> (World, Outcome) {
    let first = run(world.clone(), false);
    let rule = first.failure.as_ref().map(|failure| failure.rule.clone());
    let (mut best, mut hit) = (world, first.hit);
    let mut runs = 0;
    'again: loop {
        for smaller in smaller(&best, &hit) {
            runs += 1;
            if runs > RUNS_MAX {
                break 'again;
            }
            let outcome = run(smaller.clone(), false);
            if outcome.failure.map(|failure| failure.rule) == rule {
                (best, hit) = (smaller, outcome.hit);
                continue 'again;
            }
        }
        break;
    }
    let outcome = run(best.clone(), true);
    (best, outcome)
}

/// Worlds with a little less in them, those with much less first.
fn smaller(world: &World, hit: &BTreeSet<u64>) -> Vec<World> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut World)| {
        let mut smaller = world.clone();
        change(&mut smaller);
        found.push(smaller);
    };
    for part in parts(hit) {
        let kept: Arc<BTreeSet<u64>> = Arc::new(hit.difference(&part).copied().collect());
        with(&|world| world.only = Some(kept.clone()));
    }
    if world.trouble > 0 {
        with(&|world| world.trouble = 0);
    }
    if world.kills {
        with(&|world| world.kills = false);
    }
    for at in 0..world.tasks.len() {
        with(&|world| _ = world.tasks.remove(at));
    }
    for at in 0..world.blows.len() {
        with(&|world| _ = world.blows.remove(at));
    }
    for at in 0..world.acts.len() {
        with(&|world| _ = world.acts.remove(at));
    }
    if world.batches > 1 {
        with(&|world| world.batches = 1);
    }
    if world.clients > 0 {
        with(&|world| world.clients = 0);
    }
    if world.workers > 1 {
        with(&|world| world.workers -= 1);
    }
    for (at, steps) in world.templates.iter().enumerate() {
        for gone in (0..steps.len()).rev().filter(|_| steps.len() > 1) {
            with(&|world| without_step(&mut world.templates[at], gone));
        }
    }
    let is_plain = |step: &Step| step.step_type == StepType::Standard && !step.skippable;
    for (at, steps) in world.templates.iter().enumerate() {
        for plain in (0..steps.len()).filter(|&number| !is_plain(&steps[number])) {
            with(&|world| {
                let step = &mut world.templates[at][plain];
                (step.step_type, step.skippable, step.batch) = (StepType::Standard, false, None);
            });
        }
    }
    if !hit.is_empty() && world.weather.delayed > 0 {
        with(&|world| world.weather = Weather { delayed: 0, ..world.weather });
    }
    found
}

/// All of them, halves, quarters, .., and each one.
fn parts(hit: &BTreeSet<u64>) -> Vec<BTreeSet<u64>> {
    let all: Vec<u64> = hit.iter().copied().collect();
    let (mut parts, mut size) = (Vec::new(), all.len());
    while size > 0 {
        parts.extend(all.chunks(size).map(|part| part.iter().copied().collect()));
        size /= 2;
    }
    parts
}

fn without_step(steps: &mut Vec<Step>, gone: usize) {
    steps.remove(gone);
    let gone = u32::try_from(gone).unwrap();
    for step in steps.iter_mut() {
        step.parents.retain(|&parent| parent != gone);
        for parent in step.parents.iter_mut().filter(|parent| **parent > gone) {
            *parent -= 1;
        }
    }
    for number in 0..steps.len() {
        let is_worker_of = |step: &Step, of: usize| {
            step.step_type == StepType::BatchWorker && step.parents == [u32::try_from(of).unwrap()]
        };
        let has_lost = match steps[number].step_type {
            StepType::Batchable => !steps.iter().any(|step| is_worker_of(step, number)),
            StepType::BatchWorker => {
                !matches!(steps[number].parents[..], [of] if steps[of as usize].step_type == StepType::Batchable)
            }
            _ => false,
        };
        if has_lost {
            (steps[number].step_type, steps[number].batch) = (StepType::Standard, None);
        }
    }
}
