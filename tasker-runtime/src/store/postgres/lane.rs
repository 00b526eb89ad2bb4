//! Tasks that own a connection each. Nobody cancels them: a caller who goes away leaves nothing half-done, and no
//! connection in the middle of a transaction.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Barrier, Mutex, mpsc, oneshot};
use tokio::time::Instant;

use super::address::Address;
use super::session::{CommitsBy, Session};
use crate::pause::jittered;
use crate::store::StoreError;

/// Calls that may wait for a lane; further callers wait for a place.
const QUEUE_LENGTH: usize = 64;
/// How often a call is tried that met another transaction, or a connection that had died meanwhile.
const TRIES: u32 = 4;
/// The first and the longest pause before a server is tried again that could not be reached.
pub(super) const AGAIN_FIRST: Duration = Duration::from_millis(50);
pub(super) const AGAIN_MAX: Duration = Duration::from_secs(2);

/// How long a COMMIT without an answer is followed up. Later, the server's own timeouts have ended it.
const DECIDED_AFTER: Duration = Duration::from_secs(60);

/// A call that fails after so long was most probably not answered.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// What is done on a session; it may be done again where nothing had come of it.
pub(super) type Work<'s, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 's>>;

type Job = Box<dyn for<'l> FnOnce(&'l mut Link) -> Pin<Box<dyn Future<Output = ()> + Send + 'l>> + Send>;

/// The way to some tasks with a connection each, which take turns.
#[derive(Clone)]
pub(super) struct Lanes {
    sender: mpsc::Sender<Job>,
    width: usize,
    /// Whoever asks all of the tasks does so while it has this.
    asks_all: Arc<std::sync::Mutex<()>>,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("width", &self.width).finish()
    }
}

impl Lanes {
    /// Starts so many tasks. They connect when they are needed, and end when every handle is gone.
    pub(super) fn start(address: &Address, width: usize) -> Self {
        let (sender, jobs) = mpsc::channel::<Job>(QUEUE_LENGTH);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..width {
            tokio::spawn(serve(jobs.clone(), Link::new(address.clone())));
        }
        Self { sender, width, asks_all: Arc::default() }
    }

    /// Starts one on a thread of its own: nothing else that this process does keeps it waiting, and it outlives whoever
    /// asks it.
    pub(super) fn apart(address: &Address) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>(QUEUE_LENGTH);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = serve(Arc::new(Mutex::new(jobs)), Link::new(address.clone()));
        std::thread::Builder::new().name("tasker-leases".to_owned()).spawn(move || runtime.block_on(serving))?;
        Ok(Self { sender, width: 1, asks_all: Arc::default() })
    }

    /// Has something done on one of the connections. The caller may go away: what was begun is done to its end.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'s> Fn(&'s mut Session) -> Work<'s, T> + Send + Sync + 'static,
    {
        let (answer, told) = oneshot::channel();
        let job: Job = Box::new(move |link| {
            Box::pin(async move {
                // Nobody waits for what was not begun.
                if answer.is_closed() {
                    return;
                }
                let outcome = link.run(&work).await;
                // A caller who went away does not want the answer: what was done stays done.
                let _ = answer.send(outcome);
            })
        });
        self.send(job).await?;
        // It had the job when it stopped: nobody knows how far it came.
        told.await.map_err(|_| StoreError::Unknown("the database was closed meanwhile".into()))?
    }

    /// Waits until everything is done that was asked for before.
    pub(super) async fn settled(&self) -> Result<(), StoreError> {
        self.each(|_| Box::pin(async {})).await
    }

    /// Closes the connections, after everything that was asked for before.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.each(|link| Box::pin(link.close())).await
    }

    /// Has each of the tasks do this, after everything that was asked for before. One that is gone has nothing left to do.
    async fn each(
        &self,
        work: fn(&mut Link) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>,
    ) -> Result<(), StoreError> {
        let barrier = Arc::new(Barrier::new(self.width));
        let mut done = Vec::with_capacity(self.width);
        // A task that was asked waits for the others: so all of them are asked or none, whoever goes away here, and nobody
        // else's questions come in between, where each would keep a task that the other one waits for.
        let places = self.sender.reserve_many(self.width).await.map_err(|_| closed())?;
        {
            let _alone = self.asks_all.lock().unwrap_or_else(PoisonError::into_inner);
            for place in places {
                let (ended, told) = oneshot::channel::<()>();
                let barrier = barrier.clone();
                place.send(Box::new(move |link| {
                    Box::pin(async move {
                        work(link).await;
                        barrier.wait().await;
                        drop(ended);
                    })
                }));
                done.push(told);
            }
        }
        for told in done {
            // It tells by going away.
            let _ = told.await;
        }
        Ok(())
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.sender.send(job).await.map_err(|_| closed())
    }
}

