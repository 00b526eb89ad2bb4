//! The rules: what each command does to the rows of its task.
//!
//! Nothing here awaits, logs, reads a clock, draws a random number or iterates a `HashMap`. A store loads a
//! [`Snapshot`], [`fold`] decides every command of a batch in order, and the store writes what comes out.
//! Three changes are set-based and made by the stores themselves, each in one transaction, audit included:
//!
//! | change | what it does |
//! |---|---|
//! | claim | `ready` -> `running`, attempt + 1; the task `pending` -> `running` |
//! | release | `running` -> `ready` of a worker that stops; an attempt row says so (a task that is not `running` goes through [`Command::Release`]) |
//! | retry-due | `waiting_for_retry` -> `ready` from `ready_at` on |

mod batch;
mod batches;
mod change;
mod choice;
mod command;
mod continuation;
mod decide;
mod event;
mod invariant;
mod lifetime;
mod pinned;
mod row;
mod snapshot;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Copied, Fence, Needs, Reopened, Reply, Writes, fold};
pub use batches::cut;
pub use change::Change;
pub use choice::chosen;
pub use command::{
    Act, ActionStamp, ByHand, Checkpoint, Command, Failure, Finish, Identity, KnownBy, Loss, NewTask, Outcome, Refusal,
    Rerun, Says, StepRef, Workers,
};
pub(crate) use continuation::next_attempt;
pub use continuation::{Backlog, Capacity};
pub use event::{EventRow, Made, Published, SubscriberId, ToldEvent, again_after, recipients};
pub use invariant::{Dump, Violation, check};
pub use lifetime::{Say, out_of_time_at};
pub use pinned::{Named, Pinned, PinnedStep, QueueId, ResolvedStep, ResolvedTemplate, TemplateId};
pub use row::{
    ActionRow, AttemptOutcome, AttemptRow, BatchRow, Cause, CheckpointRow, Claimed, Detail, IdentityRow, LiveStep,
    RerunRow, ResultRow, TaskInput, TaskRow,
};
pub use snapshot::{Over, Snapshot};
