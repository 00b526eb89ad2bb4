//! The server itself is killed, restarted, and not there: what was acknowledged is there when it is back.

use tasker_runtime::store::postgres::PostgresStore;
use tasker_runtime::store::sqlite::Durability;

use crate::checker::Evidence;
use crate::child::{Place, Worker};
use crate::client::Client;
use crate::dice::{Dice, times};
use crate::kill::progress;
use crate::server::Server;

const WORKERS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_loses_nothing() {
    let Some(mut server) = Server::make() else { return };
    let (mut dice, kills) = (Dice::cast(), times("TASKER_SERVER_KILLS", 3));
    server.start().await;
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &server.url());
    let client = Client::start(&place, "dag", 24).await;
    let workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    for _ in 0..kills {
        progress(&place, dice.ms(50, 800)).await;
        server.kill();
        server.start().await;
    }
    Evidence::conclude(&place, client, workers).await;
    println!("{kills} kills of the server");
    let recovered = server.log().matches("database system was not properly shut down").count();
    assert!(recovered >= kills, "of {kills} kills, the server had to recover from {recovered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_again_and_again_loses_nothing() {
    let Some(mut server) = Server::make() else { return };
    let mut dice = Dice::cast();
    server.start().await;
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &server.url());
    let client = Client::start(&place, "dag", 24).await;
    let workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    for _ in 0..times("TASKER_RESTARTS", 2) {
        for mode in ["fast", "immediate"] {
            progress(&place, dice.ms(50, 500)).await;
            server.stop(mode);
            tokio::time::sleep(dice.ms(0, 500)).await;
            server.start().await;
        }
    }
    Evidence::conclude(&place, client, workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_at_the_start_is_told_and_found_when_it_is_there() {
    let Some(mut server) = Server::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = Place::server(directory.path(), &server.url());
    let refused = PostgresStore::open(&server.url(), Durability::Full).await.unwrap_err();
    assert_eq!(refused.code(), "D001");
    assert!(refused.to_string().contains("start the server, or check host and port"), "{refused}");
    let worker = Worker::start(&place);
    server.start().await;
    let client = Client::start(&place, "dag", 4).await;
    progress(&place, std::time::Duration::ZERO).await;
    Evidence::conclude(&place, client, vec![worker]).await;
}
