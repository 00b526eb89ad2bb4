//! The view for people shows what `find_task` tells.

use sqlx::Row as _;
use tasker_types::{BatchSpec, FailureStrategy, StepNumber, StepType};

use super::server::{is_there, open};
use crate::store::Store as _;
use crate::store::conformance::World;
use crate::store::conformance::sample::{complete, cut, decide, fail, template, with_types, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_view_shows_every_step_as_a_task_is_shown() {
    if !is_there() {
        return;
    }
    let (store, database) = open().await;
    let mut w = World::new(&store);
    // 0 decides between 1 and 2; 1 makes workers after 3 and none after 4; 5 waits for both, 6 follows 2 and is skippable.
    let parents: &[&[u32]] = &[&[], &[0], &[0], &[1], &[1], &[3, 4], &[2]];
    let types =
        [(0, StepType::Decision), (1, StepType::Batchable), (3, StepType::BatchWorker), (4, StepType::BatchWorker)];
    let mut shape = with_types(template("shape", parents), &types);
    let failure_strategy = FailureStrategy::Isolate;
    shape.template.steps[1].batch = Some(BatchSpec { parallelism: Some(2), failure_strategy });
    shape.template.steps[6].skippable = true;
    let id = w.start(1, shape).await;
    let claim = w.claim_one(worker(1)).await;
    w.one(decide(&claim, &[StepNumber(1)])).await.unwrap();
    let claim = w.claim_one(worker(1)).await;
    w.one(cut(&claim, 4)).await.unwrap();
    let claims = w.claim(worker(1), 2).await;
    w.transact(vec![complete(&claims[0]), fail(&claims[1])]).await;

    let mut connection = database.connect().await;
    for view in ["workflow_steps", "tasker_workflow_steps"] {
        let sql = format!("SELECT number, name, state, attempts, skippable FROM tasker.{view} WHERE task_uuid = $1 ORDER BY number");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.uuid()).fetch_all(&mut connection).await.unwrap();
        let shown: Vec<(i32, String, String, i32)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
        let steps = store.find_task(id).await.unwrap().unwrap().steps;
        let told: Vec<_> = steps
            .iter()
            .map(|step| {
                let (number, attempt) = (i32::try_from(step.number.0).unwrap(), i32::try_from(step.attempt).unwrap());
                (number, step.name.clone(), step.state.to_string(), attempt)
            })
            .collect();
        assert_eq!(shown, told);
        assert_eq!(shown.len(), 10, "six steps, and four workers in the place of one");
        let skippable: Vec<i32> = rows.iter().filter(|row| row.get(4)).map(|row| row.get(0)).collect();
        assert_eq!(skippable, [6]);
    }
}
