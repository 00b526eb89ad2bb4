//! The signals that ask a process to stop.

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::live;

/// Listens from now on. The first signal cancels the token; the second one ends the process at once: what it ran is
/// taken for lost by the next worker, and runs again.
pub(crate) fn listen() -> CancellationToken {
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        next().await;
        asked.cancel();
        next().await;
        live::set(None);
        std::process::exit(Exit::Interrupted as i32);
    });
    token
}

#[cfg(unix)]
async fn next() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    match kinds.map(signal) {
        [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn next() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
