//! Each statement that the store sends finds its rows by the index that was made for it.

use std::time::Duration;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rusqlite::Connection;

use super::file::{Folder, ask, open, run};
use crate::core::Batch;
use crate::store::conformance::World;
use crate::store::conformance::event::publishing;
use crate::store::conformance::sample::{
    cancel, chain, complete, fail, fail_for_good, fan, lease, lose, release, retry, submit, task, worker,
};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{ClaimRequest, InputRequest, LeaseAct, Page, Store, TaskFilter, Whose};

/// Every statement that was prepared in this process, by its file: other tests may run beside this one.
static PREPARED: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Takes note of a statement.
pub(in crate::store::sqlite) fn note(connection: &Connection, sql: &str) {
    let file = connection.path().unwrap_or_default().to_owned();
    PREPARED.lock().unwrap().entry(file).or_default().insert(sql.split_whitespace().collect::<Vec<_>>().join(" "));
}

/// Calls every method of the store, with one row and with several.
async fn everything(store: &SqliteStore) {
    let mut w = World::new(store);
    events(&mut w).await;
    let pinned = w.pin(fan(3)).await;
    w.pin(chain(2)).await;
    w.transact((1..=5).map(|number| submit(task(number), &pinned)).collect()).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact_with(worker(1), 2, claims[..2].iter().map(complete).collect()).await;
    w.transact_with(worker(1), 0, vec![fail(&claims[2]), lose(&claims[3]), fail_for_good(&claims[4])]).await;
    w.transact(vec![retry(claims[4].task, 1), cancel(claims[2].task, 2)]).await;
    let claims = w.claim(worker(1), 100).await;
    w.one(release(&claims[0])).await.unwrap();
    w.one(fail(&claims[1])).await.unwrap();
    w.pass(1_000_000);
    w.due().await;
    // As many as one statement holds, and more.
    let batch = |commands| Batch { commands, capacity: None, now: Some(w.now) };
    store.transact(batch((100..400).map(|number| submit(task(number), &pinned)).collect())).await.unwrap();
    let claims = store.claim(ClaimRequest { limit: 300, ..w.request(worker(1)) }).await.unwrap().claimed;
    store.transact(batch(claims.iter().map(complete).collect())).await.unwrap();
    for act in [LeaseAct::Renew, LeaseAct::End] {
        store.lease(lease(worker(1), act, w.now)).await.unwrap();
    }
    for whose in [Whose::Worker(worker(1)), Whose::Expired(Some(w.now))] {
        store.claims(whose, 10).await.unwrap();
    }
    for of in [None, Some(vec![task(1), task(2)])] {
        store.overdue(of, Some(w.now), 10).await.unwrap();
    }
    store.workers(Some(w.now)).await.unwrap();
    let results = (0..3).map(tasker_types::StepNumber).collect();
    store
        .inputs(vec![InputRequest { task: task(1), context: true, results, workers_from: None, checkpoint_of: None }])
        .await
        .unwrap();
    store.cancelling(vec![task(1)]).await.unwrap();
    store.find_template("default", "fan", None).await.unwrap();
    store.list_templates().await.unwrap();
    store.find_task(task(1)).await.unwrap();
    let page = Page { before: Some(task(3)), limit: 10 };
    store.list_tasks(TaskFilter::default(), page).await.unwrap();
    for states in [vec![tasker_types::TaskState::Failed], vec![tasker_types::TaskState::Running]] {
        store.list_tasks(TaskFilter { states, ..TaskFilter::default() }, page).await.unwrap();
    }
    let named = |text: &str| Some(text.to_owned());
    for (template, step, error) in [
        (None, None, None),
        (named("fan"), None, named("x")),
        (None, named("step_1"), None),
        (None, named("step_1"), named("x")),
    ] {
        let filter = TaskFilter { template, step, error, ..TaskFilter::default() };
        store.failures(filter.clone(), 10).await.unwrap();
        store.list_tasks(filter.clone(), page).await.unwrap();
        store.list_tasks(TaskFilter { states: vec![tasker_types::TaskState::Running], ..filter }, page).await.unwrap();
    }
    store.tasks_by_prefix("0", 10).await.unwrap();
    store.counts().await.unwrap();
    store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap();
    // What another process stored is read on the way.
    let other = SqliteStore::open(store.path(), Durability::Relaxed).await.unwrap();
    other.find_template("default", "fan", None).await.unwrap();
}

