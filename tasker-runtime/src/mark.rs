//! Marks of paths that are seldom taken. Tests that take paths by chance count them: a path that they never visit is one
//! that they don't test.

macro_rules! marks {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// A path that is seldom taken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $doc] $name,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

marks! {
    /// An outcome of a claim that is no longer held was refused.
    StaleRefused,
    /// A submit of unknown outcome was found written.
    UnknownWritten,
    /// A submit of unknown outcome was found not written.
    UnknownNotWritten,
    /// An action of unknown outcome was sent again.
    UnknownActionSentAgain,
    /// A step failed because its workers died too often.
    LossesReached,
    /// A step that failed for good was skipped over.
    SkippedOver,
    /// A step that may not be tried again failed because its worker died.
    LossOfNotRetryable,
    /// A claim that its own worker does not know of was given back.
    StrangerReleased,
    /// A refused batch was halved.
    BatchHalved,
    /// An outcome that no store can keep was replaced by a failure.
    OutcomeReplaced,
    /// An outcome was kept for later because the store failed.
    OutcomeHeld,
    /// A continuation stood back behind a higher priority.
    ContinuationBehindPriority,
    /// A slot was left to the global claim.
    SlotLeftToClaim,
    /// A task was cancelled while steps of it ran.
    CancelWhileRunning,
    /// A running step of a task that is being cancelled was lost.
    LostWhileCancelling,
    /// A running step of a task that is being cancelled was given back.
    ReleasedWhileCancelling,
    /// A step completed though its task is being cancelled.
    CompletedWhileCancelling,
    /// An operator retried while other steps of the task ran.
    RetryWhileRunning,
    /// A step was claimed that had been lost before.
    LossyClaimed,
    /// A stopping worker gave back what took too long.
    DrainReleased,
    /// What a claimed step runs with could not be read at once.
    InputReadAgain,
    /// A claim failed.
    ClaimFailed,
    /// A worker found its lease ended and began anew.
    LeaseLapsed,
    /// A heartbeat took back what a worker held that is gone.
    DeadWorkerSwept,
    /// A claim was taken back that was held for longer than the request of its task allows.
    OverdueLost,
    /// A worker gave an attempt up whose claim others had taken for lost.
    LostAttemptGivenUp,
    /// A worker whose lease had ended could not begin anew at once.
    NewLeaseTriedAgain,
    /// A worker claimed whose lease had ended: it got nothing.
    ClaimWithoutLease,
    /// A worker committed whose lease had ended: it was given nothing to go on with.
    CommitWithoutLease,
    /// Another process had cancelled a task that runs here.
    CancelFoundByLooking,
    /// A subscriber failed on an event.
    SubscriberFailed,
    /// An event waited behind one of its task that a subscriber had failed on.
    EventBehindFailedOne,
    /// What a subscriber was given could not be written down.
    DeliveryNotRecorded,
    /// A rerun took over workers of a batch, and others of the batch ran anew.
    RerunWithinBatch,
    /// A worker that the other task had begun and not ended ran anew with its rerun.
    RerunOfBegunWorker,
    /// What a decision that was taken over had not chosen, and that had no result, was skipped in a rerun.
    RerunSkips,
    /// A task that took too long became a dead letter at once.
    OutOfTimeFailed,
    /// A task took too long while steps of it ran: it was paused until they are over.
    OutOfTimeWhileRunning,
    /// What steps made ready that still ran when the time of their task was over failed.
    OutOfTimeAgain,
    /// A task that took too long was cancelled.
    OutOfTimeCancelled,
    /// A task that took too long was paused.
    OutOfTimePaused,
    /// A task that was found out of time was not, or not any more, when it was to be ended.
    NotOutOfTime,
    /// A step that was never chosen was not rerun.
    RerunOfUnchosen,
    /// A batchable step that completed too late for its workers to be made was rerun though another step was named.
    RerunOfUnmade,
}

#[cfg(any(test, feature = "testing"))]
mod counted {
    use std::cell::Cell;

    use super::Mark;

    thread_local! {
        static COUNTS: [Cell<u64>; Mark::ALL.len()] = const { [const { Cell::new(0) }; Mark::ALL.len()] };
    }

    pub(crate) fn mark(mark: Mark) {
        COUNTS.with(|counts| counts[mark as usize].update(|count| count + 1));
    }

    /// How often each path was taken on this thread.
    #[must_use]
    pub fn marks() -> Vec<(Mark, u64)> {
        COUNTS.with(|counts| Mark::ALL.iter().map(|&mark| (mark, counts[mark as usize].get())).collect())
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) use counted::mark;
#[cfg(any(test, feature = "testing"))]
pub use counted::marks;

#[cfg(not(any(test, feature = "testing")))]
pub(crate) const fn mark(_: Mark) {}