fn closed() -> StoreError {
    StoreError::Open("the database was closed".into())
}

/// Does what it is asked for, until every handle is gone.
async fn serve(jobs: Arc<Mutex<mpsc::Receiver<Job>>>, mut link: Link) {
    loop {
        let job = jobs.lock().await.recv().await;
        let Some(job) = job else { break };
        job(&mut link).await;
    }
    link.close().await;
}

/// A connection that is made anew when it is lost.
pub(super) struct Link {
    address: Address,
    session: Option<Session>,
    /// When the server was heard on it last.
    heard_at: Instant,
    failed: Option<Failed>,
}

/// Since when the server was not heard on one of a store's connections. What is wrong with one is most often wrong with
/// all that were made before, and each would have to wait in vain by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Silence(Arc<std::sync::Mutex<Option<Instant>>>);

impl Silence {
    fn note(&self, since: Instant) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (*latest).max(Some(since));
    }

    /// Whether a connection is suspect that was heard last at this moment.
    fn covers(&self, heard_at: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| heard_at < since)
    }
}

/// The server could not be reached.
struct Failed {
    error: StoreError,
    pause: Duration,
    again_at: Instant,
}

impl Link {
    pub(super) fn new(address: Address) -> Self {
        Self { address, session: None, heard_at: Instant::now(), failed: None }
    }

    pub(super) async fn run<T>(
        &mut self,
        work: &(impl for<'s> Fn(&'s mut Session) -> Work<'s, T> + Send + Sync),
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let session = self.session().await?;
            let began = Instant::now();
            let outcome = work(session).await;
            let Err(error) = outcome else {
                self.heard_at = Instant::now();
                return outcome;
            };
            let commit = session.commits_by();
            if began.elapsed() >= SILENCE_MIN {
                self.address.silence.note(began);
            }
            if let (StoreError::Unknown(_), Some(commit)) = (&error, commit) {
                self.session = None;
                self.decide(&commit).await;
                return Err(error);
            }
            if matches!(error, StoreError::ReadOnly(_) | StoreError::Open(_)) {
                // A session keeps what it began with: another server may have taken over since, or the settings be others.
                self.session = None;
            } else {
                self.recover().await;
            }
            if tries == TRIES || !matches!(error, StoreError::Unavailable(_)) {
                return Err(error);
            }
            tracing::debug!(%error, tries, "a transaction is tried again");
            tokio::time::sleep(jittered(Duration::from_millis(5) * tries)).await;
        }
    }

    /// Nobody knows whether a COMMIT came through. It is over one way or the other when the process that was to carry it out has ended,
    /// or the server says so of its transaction: only then can reading tell.
    async fn decide(&mut self, commit: &CommitsBy) {
        let deadline = Instant::now() + DECIDED_AFTER;
        let mut pause = AGAIN_FIRST;
        while Instant::now() < deadline {
            match self.session().await {
                Ok(session) => match session.is_open(commit).await {
                    Ok(false) => return,
                    Ok(true) => {}
                    Err(_) => self.session = None,
                },
                Err(error) => tracing::debug!(%error, "whether a commit came through is not known yet"),
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(AGAIN_MAX);
        }
    }

    async fn session(&mut self) -> Result<&mut Session, StoreError> {
        if self.session.is_some() && self.address.silence.covers(self.heard_at) {
            tracing::debug!("a connection is made anew, for nothing is heard on another one");
            self.session = None;
        }
        if self.session.is_none() {
            if let Some(failed) = &self.failed
                && Instant::now() < failed.again_at
            {
                return Err(failed.error.clone());
            }
            match Session::connect(&self.address).await {
                Ok(session) => {
                    self.session = Some(session);
                    self.heard_at = Instant::now();
                    self.failed = None;
                }
                Err(error) => {
                    let before = self.failed.as_ref().map(|failed| failed.pause * 2);
                    let pause = before.unwrap_or(AGAIN_FIRST).min(AGAIN_MAX);
                    let again_at = Instant::now() + jittered(pause);
                    self.failed = Some(Failed { error: error.clone(), pause, again_at });
                    return Err(error);
                }
            }
        }
        self.session.as_mut().ok_or_else(|| StoreError::Unavailable("there is no connection".into()))
    }

    /// A connection on which something failed is made whole, or dropped.
    async fn recover(&mut self) {
        if let Some(mut session) = self.session.take()
            && session.undo().await
        {
            self.session = Some(session);
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}
