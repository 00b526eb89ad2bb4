//! What the engine has done since it started.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::Committed;

/// What the engine has done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions that wrote: batches of commands, and claims that found something.
    pub transactions: u64,
    /// Commands in those batches.
    pub commands: u64,
    /// Steps that were claimed by a transaction of their own.
    pub claimed: u64,
    /// Steps that were continued by the transaction that made them ready.
    pub continued: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    transactions: AtomicU64,
    commands: AtomicU64,
    claimed: AtomicU64,
    continued: AtomicU64,
}

impl Counters {
    pub(super) fn batch(&self, commands: usize, committed: &Committed) {
        self.transactions.fetch_add(u64::from(!committed.joined), Ordering::Relaxed);
        self.commands.fetch_add(commands as u64, Ordering::Relaxed);
        self.continued.fetch_add(committed.claimed.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn claim(&self, claimed: usize) {
        self.transactions.fetch_add(u64::from(claimed > 0), Ordering::Relaxed);
        self.claimed.fetch_add(claimed as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        Stats {
            transactions: self.transactions.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            claimed: self.claimed.load(Ordering::Relaxed),
            continued: self.continued.load(Ordering::Relaxed),
        }
    }
}
