//! How far a step has come is kept for its next attempt.

use std::time::Duration;

use std::sync::Arc;

use serde_json::{Value, json};
use tasker_types::{StepNumber, StepState, TaskId};

use super::World;
use super::sample::{chain, checkpoint, complete, fail, fail_for_good, lose, release, retry, task, worker};
use crate::core::{Claimed, Refusal};
use crate::store::{InputRequest, Store};

/// What the next attempt of a step is given.
async fn given(store: &dyn Store, task: TaskId, number: u32) -> Option<Arc<Value>> {
    let checkpoint_of = Some(StepNumber(number));
    let wanted = InputRequest { task, context: false, results: vec![], workers_from: None, checkpoint_of };
    let mut given = store.inputs(vec![wanted]).await.unwrap();
    given.remove(0).checkpoints.remove(&StepNumber(number))
}

async fn again(w: &mut World<'_, dyn Store + '_>) -> Claimed {
    w.pass(60_000);
    w.due().await;
    w.claim_one(worker(1)).await
}

pub async fn a_checkpoint_is_given_to_the_next_attempt(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(2)).await;
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(given(store, id, 0).await, None);
    w.one(checkpoint(&claim, r#"{"last_cursor":100}"#)).await.unwrap();
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&json!({ "last_cursor": 100 })));
    assert_eq!(given(store, id, 1).await, None, "it is that of its step alone");
    w.one(fail(&claim)).await.unwrap();
    let claim = again(&mut w).await;
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&json!({ "last_cursor": 100 })));
    w.one(checkpoint(&claim, "250")).await.unwrap();
    w.one(lose(&claim)).await.unwrap();
    let claim = again(&mut w).await;
    w.one(release(&claim)).await.unwrap();
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&json!(250)));
    let [row] = &w.rows.checkpoints[..] else { panic!("one row a step: {:?}", w.rows.checkpoints) };
    assert_eq!((row.task, row.number, row.attempt, &*row.value), (id, StepNumber(0), 2, "250"));
}

pub async fn the_last_checkpoint_of_a_batch_counts(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let saves = ["1", "2", "3"].map(|value| checkpoint(&claim, value));
    let committed = w.transact([&saves[..], &[fail(&claim)], &saves[..1]].concat()).await;
    let refused = Refusal::Stale { task: id, number: StepNumber(0), attempt: 1 };
    assert!(committed.replies[..4].iter().all(Result::is_ok));
    assert_eq!(committed.replies[4], Err(refused));
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&json!(3)));
}

pub async fn a_checkpoint_stays_when_its_step_is_over_and_goes_with_its_task(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(checkpoint(&claim, "7")).await.unwrap();
    w.one(fail_for_good(&claim)).await.unwrap();
    w.one(retry(id, 1)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&json!(7)), "a retry by an operator goes on from it");
    w.one(complete(&claim)).await.unwrap();
    let view = store.find_task(id).await.unwrap().unwrap();
    let shown = view.steps[0].checkpoint.as_ref().unwrap();
    assert_eq!((shown.attempt, &shown.value), (1, &json!(7)));
    w.pass(10);
    assert_eq!(store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap(), 1);
    w.look(0).await;
    assert_eq!(given(store, id, 0).await, None);
    assert!(w.rows.checkpoints.is_empty());
}

pub async fn a_late_checkpoint_changes_nothing(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let late = w.claim_one(worker(1)).await;
    w.one(checkpoint(&late, "1")).await.unwrap();
    w.one(lose(&late)).await.unwrap();
    let stale = |attempt| Err(Refusal::Stale { task: id, number: StepNumber(0), attempt });
    assert_eq!(w.one(checkpoint(&late, "2")).await, stale(1), "nobody holds the claim");
    let claim = w.claim_one(worker(2)).await;
    assert_eq!(w.one(checkpoint(&late, "3")).await, stale(1), "another attempt holds it");
    let before = w.rows.clone();
    w.pass(10);
    w.one(checkpoint(&claim, "4")).await.unwrap();
    assert_eq!((&w.rows.live, &w.rows.tasks), (&before.live, &before.tasks), "nothing else moves");
    w.one(complete(&claim)).await.unwrap();
    assert_eq!(w.one(checkpoint(&claim, "5")).await, stale(2), "the step is over");
    assert_eq!((&*w.rows.checkpoints[0].value, w.states(id)[0]), ("4", StepState::Completed));
    let stranger = Claimed { task: task(9), ..claim };
    assert_eq!(w.one(checkpoint(&stranger, "6")).await, Err(Refusal::NoTask(task(9))));
}

pub async fn a_large_checkpoint_is_given_back_as_it_was(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    let value =
        json!({ "text": "quotes ' \" \\, lines \r\n, 你好 🦀".repeat(1_000), "numbers": [u64::MAX, i64::MIN, 1e300] });
    w.one(checkpoint(&claim, &value.to_string())).await.unwrap();
    assert_eq!(given(store, id, 0).await.as_deref(), Some(&value));
}
