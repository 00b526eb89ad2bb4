//! From names of dependencies to numbers, and what can only be seen of all steps together.

use std::collections::{BTreeMap, BTreeSet};

use super::codes;
use super::inputs;
use super::limits::{MAX_BATCH_WORKERS, MAX_DEPTH, MAX_EDGES};
use super::report::Report;
use super::scalar::quoted;
use super::step::{Draft, Mention};
use crate::suggest::nearest;
use crate::{Graph, StepNumber, StepType};

/// After this many findings no more suggestions are looked for: each looks at every step's name.
const MOST_SUGGESTIONS: usize = 20;
/// At most this many cycles are told, one after the other.
const MOST_CYCLES: usize = 10;
/// A cycle longer than this is told with its first and last steps only.
const LONGEST_CYCLE_TOLD: usize = 12;

/// Gives each step the numbers of those that it waits for, and checks the graph.
pub(super) fn connect(drafts: &mut [Draft<'_>], report: &mut Report) {
    let numbers = numbers_by_name(drafts, report);
    let edges: usize = drafts.iter().map(|draft| draft.dependencies.len()).sum();
    if edges > MAX_EDGES {
        let mut mentions = drafts.iter().flat_map(|draft| &draft.dependencies);
        if let Some(first_beyond) = mentions.nth(MAX_EDGES) {
            let message = format!("the template has {edges} dependencies; at most {MAX_EDGES} are allowed");
            report.add(&codes::TOO_MANY, first_beyond.at, message).label("the first dependency beyond the limit");
        }
        return;
    }
    let resolved: Vec<_> = drafts.iter().map(|draft| resolve(draft, &numbers, report)).collect();
    check_cycles(drafts, &resolved, report);
    check_types(drafts, &resolved, report);
    for (draft, dependencies) in drafts.iter_mut().zip(resolved) {
        draft.step.dependencies = dependencies.into_iter().map(|(number, _)| number).collect();
    }
    inputs::connect(drafts, &numbers, report);
}

/// The number of each step by its name; of steps with the same name, the first one's.
fn numbers_by_name(drafts: &[Draft<'_>], report: &mut Report) -> BTreeMap<String, StepNumber> {
    let mut numbers = BTreeMap::new();
    for (number, draft) in (0..).map(StepNumber).zip(drafts).filter(|(_, draft)| draft.named) {
        let name = &draft.step.name;
        match numbers.get(name) {
            None => {
                numbers.insert(name.clone(), number);
            }
            Some(&StepNumber(_)) => {
                let first = numbers.get(name).map_or(draft.name_at, |first: &StepNumber| drafts[first.index()].name_at);
                report
                    .add(&codes::DUPLICATE_STEP, draft.name_at, format!("two steps are named {}", quoted(name)))
                    .label("named a second time here")
                    .related(first, "the first is here");
            }
        }
    }
    numbers
}

/// The steps that the draft waits for, each with the place that says so.
fn resolve<'n>(
    draft: &Draft<'n>,
    numbers: &BTreeMap<String, StepNumber>,
    report: &mut Report,
) -> Vec<(StepNumber, Mention<'n>)> {
    let mut first_at = BTreeMap::new();
    let mut resolved = Vec::with_capacity(draft.dependencies.len());
    for &mention in &draft.dependencies {
        if let Some(&first) = first_at.get(mention.name) {
            let message = format!("{} names the dependency {} twice", draft.label, quoted(mention.name));
            report
                .add(&codes::DUPLICATE_DEPENDENCY, mention.at, message)
                .label("named a second time here")
                .related(first, "the first is here");
            continue;
        }
        first_at.insert(mention.name, mention.at);
        if draft.named && mention.name == draft.step.name {
            let message = format!("{} depends on itself", draft.label);
            report
                .add(&codes::SELF_DEPENDENCY, mention.at, message)
                .label("the step itself")
                .help("remove it: the step would never start");
        } else if let Some(&number) = numbers.get(mention.name) {
            resolved.push((number, mention));
        } else {
            let meant = (report.len() < MOST_SUGGESTIONS)
                .then(|| {
                    nearest(mention.name, numbers.keys().map(String::as_str).filter(|&name| name != draft.step.name))
                })
                .flatten();
            let message = format!("{} depends on {}, which does not exist", draft.label, quoted(mention.name));
            report.add(&codes::UNKNOWN_DEPENDENCY, mention.at, message).label("unknown step").suggest(meant);
        }
    }
    resolved
}

/// Reports cycles that have no step in common, and a path that is too long.
fn check_cycles(drafts: &[Draft<'_>], resolved: &[Vec<(StepNumber, Mention<'_>)>], report: &mut Report) {
    let mut parents: Vec<Vec<StepNumber>> =
        resolved.iter().map(|of| of.iter().map(|&(number, _)| number).collect()).collect();
    for _ in 0..MOST_CYCLES {
        match Graph::new(parents.clone()).levels() {
            Ok(levels) => {
                check_depth(drafts, &levels, report);
                return;
            }
            Err(cycle) => {
                tell_cycle(drafts, resolved, &cycle.steps, report);
                let told: BTreeSet<_> = cycle.steps.into_iter().collect();
                for (number, of) in (0..).map(StepNumber).zip(&mut parents) {
                    of.retain(|parent| !told.contains(parent) || !told.contains(&number));
                }
            }
        }
    }
}

