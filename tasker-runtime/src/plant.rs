//! Bugs that can be planted, to see that the tests find them. In a program for users there are none: nothing is left of
//! the places that ask for them.

macro_rules! bugs {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// A bug that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $doc] $name,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

bugs! {
    /// An outcome is taken from an attempt that no longer holds the claim.
    FenceDropped,
    /// The attempt is counted when it fails, not when it is claimed.
    AttemptCountedAtFailure,
    /// A finished parent counts twice for a step that waits for several.
    FanInCountedTwice,
    /// A step that was skipped is inserted again by another of its parents.
    SkippedInsertedAgain,
    /// A step that joins branches goes on waiting for one that was skipped.
    SkippedNeverCounts,
    /// A step that waits for the workers of a batch waits for the first of them only.
    AggregatorBeforeWorkers,
    /// What becomes ready in a paused task is not held back.
    ContinuationIgnoresPause,
    /// What is given back in a paused task is not held back.
    ReleaseIgnoresHeld,
    /// What other processes wrote is never looked for.
    PollSkipped,
    /// A database that takes nothing for a while is taken for one that refuses what it is given.
    ShutTakenForRefusal,
    /// A commit of unknown outcome is taken for one that failed.
    UnknownTakenForFailed,
    /// A commit of unknown outcome is sent again blindly.
    UnknownSentBlindly,
    /// Steps that a commit of unknown outcome claimed are never given back.
    StrangersKept,
    /// The slot of an attempt whose outcome was refused is not freed.
    RefusedOutcomeKeepsSlot,
    /// Every command of a batch is decided on the rows as they stood before it.
    DecidedOnOldRows,
    /// A step is tried again before its backoff is over.
    BackoffCutShort,
    /// A cancel overlooks what became ready in the same instant.
    CancelMissesReady,
    /// A loss is not counted: a step that kills its worker is tried for ever.
    LossNotCounted,
    /// A step that was lost may run beside others that were.
    LossyTogether,
    /// The steps of a worker whose lease lasts are taken for lost.
    LiveWorkerSwept,
    /// A claim counts as lost before the time is over that the request of its task gives it.
    LostBeforeItsTime,
    /// A lease that has ended is renewed.
    ExpiredWorkerRevives,
    /// A worker claims though its lease has ended.
    ClaimWithoutLease,
    /// A worker does not heed that its lease has ended.
    LapseIgnored,
    /// A continuation goes past steps of a higher priority.
    ContinuationJumpsQueue,
    /// Attempts have no time limit.
    TimeLimitIgnored,
    /// A checkpoint is taken from an attempt that no longer holds the claim.
    CheckpointNotFenced,
    /// An attempt begins without what an earlier one saved.
    CheckpointNotGiven,
    /// A rerun keeps what comes after the step that it runs anew.
    RerunKeepsLater,
    /// A rerun lets a step run that a decision did not choose.
    RerunForgetsChoice,
    /// A task that an operator let go on is not given its time once more.
    LetGoForgotten,
    /// What comes after a step that runs goes on though the time of its task is over.
    OutOfTimeGoesOn,
    /// What a request is known by is looked up before the transaction that takes it.
    IdentityCheckedOutside,
    /// The slot of a claim that was given back is not freed.
    ReleasedClaimKeepsSlot,
    /// After a failure that is to stop them, other workers of a batch begin.
    FailFastGoesOn,
    /// A failure that is to stop nobody stops the other workers of its batch.
    IsolateStops,
    /// More workers of a batch run at once than it says.
    ParallelismIgnored,
    /// A step that may be skipped over fails.
    SkippableFails,
    /// An outcome that the store did not take is forgotten.
    HeldOutcomeForgotten,
    /// An attempt that failed and is tried again publishes no events.
    FailureEventForgotten,
    /// An event is taken for delivered before its subscriber was given it.
    DeliveredBeforeGiven,
    /// Events of a task are delivered though an earlier one waits to be tried again.
    FailedEventOvertaken,
    /// Of an event that a subscriber failed on, it is not given it again.
    FailedEventForgotten,
}

#[cfg(any(test, feature = "testing"))]
mod planted {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in all that runs on this thread from now on, instead of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(any(test, feature = "testing"))]
pub use planted::plant;
#[cfg(any(test, feature = "testing"))]
pub(crate) use planted::planted;

#[cfg(not(any(test, feature = "testing")))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