/// What is asked of events and subscribers.
async fn events(w: &mut World<'_, SqliteStore>) {
    use crate::core::SubscriberId;
    use crate::store::{DeliveryReport, DeliveryRequest, FailedDelivery, Subscription};

    let store = w.store;
    for (name, pattern) in [("late", "step.*"), ("late", "*")] {
        let patterns = vec![pattern.to_owned()];
        store.subscribe(Subscription { name: name.into(), patterns, from_oldest: true }, Some(w.now)).await.unwrap();
    }
    let id = w.start(900, publishing(chain(1))).await;
    let claims = w.claim(worker(1), 100).await;
    let claim = claims.iter().find(|claim| claim.task == id).unwrap();
    w.one(complete(claim)).await.unwrap();
    let request = DeliveryRequest {
        subscriber: SubscriberId(1),
        worker: worker(1),
        tasks: 5,
        events: 5,
        behind: None,
        now: Some(w.now),
    };
    let due = store.deliveries(request).await.unwrap();
    let positions: Vec<i64> = due.events.iter().map(|event| event.position).collect();
    let failed = FailedDelivery { position: positions[0], failures: 1, error: "no".to_owned() };
    let report = DeliveryReport { delivered: vec![], failed: vec![failed], waiting: vec![(id, w.now)] };
    store.delivered(SubscriberId(1), report).await.unwrap();
    store
        .delivered(SubscriberId(1), DeliveryReport { delivered: positions, ..DeliveryReport::default() })
        .await
        .unwrap();
    let patterns = vec!["*".to_owned()];
    store.subscribe(Subscription { name: "later".into(), patterns, from_oldest: true }, Some(w.now)).await.unwrap();
    store.unsubscribe("later").await.unwrap();
    store.subscribers().await.unwrap();
    store.events_of(id, None, 10).await.unwrap();
    store.unsubscribe("late").await.unwrap();
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explain = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    explain.raw_query().mapped(|row| row.get("detail")).map(Result::unwrap).collect()
}

/// Statements that may look at every row of a table, each with the reason.
const MAY_SCAN: &[(&str, &str)] = &[
    ("SELECT (SELECT count(*) FROM tasks", "counts what is there, for a person"),
    ("SELECT namespace, name, version, hash", "lists all templates, for a person"),
    ("SELECT t.template, r.number", "groups what failed, by the index of failed tasks and up to a bound, for a person"),
    (
        "SELECT task, number, attempt, claimed_by FROM live_steps",
        "looks for claims of dead workers when a worker starts",
    ),
    (
        "SELECT l.task, l.number, l.attempt, l.claimed_by FROM claim_timeouts",
        "asked of a file for its tasks one by one",
    ),
    ("SELECT incarnation, label, queues", "lists all workers of the last day"),
    ("SELECT DISTINCT name FROM domain_events", "looks for what a new subscriber takes of what was stored before"),
    ("INSERT INTO event_deliveries SELECT", "gives a new subscriber what was stored before"),
    ("SELECT s.name, s.patterns", "counts what subscribers are due, for a person"),
    ("DELETE FROM workers", "there is one a start of a process, of the last day"),
];

/// Statements that may sort, each with the reason.
const MAY_SORT: &[(&str, &str)] = &[
    ("SELECT t.template, r.number", "groups what failed, up to a bound, for a person"),
    ("SELECT s.name, s.patterns", "counts what subscribers are due, for a person"),
    ("SELECT d.position, s.name", "who was not given the events of one task, for a person"),
    ("SELECT DISTINCT name FROM domain_events", "looks for what a new subscriber takes of what was stored before"),
    ("SELECT id, task, number, kind", "the actions of one task"),
    ("SELECT namespace, name, version, hash", "lists all templates, for a person"),
];

/// Statements that may set rows aside, each with the reason.
const MAY_SET_ASIDE: &[(&str, &str)] = &[
    ("INSERT INTO event_deliveries SELECT", "gives a new subscriber what was stored before"),
    (
        "INSERT INTO step_results SELECT",
        "a rerun takes over one result, found by its key, from the table that it goes to",
    ),
];

/// The operations that a statement is made of.
fn operations(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explain = connection.prepare(&format!("EXPLAIN {statement}")).unwrap();
    explain.raw_query().mapped(|row| row.get("opcode")).map(Result::unwrap).collect()
}

fn is_allowed(list: &[(&str, &str)], statement: &str) -> bool {
    list.iter().any(|(start, _)| statement.starts_with(start))
}

/// Whether a line of a plan reads a whole table or index that grows with the number of tasks.
fn scans(line: &str) -> bool {
    let Some(what) = line.strip_prefix("SCAN ") else { return false };
    let small = what == "v"
        || what == "d"
        || what.starts_with("templates")
        || what.starts_with("queues")
        || what.starts_with("event_subscribers")
        || what.starts_with("pragma_");
    !(small || what.starts_with('(') || what.starts_with("CONSTANT ROW") || what.ends_with("VALUES CLAUSE"))
}

