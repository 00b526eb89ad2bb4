//! Hints between processes: NOTIFY after a commit, and LISTEN. They only save time; whoever polls misses nothing.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use uuid::Uuid;

use super::address::Address;
use super::lane::{AGAIN_FIRST, AGAIN_MAX, Link};
use crate::pause::jittered;
use crate::store::Hints;

const CHANNEL: &str = "tasker";
/// Each NOTIFY takes a lock that the whole server has once: what comes within this time is said once.
const COALESCE: Duration = Duration::from_millis(10);
/// How long a store that is closed waits until its last hint is said.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Steps are ready.
pub(super) const READY: u8 = 1;
/// Something else has changed.
pub(super) const OTHER: u8 = 2;
/// Events were stored.
pub(super) const EVENTS: u8 = 4;
const ALL: u8 = READY | OTHER | EVENTS;

/// Says hints, on a connection of its own and never within a transaction that writes: there it would make commits wait for
/// one another.
#[derive(Debug)]
pub(super) struct Notifier {
    /// What is to be said.
    flags: Arc<AtomicU8>,
    says: Mutex<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
    address: Address,
    /// Who says it: nobody listens to himself.
    id: Uuid,
}

impl Notifier {
    pub(super) fn new(address: &Address) -> Self {
        Self { flags: Arc::default(), says: Mutex::default(), address: address.clone(), id: Uuid::new_v4() }
    }

    /// Says it soon. It never waits.
    pub(super) fn hint(&self, flags: u8) {
        if flags == 0 {
            return;
        }
        self.flags.fetch_or(flags, Ordering::AcqRel);
        let mut says = self.says.lock().unwrap_or_else(PoisonError::into_inner);
        let (wake, _) = says.get_or_insert_with(|| {
            let (wake, woken) = mpsc::channel(1);
            (wake, tokio::spawn(say(Link::new(self.address.clone()), self.flags.clone(), self.id, woken)))
        });
        // Where one waits already, that one says this too.
        let _ = wake.try_send(());
    }

    /// Waits until everything is said.
    pub(super) async fn close(&self) {
        let says = self.says.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((wake, task)) = says {
            drop(wake);
            // Others find out by themselves.
            let _ = tokio::time::timeout(LAST_WORD, task).await;
        }
    }

    /// What others say from now on. Behind a pooler nobody can listen.
    pub(super) fn listen(&self) -> Option<(watch::Receiver<Hints>, AbortHandle)> {
        if self.address.pooled {
            return None;
        }
        let (tell, told) = watch::channel(Hints::default());
        let listening = tokio::spawn(listen(self.address.clone(), self.id.to_string(), tell));
        Some((told, listening.abort_handle()))
    }
}

async fn say(mut link: Link, flags: Arc<AtomicU8>, id: Uuid, mut woken: mpsc::Receiver<()>) {
    while woken.recv().await.is_some() {
        let payload = format!("{id} {}", flags.swap(0, Ordering::AcqRel));
        let said = link
            .run(&|session| {
                let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload.clone());
                Box::pin(async move { session.fetch_alone(notify).await.map(drop) })
            })
            .await;
        if let Err(error) = said {
            tracing::debug!(%error, "a hint could not be said; others find out by polling");
        }
        if !woken.is_closed() {
            tokio::time::sleep(COALESCE).await;
        }
    }
    link.close().await;
}

async fn listen(address: Address, me: String, tell: watch::Sender<Hints>) {
    let mut pause = AGAIN_FIRST;
    loop {
        // The listener's way to make its one connection anew.
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let connected = PgListener::connect_with(&pool.connect_lazy_with(address.options.clone())).await;
        let error = match connected {
            Ok(mut listener) => match listener.listen(CHANNEL).await {
                Ok(()) => {
                    pause = AGAIN_FIRST;
                    hear(&mut listener, &me, &tell).await
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::debug!(%error, "other processes cannot be heard; polling finds what they do");
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(AGAIN_MAX);
    }
}

/// Passes on what is heard, until that fails.
async fn hear(listener: &mut PgListener, me: &str, tell: &watch::Sender<Hints>) -> sqlx::Error {
    // Whatever was said before, nobody heard it here.
    let mut flags = ALL;
    loop {
        tell.send_modify(|hints| {
            hints.ready += u64::from(flags & READY != 0);
            hints.other += u64::from(flags & OTHER != 0);
            hints.events += u64::from(flags & EVENTS != 0);
        });
        flags = match listener.try_recv().await {
            Ok(Some(heard)) => match heard.payload().split_once(' ') {
                Some((by, _)) if by == me => 0,
                Some((_, flags)) => flags.parse().unwrap_or(ALL),
                None => ALL,
            },
            // The connection was lost and made anew.
            Ok(None) => ALL,
            Err(error) => return error,
        };
    }
}
