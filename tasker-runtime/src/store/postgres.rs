//! PostgreSQL, for many processes: a few connections that are each owned by a task, READ COMMITTED, row locks in the
//! order of ids.

mod address;
mod claim;
mod common;
mod error;
mod event;
mod facts;
mod filter;
mod lane;
mod load;
mod message;
mod notify;
mod prune;
mod read;
mod rows;
mod schema;
mod session;
mod templates;
#[cfg(test)]
mod tests;
mod transact;
mod workers;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tasker_types::{TaskId, TaskState, Timestamp, WorkerId};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::address::Address;
pub use self::facts::Facts;
use self::lane::Lanes;
use self::notify::{EVENTS, Notifier, OTHER, READY};
use self::session::Session;
use self::templates::Templates;
pub use super::Durability;
use super::contract::LIFECYCLE;
use super::{
    ClaimRequest, Claims, Committed, Counts, Deliveries, DeliveryReport, DeliveryRequest, Due, EventView, FailureGroup,
    Hints, InputRequest, LeaseRequest, Leased, ListedTask, Page, Queue, StepInput, Store, StoreError, StoredTemplate,
    SubscriberView, Subscription, TaskFilter, TaskView, Whose, WorkerView,
};
use crate::core::{Act, Batch, Command, Dump, Pinned, ResolvedTemplate, StepRef, SubscriberId};
use crate::pause::jittered;

/// Connections that batches are written on: two gave 1.4 to 1.6 times as many steps as one, three a little more than two.
const COMMITTERS: usize = 3;
/// Each commit has its price, so a batch beside another one is not a handful: with two on their way the rate was 1.3 times
/// that of one after the other.
const BESIDE_MIN: usize = 40;
const READERS: usize = 2;
/// How often a lease can be tried to be renewed while it lasts; and how long each try takes, at least and at most.
const LEASE_TRIES: u32 = 4;
const LEASE_PATIENCE_MIN: Duration = Duration::from_secs(1);
const LEASE_PATIENCE_MAX: Duration = Duration::from_secs(10);
/// How often the store looks for what other processes wrote: at most, and where they can be heard. An idle worker asks
/// this, and whether its lease still holds: less than one statement a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_WHERE_HEARD: Duration = Duration::from_secs(3);

/// A database on a PostgreSQL server.
#[derive(Debug)]
pub struct PostgresStore {
    address: Address,
    committers: Lanes,
    /// Claims and upkeep: they never wait behind a batch.
    upkeep: Lanes,
    readers: Lanes,
    /// Made by the first call that concerns a lease.
    leases: Mutex<Option<Lanes>>,
    /// Made by the first call that concerns a subscriber.
    events: OnceLock<Lanes>,
    templates: Arc<Templates>,
    notifier: Notifier,
    hearing: OnceLock<Option<(watch::Receiver<Hints>, AbortHandle)>>,
    looks: Mutex<Looks>,
}

/// When the store looks again for what other processes wrote, and what it saw last.
#[derive(Debug)]
struct Looks {
    version: i64,
    next_at: Instant,
    seen: read::Waiting,
}

impl PostgresStore {
    /// Connects to the server and brings the schema `tasker` up to date.
    ///
    /// # Errors
    /// The URL says nothing, the server is away or lets this user not in, rights are missing, or the schema is newer
    /// than this binary. The message says what to do, and never shows the password.
    pub async fn open(url: &str, durability: Durability) -> Result<Self, StoreError> {
        let address = Address::parse(url, durability)?;
        prepare(&address).await.map_err(|error| named(&address, error))?;
        Ok(Self {
            committers: Lanes::start(&address, COMMITTERS),
            upkeep: Lanes::start(&address, 1),
            readers: Lanes::start(&address, READERS),
            leases: Mutex::default(),
            events: OnceLock::new(),
            templates: Arc::new(Templates::default()),
            notifier: Notifier::new(&address),
            address,
            hearing: OnceLock::new(),
            looks: Mutex::new(Looks {
                version: 0,
                next_at: Instant::now() + jittered(LOOK_EVERY),
                seen: read::Waiting::default(),
            }),
        })
    }

    /// Where this URL leads, without its password.
    ///
    /// # Errors
    /// The URL says nothing, or has a parameter that means nothing here.
    pub fn shown(url: &str) -> Result<String, StoreError> {
        Ok(Address::parse(url, Durability::Full)?.to_string())
    }

