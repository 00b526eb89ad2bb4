//! A task that is over is run again in part, as a new task.

use std::time::Duration;

use StepState::{Completed, Failed, Pending, Ready};
use tasker_types::{BatchSpec, StepNumber, StepState, StepType, TaskId, TaskState};

use super::World;
use super::sample::{
    act, chain, complete, cut, fail_for_good, fan, rerun, roots, stamp, submit, task, template, with_types, worker,
};
use crate::core::{Act, ByHand, Refusal, RerunRow, ResultRow, Says};
use crate::store::{InputRequest, Store};

/// Runs whatever is ready to its end.
async fn finish_all(w: &mut World<'_, dyn Store + '_>) {
    loop {
        let claims = w.claim(worker(1), 1_000).await;
        if claims.is_empty() {
            return;
        }
        w.pass(10);
        w.transact(claims.iter().map(complete).collect()).await;
    }
}

fn result(w: &World<'_, dyn Store + '_>, task: TaskId, number: u32) -> ResultRow {
    w.result(task, number).expect("it is over").clone()
}

pub async fn a_rerun_takes_results_over_as_they_stand(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, chain(4)).await;
    finish_all(&mut w).await;
    let before = w.rows.clone();
    w.pass(10);
    let new = w.one(rerun(&w.rows, old, 2, 2, 1)).await.unwrap().task;
    assert_eq!((new, w.task_state(new)), (task(2), TaskState::Pending));
    assert_eq!(w.states(new), [Completed, Completed, Ready, Pending]);
    for number in 0..2 {
        let taken = ResultRow { task: old, ..result(&w, new, number) };
        assert_eq!(taken, result(&w, old, number), "worker, attempt and times are those of then");
    }
    assert_eq!(w.states(old), [Completed; 4], "the old task is left alone");
    assert!(before.results.iter().all(|row| w.rows.results.contains(row)));
    let wanted = InputRequest {
        task: new,
        context: true,
        results: (0..4).map(StepNumber).collect(),
        workers_from: None,
        checkpoint_of: None,
    };
    let given = store.inputs(vec![wanted]).await.unwrap().remove(0);
    assert_eq!(given.results.len(), 2);
    w.pass(10);
    finish_all(&mut w).await;
    assert_eq!(w.task_state(new), TaskState::Completed);
    assert_eq!(result(&w, new, 3).attempt, 1);
}

pub async fn a_rerun_is_told_at_both_ends(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, chain(2)).await;
    finish_all(&mut w).await;
    w.pass(10);
    for number in [3, 2] {
        w.one(rerun(&w.rows, old, 1, number, number)).await.unwrap();
    }
    w.one(act(task(2), Act::Cancel, 9)).await.unwrap();
    w.pass(10);
    w.one(rerun(&w.rows, task(2), 0, 4, 4)).await.unwrap();
    let link = |new, source, from, action| RerunRow {
        task: task(new),
        source: task(source),
        from: StepNumber(from),
        action: stamp(action).id,
    };
    let shown = async |number| {
        let view = store.find_task(task(number)).await.unwrap().unwrap();
        (view.rerun_of, view.reruns)
    };
    assert_eq!(shown(1).await, (None, vec![link(2, 1, 1, 2), link(3, 1, 1, 3)]));
    assert_eq!(shown(2).await, (Some(link(2, 1, 1, 2)), vec![link(4, 2, 0, 4)]));
    assert_eq!(shown(4).await, (Some(link(4, 2, 0, 4)), vec![]));
    let view = store.find_task(task(3)).await.unwrap().unwrap();
    assert_eq!(view.steps.iter().map(|step| step.is_copied).collect::<Vec<_>>(), [true, false]);
    let [action] = &view.actions[..] else { panic!("{:?}", view.actions) };
    assert_eq!((action.kind, &*action.actor, &*action.reason), ("rerun", "ada", "it was asked for"));
    assert_eq!(action.number, Some(StepNumber(1)));
}

