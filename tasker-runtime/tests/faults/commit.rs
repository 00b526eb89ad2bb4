//! Connections that are lost before, during and after a COMMIT, and networks that reset, delay and fall silent.

use std::time::Duration;

use crate::checker::Evidence;
use crate::child::{Place, Worker, until};
use crate::client::Client;
use crate::dice::{Dice, times};
use crate::kill::progress;
use crate::proxy::{Proxy, Way};
use crate::server::{Database, address, through};

const WORKERS: usize = 3;
/// Tasks that end when everything is well again.
const TASKS: usize = 20;
/// How many of a hundred commits lose their connection.
const PERCENT: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_whose_connections_are_lost_lose_and_double_nothing() {
    let Some(database) = Database::find().await else { return };
    let (mut dice, wanted) = (Dice::cast(), times("TASKER_COMMITS", 25));
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(address(&database.url()), dice.fork()).await;
    let direct = Place::server(directory.path(), &database.url());
    let place = Place::server(directory.path(), &through(&database.url(), proxy.port));
    let client = Client::start(&place, "dag", 48).await;
    let workers: Vec<Worker> = (0..2 * WORKERS).map(|_| Worker::start(&place)).collect();
    progress(&place, Duration::ZERO).await;
    proxy.cut(PERCENT);
    // Those of which the server has heard: whether they came through, the client cannot know.
    let ambiguous = || proxy.cuts()[1..].iter().sum::<usize>();
    let mut so_far = 0;
    while so_far < wanted {
        until("more commits are cut off", async || ambiguous() > so_far).await;
        so_far = ambiguous();
    }
    proxy.cut(0);
    let evidence = Evidence::conclude(&direct, client, workers).await;
    let [before, during, after] = proxy.cuts();
    println!("connections lost: {before} before COMMIT, {during} during and {after} after it; {evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_resets_delays_and_falls_silent_loses_nothing() {
    let Some(database) = Database::find().await else { return };
    let mut dice = Dice::cast();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(address(&database.url()), dice.fork()).await;
    let direct = Place::server(directory.path(), &database.url());
    let place = Place::server(directory.path(), &through(&database.url(), proxy.port));
    let client = Client::start(&place, "dag", 24).await;
    let workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    for _ in 0..times("TASKER_NETWORKS", 2) {
        for (way, lasts) in [
            (Way::Reset, dice.ms(0, 400)),
            (Way::Delay(dice.ms(1, 30)), dice.ms(300, 1_000)),
            (Way::HalfOpen, dice.ms(500, 2_500)),
        ] {
            progress(&place, dice.ms(0, 300)).await;
            proxy.set(way);
            tokio::time::sleep(lasts).await;
            proxy.set(Way::Pass);
        }
    }
    Evidence::conclude(&direct, client, workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: `cargo xtask faults` runs it"]
async fn connections_of_which_nothing_is_heard_any_more_are_given_up() {
    let Some(database) = Database::find().await else { return };
    let mut dice = Dice::cast();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(address(&database.url()), dice.fork()).await;
    let direct = Place::server(directory.path(), &database.url());
    let place = Place::server(directory.path(), &through(&database.url(), proxy.port));
    let client = Client::start(&place, "dag", 24).await;
    let workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::start(&place)).collect();
    progress(&place, dice.ms(0, 300)).await;
    proxy.set(Way::Silent);
    let before = client.ended();
    until("tasks end again", async || client.ended() > before + TASKS).await;
    Evidence::conclude(&direct, client, workers).await;
}
