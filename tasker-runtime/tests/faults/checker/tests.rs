//! The checker itself: whatever is planted in a true story is found.

use tasker_types::{TaskId, TaskState};

use super::{Evidence, Finding};
use crate::child::Place;
use crate::client::Client;
use crate::journal::{End, Pen};

/// A run in which nothing went wrong.
async fn story() -> Evidence {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::file(directory.path());
    let worker = place.engine(16).await;
    crate::workflow::add_templates(&worker).await;
    worker.start_worker().await.unwrap();
    let client = Client::start(&place, "dag", 4).await;
    crate::child::until("some tasks are over", async || client.ended() >= 20).await;
    let history = client.finish().await;
    worker.stop().await;
    Evidence::gather(&*place.store().await, &Pen::of(&place.folder), history).await
}

/// What a planted contradiction must be taken for.
#[derive(Debug, PartialEq)]
enum Kind {
    Lost,
    Double,
    Stuck,
    Wrong,
}

fn kinds(evidence: &Evidence) -> Vec<Kind> {
    let kind = |finding| match finding {
        Finding::Lost(_) => Kind::Lost,
        Finding::Double(_) => Kind::Double,
        Finding::Stuck(_) => Kind::Stuck,
        Finding::Wrong(_) => Kind::Wrong,
    };
    evidence.check().into_iter().map(kind).collect()
}

type Plant = (&'static str, Kind, fn(&mut Evidence));

/// One of each kind of lie, each in a true story.
const PLANTS: &[Plant] = &[
    ("an accepted task is gone", Kind::Lost, |of| {
        let gone = of.dump.tasks.pop().unwrap().id;
        of.names.retain(|(_, task)| *task != gone);
        of.dump.results.retain(|row| row.task != gone);
        of.dump.attempts.retain(|row| row.task != gone);
        of.journal.began.retain(|(task, _), _| *task != gone);
        of.history.ended.retain(|(task, _)| *task != gone);
    }),
    ("a result is gone", Kind::Lost, |of| drop(of.dump.results.pop())),
    ("an attempt ran and is not recorded", Kind::Lost, |of| {
        of.journal.began.values_mut().next().unwrap().push((9, 1));
    }),
    ("an attempt's record is gone", Kind::Lost, |of| drop(of.dump.attempts.pop().unwrap())),
    ("an end that was told is undone", Kind::Lost, |of| of.history.ended[0].1 = TaskState::Cancelled),
    ("a request is stored twice", Kind::Double, |of| {
        let (name, _) = of.names[0].clone();
        of.names.push((name, TaskId::from_uuid(uuid::Uuid::now_v7())));
    }),
    ("a refused request is stored", Kind::Double, |of| {
        let (name, task) = of.history.accepted.pop().unwrap();
        of.history.ended.retain(|(ended, _)| *ended != task);
        of.history.refused.push((name, "D001"));
    }),
    ("a step has two results", Kind::Double, |of| {
        let again = of.dump.results[0].clone();
        of.dump.results.push(again);
    }),
    ("a result is of another attempt", Kind::Double, |of| of.dump.results[0].attempt += 1),
    ("a result is not what the handler returned", Kind::Double, |of| {
        of.dump.results[0].result = Some(r#"{"attempt":1,"process":1,"sum":1}"#.into());
    }),
    ("a result that no handler returned", Kind::Double, |of| {
        let step = (of.dump.results[0].task, of.dump.results[0].number);
        of.journal.ended.remove(&step);
    }),
    ("an attempt ran twice", Kind::Double, |of| {
        let began = of.journal.began.values_mut().next().unwrap();
        let again = began[0];
        began.push(again);
    }),
    ("an attempt failed that no handler failed", Kind::Double, |of| {
        let row = &of.dump.attempts[0];
        of.journal.ended.get_mut(&(row.task, row.number)).unwrap().retain(|(_, end)| *end != End::Retry);
    }),
    ("a task never ends", Kind::Stuck, |of| of.dump.tasks[0].state = TaskState::Running),
    ("a task failed", Kind::Wrong, |of| of.dump.tasks[0].state = TaskState::Failed),
    ("a counter is wrong", Kind::Wrong, |of| of.dump.tasks[0].open_steps = 1),
    ("a handler missed what came before", Kind::Wrong, |of| {
        let row = of.dump.results.iter_mut().rfind(|row| row.number.0 == 11).unwrap();
        let wrong = serde_json::json!({ "sum": 1, "attempt": row.attempt, "process": 1 });
        row.result = Some(wrong.to_string().into());
        of.journal.ended.insert((row.task, row.number), vec![(row.attempt, End::Success(wrong))]);
    }),
    ("nobody was told of a task", Kind::Wrong, |of| drop(of.history.accepted.pop().unwrap())),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_planted_in_a_true_story_is_found() {
    let mut evidence = story().await;
    assert_eq!(evidence.check(), [], "{evidence}");
    assert!(!evidence.dump.attempts.is_empty(), "no attempt failed: {evidence}");
    for (what, kind, plant) in PLANTS {
        let before =
            (evidence.dump.clone(), evidence.names.clone(), evidence.history.clone(), evidence.journal.clone());
        plant(&mut evidence);
        let found = kinds(&evidence);
        assert!(found.contains(kind), "{what}: {:?}", evidence.check());
        (evidence.dump, evidence.names, evidence.history, evidence.journal) = before;
    }
    assert_eq!(evidence.check(), []);
}
