//! Handlers on the blocking pool.

use serde_json::json;
use tasker::testing::TestStep;
use tasker::{StepContext, StepError, StepHandlerConfig, TaskSequenceStep, error_types, step_handler};

use super::{failure, run, run_with};

/// Whether the current thread may be blocked: a worker thread of a runtime of one thread is the test's own.
fn thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

#[step_handler(blocking)]
fn sum(
    #[input] numbers: &[i64],
    #[input] factor: i64,
    #[config("offset", default = 0)] offset: i64,
    #[state] test_thread: &std::thread::ThreadId,
    ctx: StepContext<'_>,
) -> Result<i64, StepError> {
    if ctx.attempt() > 1 {
        return Err(StepError::permanent("once is enough"));
    }
    assert_ne!(thread(), *test_thread, "it runs on a thread that may block");
    Ok(numbers.iter().sum::<i64>() * factor + offset)
}

fn step() -> TestStep {
    TestStep::new(json!({ "numbers": [1, 2, 3], "factor": 10 })).state(thread())
}

#[tokio::test]
async fn a_plain_function_runs_on_a_thread_that_may_block() {
    assert_eq!(run_with("sum", json!({ "offset": 1 }), &step().build()).await.result, json!(61));
    let result = run("sum", &step().attempt(2).build()).await;
    assert_eq!(failure(&result), ("once is enough", "permanent_error", false));
}

#[tokio::test]
async fn its_arguments_are_refused_as_any_others() {
    let result = run("sum", &TestStep::new(json!({ "numbers": [1, "two"] })).build()).await;
    let text = "`numbers[1]` of the task's context: invalid type: string \"two\", expected i64";
    assert_eq!(failure(&result), (text, error_types::VALIDATION_ERROR, false));
}

#[step_handler(blocking)]
fn panics_on_its_thread(_step: &TaskSequenceStep) {
    panic!("over there");
}

#[tokio::test]
async fn a_panic_there_is_a_panic_here() {
    let result = run("panics_on_its_thread", &step().build()).await;
    assert_eq!(failure(&result), ("the handler panicked: over there", error_types::HANDLER_ERROR, true));
    assert_eq!(result.error_code(), Some("HANDLER_PANIC"));
}

#[step_handler(blocking)]
async fn awaits_on_its_thread(#[input] factor: i64, #[state] test_thread: &std::thread::ThreadId) -> i64 {
    // Not `Send`: the future stays on its thread.
    let shared = std::rc::Rc::new(factor);
    tokio::task::yield_now().await;
    assert_ne!(thread(), *test_thread);
    *shared
}

#[tokio::test]
async fn an_async_function_may_await_there() {
    assert_eq!(run("awaits_on_its_thread", &step().build()).await.result, json!(10));
}

struct Scale {
    by: i64,
}

#[step_handler(name = "scale", blocking)]
impl Scale {
    fn new(config: &StepHandlerConfig) -> Self {
        Self { by: config.get_or("by", 1) }
    }

    fn call(&self, #[input] numbers: &[i64]) -> Vec<i64> {
        numbers.iter().map(|number| number * self.by).collect()
    }
}

#[tokio::test]
async fn a_handler_with_fields_may_block_as_well() {
    assert_eq!(run_with("scale", json!({ "by": 2 }), &step().build()).await.result, json!([2, 4, 6]));
}
