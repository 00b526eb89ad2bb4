//! How long it is before something is tried again.

use std::time::Duration;

use uuid::Uuid;

/// From half to the whole of it: those who failed together do not come back together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = u32::try_from(Uuid::new_v4().as_u128() & 0xffff).unwrap_or(0);
    pause / 2 + pause * random / 0x2_0000
}
