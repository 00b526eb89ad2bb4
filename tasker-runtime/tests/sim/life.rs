//! The life of a process, from its start to its end: it may be frozen in between.

use std::fmt;
use std::sync::Mutex;

use tokio::sync::Notify;

pub(crate) struct Life {
    pub(crate) process: usize,
    /// Which of the process's lives it is.
    number: u32,
    being: Mutex<Being>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Being {
    Up,
    Frozen,
    Dead,
}

impl Life {
    pub(crate) fn new(process: usize, number: u32) -> Self {
        Self { process, number, being: Mutex::new(Being::Up), changed: Notify::new() }
    }

    pub(crate) fn id(&self) -> (usize, u32) {
        (self.process, self.number)
    }

    pub(crate) fn being(&self) -> Being {
        *self.being.lock().unwrap()
    }

    /// The dead stay dead.
    pub(crate) fn become_(&self, being: Being) {
        let mut now = self.being.lock().unwrap();
        if *now != Being::Dead {
            *now = being;
        }
        self.changed.notify_waiters();
    }

    /// Waits as long as nothing of it moves: for ever where it is dead.
    pub(crate) async fn moves(&self) {
        while self.being() != Being::Up {
            self.changed.notified().await;
        }
    }

    pub(crate) async fn death(&self) {
        while self.being() != Being::Dead {
            self.changed.notified().await;
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("p{}.{}", self.process, self.number))
    }
}
