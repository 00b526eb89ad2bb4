//! Tasks that ended long ago are deleted, beside the loop and in portions that take a moment each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::dispatch::Dispatcher;
use crate::store::StoreError;

/// How often finished tasks are looked for.
const EVERY: Duration = Duration::from_secs(60);
/// Tasks that are deleted in one transaction: the first one, and the most. One task may have ten thousand rows or one.
const FIRST: u32 = 8;
const MOST: u32 = 512;
/// A portion that took less is followed by one twice as large, and one that took more by a smaller one.
const QUICK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_secs(1);

/// What this process prunes.
#[derive(Default)]
pub(super) struct Pruning {
    next: Arc<Mutex<Portion>>,
    /// The portion that is under way, or was the last.
    under_way: Option<JoinHandle<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Portion {
    tasks: u32,
    at: Instant,
}

impl Default for Portion {
    fn default() -> Self {
        Self { tasks: FIRST, at: Instant::now() + EVERY }
    }
}

impl Portion {
    /// The next one: where this one was full, at once.
    fn after(self, outcome: &Result<u64, StoreError>, took: Duration) -> Self {
        let tasks = match outcome {
            Ok(_) if took < QUICK => (self.tasks * 2).min(MOST),
            Ok(_) if took <= SLOW => self.tasks,
            _ => (self.tasks / 4).max(1),
        };
        let is_full = outcome.as_ref().is_ok_and(|&pruned| pruned >= u64::from(self.tasks));
        Self { tasks, at: Instant::now() + if is_full { Duration::ZERO } else { EVERY } }
    }
}

impl Dispatcher {
    pub(super) fn prune(&mut self) {
        let Some(kept) = self.parts.options.retention.filter(|_| self.claims()) else { return };
        let is_under_way = self.pruning.under_way.as_ref().is_some_and(|portion| !portion.is_finished());
        let portion = *lock(&self.pruning.next);
        if is_under_way || Instant::now() < portion.at {
            return;
        }
        let (parts, next) = (self.parts.clone(), self.pruning.next.clone());
        self.pruning.under_way = Some(tokio::spawn(async move {
            let began = Instant::now();
            let outcome = parts.store.prune(kept, portion.tasks, parts.clock.told()).await;
            if let Err(error) = &outcome {
                tracing::warn!(%error, "finished tasks cannot be pruned; tried again later");
            }
            *lock(&next) = portion.after(&outcome, began.elapsed());
        }));
    }
}

fn lock(next: &Mutex<Portion>) -> MutexGuard<'_, Portion> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn portions_grow_while_they_are_quick_and_shrink_when_they_are_not() {
        let now = Instant::now();
        let portion = |tasks| Portion { tasks, at: now };
        let after = |tasks, pruned, took| portion(tasks).after(&Ok(pruned), took);
        assert_eq!(after(8, 8, QUICK / 2), portion(16));
        assert_eq!(after(8, 8, SLOW), portion(8));
        assert_eq!(after(400, 400, QUICK / 2), portion(MOST));
        assert_eq!(after(8, 8, SLOW * 2), portion(2));
        assert_eq!(after(1, 1, SLOW * 60), portion(1));
        assert_eq!(after(8, 7, SLOW), Portion { tasks: 8, at: now + EVERY }, "nothing is left");
        let failed = portion(8).after(&Err(StoreError::Unavailable(String::new())), QUICK / 2);
        assert_eq!(failed, Portion { tasks: 2, at: now + EVERY });
    }
}