pub async fn a_rerun_of_a_batch_takes_its_workers_over(store: &dyn Store) {
    let mut w = World::new(store);
    let types = [(0, StepType::Batchable), (1, StepType::BatchWorker)];
    let mut batches = with_types(template("batches", &[&[], &[0], &[1]]), &types);
    batches.template.steps[0].batch = Some(BatchSpec { parallelism: Some(2), ..BatchSpec::default() });
    let old = w.start(1, batches).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 5)).await.unwrap();
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail_for_good(&claims[1])]).await;
    let claims = w.claim(worker(1), 100).await;
    w.transact(claims.iter().map(complete).collect()).await;
    assert_eq!(w.task_state(old), TaskState::Failed);
    w.pass(10);
    let new = w.one(rerun(&w.rows, old, 2, 2, 1)).await.unwrap().task;
    let made = w.rows.batches.iter().find(|row| row.task == new).unwrap();
    assert_eq!((made.count, made.in_flight, made.failed), (5, 2, 0), "the bound holds");
    finish_all(&mut w).await;
    assert_eq!((w.task_state(new), w.rows.batches.last().unwrap().next), (TaskState::Completed, 5));
    assert_eq!(w.states(old)[1..], [Pending, Pending]);
    // From the workers on, and from one of them.
    for (from, number, anew) in [(1, 3, 5), (4, 4, 1)] {
        w.pass(10);
        let since = w.now;
        let new = w.one(rerun(&w.rows, task(2), from, number, number)).await.unwrap().task;
        w.pass(10);
        finish_all(&mut w).await;
        assert_eq!(w.task_state(new), TaskState::Completed);
        let workers = w.rows.results.iter().filter(|row| row.task == new && row.number >= StepNumber(3));
        let (all, ran): (Vec<_>, Vec<_>) = workers.map(|row| (row.number, row.finished_at > since)).unzip();
        assert_eq!((all.len(), ran.iter().filter(|ran| **ran).count()), (5, anew));
    }
    let refused = w.one(rerun(&w.rows, task(2), 8, 5, 5)).await;
    assert_eq!(refused, Err(Refusal::NoStep { task: task(2), number: StepNumber(8) }));
}

pub async fn a_rerun_of_what_was_done_in_the_same_batch_takes_that_over(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, chain(3)).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(complete(&claim)).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(fail_for_good(&claim)).await.unwrap();
    w.pass(10);
    let by_hand = ByHand::Complete { result: "5".into(), says: Says::Nothing };
    let commands = vec![
        act(old, Act::End(StepNumber(1), by_hand), 1),
        act(old, Act::Cancel, 2),
        rerun(&w.rows, old, 2, 2, 3),
        act(task(2), Act::Pause, 4),
    ];
    let committed = w.transact(commands).await;
    assert!(committed.replies.iter().all(Result::is_ok), "{:?}", committed.replies);
    assert_eq!(w.states(task(2)), [Completed, Completed, Ready]);
    assert_eq!(result(&w, task(2), 1).result.as_deref(), Some("5"));
    assert!(w.live(task(2), 2).unwrap().held);
}

pub async fn a_rerun_outlives_the_task_that_it_runs_again(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, chain(2)).await;
    finish_all(&mut w).await;
    w.pass(10);
    let new = w.one(rerun(&w.rows, old, 1, 2, 1)).await.unwrap().task;
    assert_eq!(store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap(), 1);
    w.look(0).await;
    let view = store.find_task(new).await.unwrap().unwrap();
    assert_eq!((view.rerun_of.unwrap().source, view.actions.len()), (old, 1));
    finish_all(&mut w).await;
    assert_eq!(w.task_state(new), TaskState::Completed);
    w.pass(10);
    assert_eq!(store.prune(Duration::ZERO, 10, Some(w.now)).await.unwrap(), 1);
    w.look(0).await;
    assert!(w.rows.reruns.is_empty() && w.rows.results.is_empty() && w.rows.actions.is_empty());
}

pub async fn a_wide_rerun_is_written_whole(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, fan(600)).await;
    finish_all(&mut w).await;
    w.pass(10);
    let new = w.one(rerun(&w.rows, old, 601, 2, 1)).await.unwrap().task;
    assert_eq!(w.rows.results.iter().filter(|row| row.task == new).count(), 601);
    let again = w.one(rerun(&w.rows, old, 0, 3, 2)).await.unwrap().task;
    assert_eq!(w.states(again)[0], Ready);
    assert_eq!(w.rows.results.iter().filter(|row| row.task == again).count(), 0);
    finish_all(&mut w).await;
    assert_eq!((w.task_state(new), w.task_state(again)), (TaskState::Completed, TaskState::Completed));
}

pub async fn a_rerun_is_made_once(store: &dyn Store) {
    let mut w = World::new(store);
    let old = w.start(1, roots(2)).await;
    let running = Refusal::TaskState { task: old, state: TaskState::Pending, wanted: "rerun before it is over" };
    assert_eq!(w.one(rerun(&w.rows, old, 0, 2, 1)).await, Err(running));
    let claims = w.claim(worker(1), 100).await;
    w.transact(vec![complete(&claims[0]), fail_for_good(&claims[1])]).await;
    w.pass(10);
    let command = rerun(&w.rows, old, 0, 2, 1);
    w.one(command.clone()).await.unwrap();
    assert_eq!(w.states(task(2)), [Ready, Ready], "what had failed is open");
    assert_eq!(w.states(old), [Completed, Failed]);
    assert_eq!(w.one(command).await, Err(Refusal::Repeated(stamp(1).id)));
    assert_eq!(w.one(rerun(&w.rows, old, 0, 2, 2)).await, Err(Refusal::Exists(task(2))));
    let pinned = w.task(old).pinned.clone();
    assert_eq!(w.one(submit(task(2), &pinned)).await, Err(Refusal::Exists(task(2))));
    assert_eq!(w.rows.reruns.len(), 1);
}
