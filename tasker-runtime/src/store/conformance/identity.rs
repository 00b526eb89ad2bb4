//! Requests that mean the same task find it: in one batch, in later ones, and from many sides at once.

use std::time::Duration;

use super::World;
use super::sample::{cancel, chain, complete, known_as, submit, task, worker};
use crate::core::{Command, Refusal, check};
use crate::store::Store;
use tasker_types::{IfExists, TaskState};

pub async fn a_second_request_of_the_same_identity_is_answered_with_the_first_ones_task(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    let first = w.one(known_as(7, task(1), &pinned, IfExists::Attach)).await.unwrap();
    assert_eq!((first.task, first.state), (task(1), TaskState::Pending));
    let claim = w.claim_one(worker(1)).await;
    let second = w.one(known_as(7, task(2), &pinned, IfExists::Attach)).await.unwrap();
    assert_eq!((second.task, second.state), (task(1), TaskState::Running));
    w.one(complete(&claim)).await.unwrap();
    let third = w.one(known_as(7, task(3), &pinned, IfExists::Attach)).await.unwrap();
    assert_eq!((third.task, third.state), (task(1), TaskState::Completed));
    let other = w.one(known_as(8, task(4), &pinned, IfExists::Attach)).await.unwrap();
    assert_eq!(other.task, task(4));
    assert_eq!(w.rows.tasks.iter().map(|row| row.id).collect::<Vec<_>>(), [task(1), task(4)]);
    assert_eq!(w.rows.identities.len(), 2);
}

pub async fn a_request_that_wants_a_conflict_is_refused_and_names_the_task(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    w.one(known_as(7, task(1), &pinned, IfExists::Conflict)).await.unwrap();
    let refused = w.one(known_as(7, task(2), &pinned, IfExists::Conflict)).await;
    assert_eq!(refused, Err(Refusal::SameRequest(task(1))));
    w.one(cancel(task(1), 1)).await.unwrap();
    let refused = w.one(known_as(7, task(2), &pinned, IfExists::Conflict)).await;
    assert_eq!(refused, Err(Refusal::SameRequest(task(1))), "one that is over counts as well");
}

pub async fn requests_of_one_identity_in_one_batch_make_one_task(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    let mut commands: Vec<Command> =
        (1..=3).map(|number| known_as(7, task(number), &pinned, IfExists::Attach)).collect();
    commands.push(known_as(7, task(4), &pinned, IfExists::Conflict));
    commands.push(submit(task(5), &pinned));
    let replies = w.transact(commands).await.replies;
    let tasks: Vec<_> = replies.iter().map(|reply| reply.as_ref().map(|reply| reply.task).ok()).collect();
    assert_eq!(tasks, [Some(task(1)), Some(task(1)), Some(task(1)), None, Some(task(5))]);
    assert_eq!(w.rows.tasks.len(), 2);
    assert_eq!(w.rows.identities.len(), 1, "a task without one has no row");
}

pub async fn of_many_requests_at_once_one_makes_the_task(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    for round in 0..8 {
        let one = |number: u32| {
            let command = known_as(round, task(round * 10 + number), &pinned, IfExists::Attach);
            store.transact(crate::core::Batch { commands: [command].into(), capacity: None, now: Some(w.now) })
        };
        let answers = tokio::join!(one(1), one(2), one(3), one(4));
        let told = [answers.0, answers.1, answers.2, answers.3];
        let tasks: Vec<_> = told
            .into_iter()
            .map(|told| told.expect("it is written").replies[0].clone().expect("it is taken").task)
            .collect();
        assert!(tasks.iter().all(|task| *task == tasks[0]), "{tasks:?}");
    }
    let dump = store.dump(None, 100).await.unwrap();
    assert_eq!((dump.tasks.len(), dump.identities.len()), (8, 8));
    assert_eq!(check(&dump), []);
}

pub async fn an_identity_is_forgotten_with_its_task(store: &dyn Store) {
    let mut w = World::new(store);
    let pinned = w.pin(chain(1)).await;
    for number in 1..=3 {
        let reply = w.one(known_as(7, task(number), &pinned, IfExists::Attach)).await.unwrap();
        assert_eq!(reply.task, task(number));
        let claim = w.claim_one(worker(1)).await;
        w.one(complete(&claim)).await.unwrap();
        w.pass(10);
        assert_eq!(store.prune(Duration::ZERO, 1, Some(w.now)).await.unwrap(), 1);
        w.look(0).await;
        assert_eq!(w.rows.identities, []);
    }
}
