//! The signals that ask a process to stop.

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::live;

/// Listens from now on. The first signal cancels the token; the second one ends the process at once: what it ran is
/// taken for lost by the next worker, and runs again.
pub(crate) fn listen() -> CancellationToken {
    let token = CancellationToken::new();
    let asked = token.clone();
    // Made here and once: a signal between the first and the second must not be missed.
    let mut signals = Signals::new();
    tokio::spawn(async move {
        signals.next().await;
        asked.cancel();
        signals.next().await;
        live::set(None);
        std::process::exit(Exit::Interrupted as i32);
    });
    token
}

/// The signals that ask to stop: those of them that can be listened to.
#[cfg(unix)]
struct Signals([Option<tokio::signal::unix::Signal>; 3]);

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| signal(kind).ok()))
    }

    async fn next(&mut self) {
        std::future::poll_fn(|cx| {
            let came = self.0.iter_mut().flatten().any(|signal| signal.poll_recv(cx).is_ready());
            if came { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