    /// Where the database is, without the password.
    #[must_use]
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    /// Closes the connections when everything is done that was asked for.
    ///
    /// # Errors
    /// It was closed before. Nothing that was acknowledged is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.notifier.close().await;
        self.committers.close().await?;
        self.upkeep.close().await?;
        self.readers.close().await?;
        if let Some(leases) = self.known_leases() {
            leases.close().await?;
        }
        if let Some(events) = self.events.get() {
            events.close().await?;
        }
        Ok(())
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_leases(&self) -> Option<Lanes> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn leases(&self) -> Result<Lanes, StoreError> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*leases {
            return Ok(known.clone());
        }
        let lanes = Lanes::apart(&self.address)
            .map_err(|error| StoreError::Open(format!("the thread for leases cannot be started: {error}")))?;
        Ok(leases.insert(lanes).clone())
    }

    /// A connection of its own: events never wait behind a batch, nor claims behind events.
    fn events(&self) -> &Lanes {
        self.events.get_or_init(|| Lanes::start(&self.address, 1))
    }

    /// What the server and the schema say of themselves.
    ///
    /// # Errors
    /// The server is away.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        self.readers.run(|session| Box::pin(facts::read(session))).await
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if let Some(Some((_, listening))) = self.hearing.get() {
            listening.abort();
        }
    }
}

/// Checks the server, and brings the schema up to date.
async fn prepare(address: &Address) -> Result<(), StoreError> {
    let mut session = Session::connect(address).await?;
    schema::check_server(&mut session).await?;
    schema::migrate(&mut session).await?;
    session.close().await;
    Ok(())
}