fn check_plans(connection: &Connection, statements: &BTreeSet<String>) {
    for statement in statements {
        let lines = plan(connection, statement);
        let told = format!("{statement}\n    {}", lines.join("\n    "));
        let indexes = lines.iter().any(|line| line.contains("AUTOMATIC"));
        assert!(!indexes || is_allowed(MAY_SCAN, statement), "an index is made for one statement:\n{told}");
        let sorts = lines.iter().any(|line| line.contains("TEMP B-TREE"));
        assert!(!sorts || is_allowed(MAY_SORT, statement), "it sorts:\n{told}");
        let scans = lines.iter().any(|line| scans(line));
        assert!(!scans || is_allowed(MAY_SCAN, statement), "it reads a whole table:\n{told}");
        // A list in a CHECK or in a partial index (`state IN (1, 2, 3)`) is one, for each row that is written.
        let writes = !statement.starts_with("SELECT");
        let table_for_a_list = writes && operations(connection, statement).iter().any(|one| one == "OpenEphemeral");
        assert!(
            !table_for_a_list || is_allowed(MAY_SET_ASIDE, statement),
            "a table is made for each of its rows:\n{told}"
        );
        let finds = |index: &str| lines.iter().any(|line| line.contains(index));
        for (start, index) in [
            ("SELECT priority, ready_at, task, number", "live_steps USING INDEX live_steps_"),
            ("SELECT priority FROM live_steps", "live_steps USING INDEX live_steps_claim (queue=?)"),
            ("SELECT min(ready_at) FROM live_steps", "USING COVERING INDEX live_steps_due"),
            ("SELECT task, number FROM live_steps WHERE state = 3", "USING COVERING INDEX live_steps_due (ready_at<?)"),
            ("SELECT t.template, r.number", "USING INDEX tasks_failed"),
            ("SELECT t.template, r.number", "SEARCH r USING PRIMARY KEY (task=?"),
            ("UPDATE live_steps", "live_steps USING PRIMARY KEY (task=? AND number=?)"),
            ("DELETE FROM live_steps WHERE task = ? AND number", "live_steps USING PRIMARY KEY (task=? AND number=?)"),
            (
                "SELECT due_at, position, task FROM event_deliveries",
                "event_deliveries_due (subscriber=? AND (due_at,position)>(?,?) AND due_at<?)",
            ),
            ("SELECT d.position, d.failures", "event_deliveries_task"),
            ("UPDATE event_deliveries INDEXED", "event_deliveries_task"),
            ("UPDATE tasks", "tasks USING PRIMARY KEY (id=?)"),
        ] {
            assert!(!statement.starts_with(start) || finds(index), "it does not use {index}:\n{told}");
        }
        let by_task = statement.contains("EXISTS (SELECT 1 FROM step_results");
        assert!(!by_task || finds("SEARCH r EXISTS USING PRIMARY KEY (task=?"), "it does not go task by task:\n{told}");
    }
}

#[tokio::test]
async fn each_statement_uses_the_index_that_was_made_for_it() {
    let (store, folder): (SqliteStore, Folder) = open().await;
    everything(&store).await;
    let file = folder.connect().path().unwrap().to_owned();
    let mut statements = PREPARED.lock().unwrap()[&file].clone();
    statements.retain(|statement| {
        let own = !statement.contains("tasker_migrations") && !statement.contains("sqlite_");
        own && ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.starts_with(verb))
    });
    assert!(statements.len() > 40, "{} statements were seen", statements.len());
    for (start, ..) in MAY_SCAN.iter().chain(MAY_SORT) {
        assert!(statements.iter().any(|statement| statement.starts_with(start)), "none is {start}");
    }
    let mut connection = folder.connect();
    check_plans(&connection, &statements);

    // Whoever runs ANALYZE on a small database has SQLite believe that every table is small, until it is opened again.
    run(&mut connection, "ANALYZE");
    assert_eq!(plan(&folder.connect(), "SELECT * FROM sqlite_stat1"), ["SCAN sqlite_stat1"]);
    drop(connection);
    let again = SqliteStore::open(folder.database(), Durability::Relaxed).await.unwrap();
    for statement in &statements {
        let planned = ask(&again, &format!("EXPLAIN QUERY PLAN {statement}")).await;
        assert_eq!(planned, plan(&folder.connect(), statement), "{statement}");
    }
    check_plans(&folder.connect(), &statements);
}
