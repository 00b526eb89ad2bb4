//! The part of the screen that moves: at most one, on standard error. Whatever else is written goes above it.

use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;

static LIVE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Says that this moves now, or that nothing does.
pub(crate) fn set(moving: Option<MultiProgress>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = moving;
}

/// Writes something without tearing what moves.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let moving = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match moving {
        Some(moving) => moving.suspend(write),
        None => write(),
    }
}
