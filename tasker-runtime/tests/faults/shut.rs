//! Databases that take nothing for a while: those that cannot be written, and those that let nobody in.

use std::time::Duration;

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::Client;
use crate::server::{Database, shared, sql};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_nothing_for_a_while_loses_nothing() {
    let Some(database) = Database::find().await else { return };
    let (server, url) = (shared().unwrap(), database.url());
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &url);
    let client = Client::start(&place, "dag", 24).await;
    let workers = vec![Worker::start(&place), Worker::start(&place)];
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
    let held = || log().matches("outcomes could not be recorded").count();
    for (shut, open, told) in [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only", "read-only"),
        ("WITH ALLOW_CONNECTIONS false", "WITH ALLOW_CONNECTIONS true", "cannot open the database"),
    ] {
        let (before, held_before) = (client.ended(), held());
        until("tasks end", async || client.ended() > before + 10).await;
        sql(&server, &format!("ALTER DATABASE {name} {shut}")).await;
        sql(&server, &end).await;
        until("outcomes are held", async || held() > held_before && log().contains(told)).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Sessions that are there stay as they are.
        sql(&server, &format!("ALTER DATABASE {name} {open}")).await;
    }
    let before = client.ended();
    until("tasks end again", async || client.ended() > before + 10).await;
    Evidence::conclude(&place, client, workers).await;
}
