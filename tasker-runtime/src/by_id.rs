//! A map by the id of a task, which cannot be iterated: what it tells does not depend on any order.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use tasker_types::TaskId;

/// Values by the id of their task.
#[derive(Debug)]
pub(crate) struct ById<T>(HashMap<TaskId, T, BuildHasherDefault<ByRandomBits>>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<T> ById<T> {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher(count, BuildHasherDefault::default()))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, task: TaskId) -> Option<&T> {
        self.0.get(&task)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn get_mut(&mut self, task: TaskId) -> Option<&mut T> {
        self.0.get_mut(&task)
    }

    pub(crate) fn insert(&mut self, task: TaskId, value: T) -> Option<T> {
        self.0.insert(task, value)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn remove(&mut self, task: TaskId) -> Option<T> {
        self.0.remove(&task)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Takes the random bits of a task's UUID, which nobody but this program chose, for its hash.
#[derive(Debug, Default)]
struct ByRandomBits(u64);

impl Hasher for ByRandomBits {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
