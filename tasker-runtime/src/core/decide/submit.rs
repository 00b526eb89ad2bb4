//! A task is accepted.

use std::ops::RangeInclusive;

use tasker_types::{IfExists, StepState, TaskState, Timestamp};

use super::super::{Change, LiveStep, NewTask, Refusal, Snapshot};

const PRIORITIES: RangeInclusive<i16> = -100..=100;

pub(super) fn submit(snapshot: &Snapshot, new: &NewTask, now: Timestamp) -> Result<Vec<Change>, Refusal> {
    if !PRIORITIES.contains(&new.priority) {
        return Err(Refusal::Priority(new.priority));
    }
    if let Some(known) = new.known_by
        && let Some(task) = snapshot.meant_by(known.identity)
    {
        return match known.if_exists {
            IfExists::Attach => Ok(Vec::new()),
            IfExists::Conflict => Err(Refusal::SameRequest(task)),
        };
    }
    // Comes last: a store may leave it to the primary key of what is written.
    if snapshot.task(new.id).is_some() {
        return Err(Refusal::Exists(new.id));
    }
    let steps = u32::try_from(new.pinned.steps.len()).unwrap_or(u32::MAX);
    let roots = new.pinned.graph().roots();
    let mut changes = Vec::with_capacity(roots.len() + 2);
    changes.push(Change::NewTask { new: Box::new(new.clone()), open_steps: steps, at: now });
    changes.push(Change::Count {
        task: new.id,
        open_steps: 0,
        runnable: i32::try_from(roots.len()).unwrap_or(i32::MAX),
    });
    if roots.is_empty() {
        // Nothing of it will ever run.
        let state = if steps == 0 { TaskState::Completed } else { TaskState::Failed };
        changes.push(Change::TaskState { task: new.id, state, at: now });
    }
    let start = new.start.moment(now);
    changes.extend(roots.into_iter().map(|number| {
        let mut row = LiveStep::ready(new.id, &new.pinned, number, new.priority, start);
        if start > now {
            // As a retry does: it becomes ready when it is due, and nothing looks at it until then.
            row.state = StepState::WaitingForRetry;
        }
        Change::Live(row)
    }));
    Ok(changes)
}