/// The error with the place of the database.
fn named(address: &Address, error: StoreError) -> StoreError {
    let with_place = |text: &dyn fmt::Display| format!("{address}: {text}");
    match error {
        StoreError::Open(text) | StoreError::Corrupt(text) => StoreError::Open(with_place(&text)),
        StoreError::Unavailable(text) => StoreError::Unavailable(with_place(&text)),
        other => other,
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn transact(&self, batch: Batch) -> Result<Committed, StoreError> {
        let templates = self.templates.clone();
        // What the others find out by looking alone: a task that is being cancelled, and one that starts later.
        let changes = batch.commands.iter().any(|command| match command {
            Command::Act { act, .. } => *act == Act::Cancel,
            Command::Submit(new) => !new.start.is_now(),
            _ => false,
        });
        let committed = self
            .committers
            .run(move |session| {
                let (templates, batch) = (templates.clone(), batch.clone());
                Box::pin(async move { transact::transact(session, &templates, &batch).await })
            })
            .await?;
        let said = [(committed.ready > 0, READY), (changes, OTHER), (committed.events > 0, EVENTS)];
        self.notifier.hint(said.iter().filter(|(holds, _)| *holds).fold(0, |flags, (_, flag)| flags | flag));
        Ok(committed)
    }

    fn batches_at_once(&self) -> usize {
        COMMITTERS
    }

    fn smallest_beside(&self) -> usize {
        BESIDE_MIN
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        let templates = self.templates.clone();
        self.upkeep
            .run(move |session| {
                let (templates, request) = (templates.clone(), request.clone());
                Box::pin(async move { claim::claim(session, &templates, &request).await })
            })
            .await
    }

    async fn due(&self, now: Option<Timestamp>) -> Result<Due, StoreError> {
        let due = self.upkeep.run(move |session| Box::pin(claim::due(session, now))).await?;
        self.notifier.hint(if due.ready > 0 { READY } else { 0 });
        Ok(due)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let request = Arc::new(request);
        self.leases()?
            .run(move |session| {
                let request = request.clone();
                Box::pin(async move {
                    // A connection of which nothing is heard any more must not use up the time that the lease lasts:
                    // the next try has another one.
                    let patience = (request.lease / LEASE_TRIES).clamp(LEASE_PATIENCE_MIN, LEASE_PATIENCE_MAX);
                    tokio::time::timeout(patience, workers::lease(session, &request)).await.unwrap_or_else(|_| {
                        Err(StoreError::Unknown(format!("the server did not answer within {patience:?}")))
                    })
                })
            })
            .await
    }

    async fn claims(&self, whose: Whose, limit: u32) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        self.readers.run(move |session| Box::pin(workers::claims(session, whose, limit))).await
    }

    async fn overdue(
        &self,
        of: Option<Vec<TaskId>>,
        now: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<(StepRef, u32, WorkerId)>, StoreError> {
        let of: Option<Arc<[TaskId]>> = of.map(Into::into);
        self.readers
            .run(move |session| {
                let of = of.clone();
                Box::pin(async move { workers::overdue(session, of.as_deref(), now, limit).await })
            })
            .await
    }

    async fn workers(&self, now: Option<Timestamp>) -> Result<Vec<WorkerView>, StoreError> {
        self.readers.run(move |session| Box::pin(workers::workers(session, now))).await
    }

    async fn inputs(&self, wanted: Vec<InputRequest>) -> Result<Vec<StepInput>, StoreError> {
        let (templates, wanted) = (self.templates.clone(), Arc::new(wanted));
        self.readers
            .run(move |session| {
                let (templates, wanted) = (templates.clone(), wanted.clone());
                Box::pin(async move { read::inputs(session, &templates, &wanted).await })
            })
            .await
    }

    async fn cancelling(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskId>, StoreError> {
        let tasks: Arc<[TaskId]> = tasks.into();
        self.readers
            .run(move |session| {
                let tasks = tasks.clone();
                Box::pin(async move { read::cancelling(session, &tasks).await })
            })
            .await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.readers.run(|session| Box::pin(templates::all_queues(session))).await
    }

    async fn pin(&self, template: ResolvedTemplate, now: Timestamp) -> Result<Arc<Pinned>, StoreError> {
        let (templates, template) = (self.templates.clone(), Arc::new(template));
        let pinned = self
            .upkeep
            .run(move |session| {
                let (templates, template) = (templates.clone(), template.clone());
                Box::pin(async move { templates.pin(session, &template, now).await })
            })
            .await?;
        self.notifier.hint(OTHER);
        Ok(pinned)
    }

    async fn find_template(
        &self,
        namespace: &str,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Arc<Pinned>>, StoreError> {
        let wanted = Arc::new((namespace.to_owned(), name.to_owned(), version.map(str::to_owned)));
        let templates = self.templates.clone();
        self.readers
            .run(move |session| {
                let (templates, wanted) = (templates.clone(), wanted.clone());
                Box::pin(async move {
                    let (namespace, name, version) = &*wanted;
                    let found = read::template_named(session, namespace, name, version.as_deref()).await?;
                    let Some(id) = found else { return Ok(None) };
                    session.begin_read().await?;
                    let pinned = templates.by_id(session, id).await?;
                    session.end_read().await?;
                    Ok(Some(pinned))
                })
            })
            .await
    }

    async fn list_templates(&self) -> Result<Vec<StoredTemplate>, StoreError> {
        self.readers.run(|session| Box::pin(read::list_templates(session))).await
    }

    async fn with_lifecycle(&self) -> Result<Vec<Arc<Pinned>>, StoreError> {
        let templates = self.templates.clone();
        self.readers
            .run(move |session| {
                let templates = templates.clone();
                Box::pin(async move {
                    session.begin_read().await?;
                    let mut all = Vec::new();
                    for id in read::templates_that_name(session, LIFECYCLE).await? {
                        let pinned = templates.by_id(session, id).await?;
                        all.extend(pinned.template.lifecycle.is_some().then_some(pinned));
                    }
                    session.end_read().await?;
                    Ok(all)
                })
            })
            .await
    }

    async fn task_state(&self, task: TaskId) -> Result<Option<TaskState>, StoreError> {
        self.readers.run(move |session| Box::pin(read::task_state(session, task))).await
    }

    async fn find_task(&self, task: TaskId) -> Result<Option<TaskView>, StoreError> {
        let templates = self.templates.clone();
        self.readers
            .run(move |session| {
                let templates = templates.clone();
                Box::pin(async move { read::find_task(session, &templates, task).await })
            })
            .await
    }

    async fn list_tasks(&self, filter: TaskFilter, page: Page) -> Result<Vec<ListedTask>, StoreError> {
        let (templates, filter) = (self.templates.clone(), Arc::new(filter));
        self.readers
            .run(move |session| {
                let (templates, filter) = (templates.clone(), filter.clone());
                Box::pin(async move { read::list_tasks(session, &templates, &filter, page).await })
            })
            .await
    }

    async fn failures(&self, filter: TaskFilter, limit: u32) -> Result<Vec<FailureGroup>, StoreError> {
        let (templates, filter) = (self.templates.clone(), Arc::new(filter));
        self.readers
            .run(move |session| {
                let (templates, filter) = (templates.clone(), filter.clone());
                Box::pin(async move { read::failures(session, &templates, &filter, limit).await })
            })
            .await
    }

    async fn tasks_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<TaskId>, StoreError> {
        let prefix: Arc<str> = prefix.into();
        self.readers
            .run(move |session| {
                let prefix = prefix.clone();
                Box::pin(async move { read::tasks_by_prefix(session, &prefix, limit).await })
            })
            .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.readers.run(|session| Box::pin(read::counts(session))).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        let heard = self.hearing.get().is_some_and(Option::is_some);
        let pause = if heard { LOOK_WHERE_HEARD } else { LOOK_EVERY };
        {
            let mut looks = self.looks();
            if Instant::now() < looks.next_at {
                return Ok(looks.version);
            }
            looks.next_at = Instant::now() + jittered(pause);
        }
        let waiting = self.readers.run(|session| Box::pin(read::waiting(session))).await?;
        let mut looks = self.looks();
        looks.version += i64::from(waiting.is_to_be_done || waiting != looks.seen);
        looks.seen = waiting;
        if waiting.is_to_be_done {
            looks.next_at = looks.next_at.min(Instant::now() + jittered(LOOK_EVERY));
        }
        Ok(looks.version)
    }

    fn tells_what_waits(&self) -> bool {
        true
    }

    fn hints(&self) -> Option<watch::Receiver<Hints>> {
        self.hearing.get_or_init(|| self.notifier.listen()).as_ref().map(|(hints, _)| hints.clone())
    }

    async fn settled(&self) -> Result<(), StoreError> {
        self.committers.settled().await?;
        self.upkeep.settled().await?;
        if let Some(leases) = self.known_leases() {
            leases.settled().await?;
        }
        if let Some(events) = self.events.get() {
            events.settled().await?;
        }
        self.readers.settled().await
    }

    async fn subscribe(&self, subscription: Subscription, now: Option<Timestamp>) -> Result<SubscriberId, StoreError> {
        let subscription = Arc::new(subscription);
        let run = self.events().run(move |session| {
            let subscription = subscription.clone();
            Box::pin(async move { event::subscribe(session, &subscription, now).await })
        });
        run.await
    }

    async fn unsubscribe(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let name: Arc<str> = name.into();
        let run = self.events().run(move |session| {
            let name = name.clone();
            Box::pin(async move { event::unsubscribe(session, &name).await })
        });
        run.await
    }

    async fn subscribers(&self) -> Result<Vec<SubscriberView>, StoreError> {
        self.readers.run(|session| Box::pin(event::subscribers(session))).await
    }

    async fn deliveries(&self, request: DeliveryRequest) -> Result<Deliveries, StoreError> {
        let templates = self.templates.clone();
        let run = self.events().run(move |session| {
            let templates = templates.clone();
            Box::pin(async move { event::deliveries(session, &templates, &request).await })
        });
        run.await
    }

    async fn delivered(&self, subscriber: SubscriberId, report: DeliveryReport) -> Result<(), StoreError> {
        let report = Arc::new(report);
        let run = self.events().run(move |session| {
            let report = report.clone();
            Box::pin(async move { event::delivered(session, subscriber, &report).await })
        });
        run.await
    }

    async fn events_of(&self, task: TaskId, after: Option<i64>, limit: u32) -> Result<Vec<EventView>, StoreError> {
        self.readers.run(move |session| Box::pin(event::of_task(session, task, after, limit))).await
    }

    async fn prune(&self, kept: Duration, limit: u32, now: Option<Timestamp>) -> Result<u64, StoreError> {
        self.upkeep.run(move |session| Box::pin(prune::prune(session, kept, limit, now))).await
    }

    async fn dump(&self, after: Option<TaskId>, limit: u32) -> Result<Dump, StoreError> {
        let templates = self.templates.clone();
        self.readers
            .run(move |session| {
                let templates = templates.clone();
                Box::pin(async move { read::dump(session, &templates, after, limit).await })
            })
            .await
    }
}
