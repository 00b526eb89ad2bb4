//! Every notification is lost on a server that takes LISTEN: who polls is hardly late, and who goes by hints looks now and then.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::postgres::PgListener;
use tasker_runtime::engine::{Engine, WakeUp};
use tasker_runtime::event::EventRegistry;
use tasker_types::TaskState;

use crate::child::{Place, until};
use crate::client::request;
use crate::server::{Database, connect, sql};
use crate::workflow::{add_templates, registry};

/// A function that is found before the server's own one, and says nothing.
const MUTE: &str = "
CREATE SCHEMA mute;
CREATE FUNCTION mute.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = mute, pg_catalog', current_database());
END $$";
const UNMUTE: &str = "DROP FUNCTION mute.pg_notify";
/// A store looks every 3 seconds where it could hear the others; the rest is for a machine with much to do.
const BY_LOOKING: Duration = Duration::from_secs(15);
/// A worker that goes by hints looks every half a minute.
const BY_A_RARE_LOOK: Duration = Duration::from_secs(50);
/// Well under that for several tasks.
const BY_HINTS: Duration = Duration::from_secs(10);
/// How long it is waited for what is not to come.
const SILENCE: Duration = Duration::from_millis(500);

/// A database of which each session is mute, a process that submits, one that works, and somebody who listens.
struct Scene {
    database: Database,
    client: Engine,
    worker: Engine,
    ears: PgListener,
    submitted: u32,
}

impl Scene {
    async fn start(folder: &Path, wake_up: WakeUp) -> Option<Self> {
        let database = Database::find().await?;
        sql(&database.url(), MUTE).await;
        let mut ears = PgListener::connect(&database.url()).await.unwrap();
        ears.listen("tasker").await.unwrap();
        let place = Place::server(folder, &database.url());
        let client = place.engine(1).await;
        add_templates(&client).await;
        let worker = place.engine_with(2, registry(folder), EventRegistry::default(), wake_up).await;
        worker.start_worker().await.unwrap();
        if wake_up != WakeUp::PollingOnly {
            // Whoever begins to listen looks at all that may have been said before.
            until("the worker listens", async || listeners(&database).await == 2).await;
        }
        Some(Self { database, client, worker, ears, submitted: 0 })
    }

    /// How long it takes until a task of the one process was run by the other.
    async fn run(&mut self) -> Duration {
        self.submitted += 1;
        let name = format!("task-{}", self.submitted);
        let began = Instant::now();
        let task = self.client.submit(request("innocent", &name, json!({}))).await.unwrap();
        let state = async || self.client.store().task_state(task).await.unwrap();
        until("the task is run", async || state().await == Some(TaskState::Completed)).await;
        began.elapsed()
    }

    async fn hears_something(&mut self) -> bool {
        tokio::time::timeout(SILENCE, self.ears.recv()).await.is_ok_and(|heard| heard.is_ok())
    }

    async fn stop(self) {
        self.worker.stop().await;
        self.client.stop().await;
    }
}

/// How many sessions listen.
async fn listeners(database: &Database) -> i64 {
    let mut connection = connect(&database.url()).await.unwrap();
    let listening =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'";
    sqlx::query_scalar(listening).fetch_one(&mut connection).await.unwrap()
}

/// Tasks are found in time by whoever looks for them.
async fn are_found_by_looking(wake_up: WakeUp) {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut scene) = Scene::start(directory.path(), wake_up).await else { return };
    for _ in 0..4 {
        let took = scene.run().await;
        println!("{wake_up:?}, and nothing is said: {took:?}");
        assert!(took < BY_LOOKING, "{took:?}");
    }
    assert!(!scene.hears_something().await, "something was said after all");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_which_nothing_is_said_is_found_by_who_listens_and_polls() {
    are_found_by_looking(WakeUp::Hybrid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_which_nothing_is_said_is_found_by_who_only_polls() {
    are_found_by_looking(WakeUp::PollingOnly).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_which_nothing_is_said_is_found_by_the_rare_look_of_who_only_listens() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut scene) = Scene::start(directory.path(), WakeUp::EventDrivenOnly).await else { return };
    let took = scene.run().await;
    println!("nothing is said: {took:?}");
    assert!(took < BY_A_RARE_LOOK, "{took:?}");
    assert!(!scene.hears_something().await, "something was said after all");

    sql(&scene.database.url(), UNMUTE).await;
    let began = Instant::now();
    for _ in 0..5 {
        println!("it is said: {:?}", scene.run().await);
        let took = began.elapsed();
        assert!(took < BY_HINTS, "nobody was woken: {took:?}");
    }
    assert!(scene.hears_something().await);
    scene.stop().await;
}
