//! Identities: a task's UUID, a step's number in its task, and the UUID that both give together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// The low bits of a task's UUID that hold a step's number + 1; they are zero in the task's own.
const STEP_BITS: u128 = 0x00ff_ffff;

/// The identity of a task: a UUIDv7 whose low 24 bits are zero.
///
/// A step's public UUID is its task's with the step's number + 1 in those bits, so each leads to the other.
///
/// ```
/// use tasker_types::{StepNumber, TaskId};
///
/// let task = TaskId::from_uuid(uuid::Uuid::now_v7());
/// let step = task.step_uuid(StepNumber(3));
/// assert_eq!(TaskId::of_step(step), Some((task, StepNumber(3))));
/// assert_eq!(TaskId::of_step(task.uuid()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// The order of their bytes: the older task comes first. Compared as numbers, which is a call of `memcmp` less each time.
impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TaskId {
    /// The task that `uuid` names: its low 24 bits are cleared.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(Uuid::from_u128(uuid.as_u128() & !STEP_BITS))
    }

    /// Not after any task that was accepted at this moment or later, nor before any earlier one.
    ///
    /// ```
    /// use tasker_types::{TaskId, Timestamp};
    ///
    /// let id = TaskId::first_of(Timestamp::from_micros(1_700_000_000_000_000));
    /// assert_eq!(id.to_string(), "018bcfe5-6800-0000-0000-000000000000");
    /// ```
    #[must_use]
    pub fn first_of(moment: Timestamp) -> Self {
        let millis = u128::from(moment.as_micros().max(0).unsigned_abs() / 1_000);
        Self(Uuid::from_u128(millis << 80))
    }

    /// The task's UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The public UUID of one of the task's steps.
    #[must_use]
    pub fn step_uuid(self, number: StepNumber) -> Uuid {
        Uuid::from_u128(self.0.as_u128() | (u128::from(number.0) + 1))
    }

    /// The task and the number of the step that `uuid` names, or `None` for a task's own UUID.
    #[must_use]
    pub fn of_step(uuid: Uuid) -> Option<(Self, StepNumber)> {
        let low = u32::try_from(uuid.as_u128() & STEP_BITS).unwrap_or(0);
        let number = low.checked_sub(1)?;
        Some((Self::from_uuid(uuid), StepNumber(number)))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self::from_uuid)
    }
}

/// The number of a step in its task: its place in the template, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNumber(pub u32);

impl StepNumber {
    /// The number as an index into a template's list of steps.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for StepNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a worker: made anew at each start of its process, so an old one never comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub Uuid);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
