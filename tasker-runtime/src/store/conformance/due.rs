//! Steps whose retry is due become ready.

use std::time::Duration;

use tasker_types::{Backoff, Start, StepState, TaskState, Timestamp};

use super::World;
use super::sample::{cancel, chain, fail, roots, starting, submit, task, worker};
use crate::core::{Batch, ResolvedTemplate};
use crate::store::{DUE_MAX, Due, ListedTask, Page, Store, TaskFilter};

/// Steps that wait exactly so many milliseconds for their second attempt.
fn waiting(mut template: ResolvedTemplate, base_ms: &[u64]) -> ResolvedTemplate {
    for (step, &base_ms) in template.steps.iter_mut().zip(base_ms) {
        step.retry.backoff_base_ms = base_ms;
        // The cap is below what jitter may take away: the delay is the cap.
        step.retry.backoff = Backoff::Exponential;
        step.retry.max_backoff_ms = base_ms;
    }
    template
}

fn delays(w: &World<'_, dyn Store + '_>, of: usize) -> Vec<Timestamp> {
    (0..of).map(|number| w.live(task(1), u32::try_from(number).unwrap()).unwrap().ready_at).collect()
}

pub async fn a_step_is_ready_when_its_backoff_is_over(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, waiting(chain(1), &[1_000])).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    let ready_at = delays(&w, 1)[0];
    w.now = Timestamp::from_micros(ready_at.as_micros() - 1);
    assert_eq!(w.due().await, Due { ready: 0, next: Some(Duration::from_micros(1)) });
    assert_eq!(w.states(id), [StepState::WaitingForRetry]);
    assert!(w.claim(worker(1), 100).await.is_empty());
    w.now = ready_at;
    assert_eq!(w.due().await, Due { ready: 1, next: None });
    assert_eq!(w.states(id), [StepState::Ready]);
    assert_eq!(w.claim_one(worker(1)).await.live.attempt, 2);
}

pub async fn what_is_next_is_told(store: &dyn Store) {
    let mut w = World::new(store);
    assert_eq!(w.due().await, Due::default());
    w.start(1, waiting(roots(3), &[1_000, 10_000, 5_000])).await;
    assert_eq!(w.due().await, Due::default(), "nothing waits");
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(fail).collect()).await;
    let times = delays(&w, 3);
    assert_eq!(w.due().await, Due { ready: 0, next: Some(times[0].since(w.now)) });
    w.now = times[0];
    assert_eq!(w.due().await, Due { ready: 1, next: Some(times[2].since(w.now)) });
    w.now = times[1];
    assert_eq!(w.due().await, Due { ready: 2, next: None });
}

pub async fn a_step_that_is_due_keeps_its_counts(store: &dyn Store) {
    let mut w = World::new(store);
    let id = w.start(1, chain(1)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(fail(&claim)).await.unwrap();
    let mut row = w.live(id, 0).unwrap().clone();
    w.pass(60_000);
    w.due().await;
    row.state = StepState::Ready;
    assert_eq!(w.live(id, 0), Some(&row));
}

pub async fn steps_that_are_due_together_are_made_ready_in_bounded_portions(store: &dyn Store) {
    let mut w = World::new(store);
    let many = DUE_MAX + 3;
    let pinned = w.pin(chain(1)).await;
    let batch = |commands| Batch { commands, capacity: None, now: Some(w.now) };
    store.transact(batch((1..=many).map(|number| submit(task(number), &pinned)).collect())).await.unwrap();
    w.enroll(worker(1)).await;
    let batch = |commands| Batch { commands, capacity: None, now: Some(w.now) };
    let claims = store.claim(crate::store::ClaimRequest { limit: many, ..w.request(worker(1)) }).await.unwrap().claimed;
    store.transact(batch(claims.iter().map(fail).collect())).await.unwrap();
    let later = Some(w.now + Duration::from_secs(60));
    let first = store.due(later).await.unwrap();
    assert_eq!(first.ready, u64::from(DUE_MAX));
    assert!(first.next.is_some_and(|next| next.is_zero()), "more is due at once: {first:?}");
    assert_eq!(store.due(later).await.unwrap(), Due { ready: 3, next: None });
}

pub async fn a_task_that_starts_later_is_made_ready_when_it_is_due(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(roots(2)).await;
    let (later, past) = (Start::At(w.now + Duration::from_millis(500)), Start::At(Timestamp::from_micros(0)));
    let committed = w
        .transact_with(
            worker(1),
            10,
            vec![
                starting(later, task(1), &pinned),
                starting(Start::In(Duration::from_millis(700)), task(2), &pinned),
                starting(past, task(3), &pinned),
            ],
        )
        .await;
    assert_eq!(committed.claimed.len(), 2, "one that should have started is run at once");
    assert_eq!((committed.ready, committed.next_retry), (0, Some(Duration::from_millis(500))));
    assert_eq!(w.states(task(1)), [StepState::WaitingForRetry; 2]);
    assert_eq!(w.task_state(task(1)), TaskState::Pending);
    let starts = |listed: Vec<ListedTask>| listed.into_iter().map(|listed| listed.starts_at).collect::<Vec<_>>();
    let listed = store.list_tasks(TaskFilter::default(), Page { before: None, limit: 10 }).await.unwrap();
    let begin = w.now;
    let (in_500, in_700) = (begin + Duration::from_millis(500), begin + Duration::from_millis(700));
    assert_eq!(starts(listed), [None, Some(in_700), Some(in_500)]);
    w.pass(500);
    assert_eq!(w.due().await, Due { ready: 2, next: Some(Duration::from_millis(200)) });
    assert_eq!(w.claim(worker(1), 100).await.len(), 2);
    w.one(cancel(task(2), 1)).await.unwrap();
    w.pass(200);
    assert_eq!(w.due().await, Due { ready: 0, next: None });
    let listed = store.list_tasks(TaskFilter::default(), Page { before: None, limit: 10 }).await.unwrap();
    assert_eq!(starts(listed), [None; 3]);
}
