//! Bugs that are planted in a client: what became of a commit without an answer is told wrongly, and that is found.

use serde_json::json;
use tasker_runtime::plant::{Bug, plant};

use crate::checker::{Evidence, Finding};
use crate::child::Place;
use crate::client::{History, request};
use crate::dice::Dice;
use crate::journal::Pen;
use crate::proxy::Proxy;
use crate::server::{Database, address, through};
use crate::workflow::add_templates;

/// Commits that lose their connection, of a hundred; and how many the server has had then, which is enough.
const PERCENT: u64 = 50;
const ENOUGH: usize = 4;

/// What is found of a client with this bug. That nobody runs its tasks is not what it is about.
async fn findings(bug: Option<Bug>) -> Option<Vec<Finding>> {
    let database = Database::find().await?;
    plant(bug);
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(address(&database.url()), Dice::cast()).await;
    let place = Place::server(directory.path(), &through(&database.url(), proxy.port));
    let (engine, mut history) = (place.engine(1).await, History::default());
    add_templates(&engine).await;
    proxy.cut(PERCENT);
    for number in 0.. {
        let name = format!("request-{number}");
        match engine.submit(request("dag", &name, json!({}))).await {
            Ok(task) => history.accepted.push((name, task)),
            Err(error) => history.refused.push((name, error.code())),
        }
        if proxy.cuts()[1..].iter().sum::<usize>() >= ENOUGH {
            break;
        }
    }
    proxy.cut(0);
    let direct = Place::server(directory.path(), &database.url());
    let evidence = Evidence::gather(&*direct.store().await, &Pen::of(directory.path()), history).await;
    let found = evidence.check().into_iter().filter(|finding| !matches!(finding, Finding::Stuck(_)));
    Some(found.collect())
}

#[tokio::test]
async fn a_client_that_tells_the_wrong_end_of_a_commit_is_found() {
    let Some(clean) = findings(None).await else { return };
    assert_eq!(clean, []);
    for bug in [Bug::UnknownTakenForFailed, Bug::UnknownSentBlindly] {
        let found = findings(Some(bug)).await.unwrap();
        assert!(found.iter().any(|finding| matches!(finding, Finding::Double(_))), "{bug:?}: {found:?}");
    }
}
