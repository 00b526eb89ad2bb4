//! Where handlers run: threads of their own, so that a handler that never yields cannot stop the engine.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// Where handlers run.
#[derive(Debug, Clone)]
pub struct HandlerThreads(Arc<Place>);

#[derive(Debug)]
enum Place {
    Shared(Handle),
    Own(Mutex<Own>),
}

#[derive(Debug)]
struct Own {
    threads: usize,
    runtime: Option<Runtime>,
    /// Runtimes whose threads were held for good; what else runs there still comes to its end.
    retired: Vec<Runtime>,
    /// Attempts that were given up while they held one of the threads.
    stuck: usize,
}

impl HandlerThreads {
    /// The name of the threads, as tools and panics show it.
    pub const NAME: &str = "tasker-handler";

    /// On the current runtime: for tests, where one thread does everything.
    ///
    /// # Panics
    /// There is no current Tokio runtime.
    #[must_use]
    pub fn shared() -> Self {
        Self(Arc::new(Place::Shared(Handle::current())))
    }

    /// On this many threads of their own.
    ///
    /// # Errors
    /// The threads can't be started.
    pub fn own(threads: usize) -> std::io::Result<Self> {
        let runtime = Some(start(threads)?);
        Ok(Self(Arc::new(Place::Own(Mutex::new(Own { threads, runtime, retired: Vec::new(), stuck: 0 })))))
    }

    pub(super) fn are_shared(&self) -> bool {
        matches!(&*self.0, Place::Shared(_))
    }

    /// The runtime that the next attempt is spawned on.
    #[must_use]
    pub fn handle(&self) -> Handle {
        match &*self.0 {
            Place::Shared(handle) => handle.clone(),
            Place::Own(own) => {
                let own = own.lock().unwrap_or_else(PoisonError::into_inner);
                own.runtime.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
            }
        }
    }

    /// An attempt that was given up still holds its thread. Once all threads may be held, new ones take their place.
    pub(super) fn lose_thread(&self) {
        let Place::Own(own) = &*self.0 else { return };
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        own.stuck += 1;
        if own.stuck < own.threads {
            return;
        }
        match start(own.threads) {
            Ok(fresh) => {
                own.stuck = 0;
                let old = own.runtime.replace(fresh);
                own.retired.extend(old);
            }
            Err(error) => tracing::error!(%error, "all handler threads are held, and no new ones can be started"),
        }
    }

    pub(super) fn shut_down(&self) {
        if let Place::Own(own) = &*self.0 {
            own.lock().unwrap_or_else(PoisonError::into_inner).shut_down();
        }
    }
}

impl Own {
    fn shut_down(&mut self) {
        for runtime in self.runtime.take().into_iter().chain(self.retired.drain(..)) {
            runtime.shutdown_background();
        }
    }
}

/// A runtime that is dropped waits for its threads, which an asynchronous context must not do.
impl Drop for Own {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn start(threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads).thread_name(HandlerThreads::NAME).enable_all().build()
}