/// A decision needs branches to choose from, a convergence something to join, and batches workers.
fn check_types(drafts: &[Draft<'_>], resolved: &[Vec<(StepNumber, Mention<'_>)>], report: &mut Report) {
    let waited_for: BTreeSet<StepNumber> = resolved.iter().flatten().map(|&(number, _)| number).collect();
    let type_of = |number: StepNumber| drafts[number.index()].step.step_type;
    let workers = drafts.iter().zip(resolved).filter(|(draft, _)| draft.step.step_type == StepType::BatchWorker);
    let with_workers: BTreeSet<StepNumber> =
        workers.clone().flat_map(|(_, of)| of).map(|&(number, _)| number).collect();
    if let Some((first_beyond, _)) = workers.clone().nth(MAX_BATCH_WORKERS) {
        let message =
            format!("the template has {} batch workers; at most {MAX_BATCH_WORKERS} are allowed", workers.count());
        report.add(&codes::TOO_MANY, first_beyond.name_at, message).label("the first batch worker beyond the limit");
    }
    for (number, draft) in (0..).map(StepNumber).zip(drafts) {
        let at = draft.type_at.unwrap_or(draft.name_at);
        match draft.step.step_type {
            StepType::Decision if !waited_for.contains(&number) => {
                let message = format!("{} is a decision, but no step depends on it", draft.label);
                let added = report.add(&codes::DECISION_WITHOUT_BRANCHES, at, message);
                added.label("nothing to choose from").help("let each branch's first step depend on it");
            }
            StepType::DeferredConvergence if draft.dependencies.is_empty() => {
                let message = format!("{} is a convergence, but depends on no step", draft.label);
                let added = report.add(&codes::CONVERGENCE_WITHOUT_BRANCHES, at, message);
                added.label("nothing to join").help("let it depend on the last step of each branch");
            }
            StepType::Batchable if !with_workers.contains(&number) => {
                let message = format!("{} is batchable, but no `batch_worker` depends on it", draft.label);
                let added = report.add(&codes::BATCHABLE_WITHOUT_WORKER, at, message);
                added.label("no worker").help("add a step of `type: batch_worker` that depends on it");
            }
            StepType::BatchWorker => {
                let of = &resolved[number.index()];
                if of.len() != 1 || draft.dependencies.len() != 1 || type_of(of[0].0) != StepType::Batchable {
                    let message =
                        format!("{} is a batch worker, but does not depend on one batchable step alone", draft.label);
                    let added = report.add(&codes::WORKER_WITHOUT_BATCHABLE, at, message);
                    added.label("of which step?").help("let it depend on its `batchable` step and on no other");
                }
            }
            _ => {}
        }
    }
}

fn tell_cycle(
    drafts: &[Draft<'_>],
    resolved: &[Vec<(StepNumber, Mention<'_>)>],
    steps: &[StepNumber],
    report: &mut Report,
) {
    let name = |step: StepNumber| drafts[step.index()].step.name.as_str();
    let (Some(&first), Some(&second)) = (steps.first(), steps.get(1).or(steps.first())) else {
        return;
    };
    let mut path: Vec<&str> = steps.iter().map(|&step| name(step)).collect();
    if path.len() > LONGEST_CYCLE_TOLD {
        path.splice(LONGEST_CYCLE_TOLD / 2..path.len() - LONGEST_CYCLE_TOLD / 2, ["…"]);
    }
    path.push(name(first));
    let mention = |from: StepNumber, to: StepNumber| {
        resolved[from.index()].iter().find_map(|&(number, mention)| (number == to).then_some(mention.at))
    };
    let at = mention(first, second).unwrap_or(drafts[first.index()].name_at);
    let mut added = report
        .add(&codes::CYCLE, at, format!("these steps wait for each other: {}", path.join(" -> ")))
        .label(format!("`{}` waits for `{}`", name(first), name(second)))
        .help("each arrow reads \"depends on\"; remove one of them");
    let following = steps.iter().skip(1).zip(steps.iter().skip(2).chain([&first]));
    for (&from, &to) in following.take(4) {
        if let Some(at) = mention(from, to) {
            added = added.related(at, format!("`{}` waits for `{}`", name(from), name(to)));
        }
    }
}

fn check_depth(drafts: &[Draft<'_>], levels: &[usize], report: &mut Report) {
    let deepest = levels.iter().max().map_or(0, |level| level + 1);
    if deepest <= MAX_DEPTH {
        return;
    }
    if let Some((draft, _)) = drafts.iter().zip(levels).find(|&(_, &level)| level == MAX_DEPTH) {
        let message = format!("the longest path has {deepest} steps; at most {MAX_DEPTH} are allowed");
        report.add(&codes::TOO_DEEP, draft.name_at, message).label(format!("step {} of a path", MAX_DEPTH + 1));
    }
}
