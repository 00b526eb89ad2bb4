//! The four steps of the sequence. Each tells, beside its number, what it did: the metadata of its result.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use tasker::{StepExecutionResult, StepHandlerConfig, TaskSequenceStep, error_result, step_handler, success_result};

/// Squares the number; the template names the type by its path.
pub(crate) struct LinearStep1Handler;

#[step_handler(name = "linear_step_1", returns = i64)]
impl LinearStep1Handler {
    fn new(_config: StepHandlerConfig) -> Self {
        Self
    }

    async fn call(&self, step_data: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        let start_time = Instant::now();
        let step_uuid = step_data.workflow_step.workflow_step_uuid;
        let even_number = step_data
            .task
            .context
            .get("even_number")
            .and_then(|v| v.as_i64())
            .ok_or_else(|| anyhow::anyhow!("Task context must contain an even number"))?;
        if even_number % 2 != 0 {
            return Ok(error_result(
                step_uuid,
                "Number must be even".to_string(),
                Some("VALIDATION_ERROR".to_string()),
                Some("ValidationError".to_string()),
                false, // Not retryable
                milliseconds_since(start_time),
                None,
            ));
        }
        let result = even_number.checked_mul(even_number).context("the square is too large")?;
        tracing::info!("Linear Step 1: {even_number}² = {result}");
        let metadata = HashMap::from([
            ("operation".to_string(), json!("square")),
            ("step_type".to_string(), json!("initial")),
            ("input_refs".to_string(), json!({ "even_number": "task.context.even_number" })),
        ]);
        Ok(success_result(step_uuid, json!(result), milliseconds_since(start_time), Some(metadata)))
    }
}

/// Adds the template's constant.
#[step_handler(alias = "rust::linear_workflow::LinearStep2Handler", returns = i64)]
pub(crate) async fn linear_step_2(
    #[dependency(LinearStep1Handler)] squared: i64,
    #[config("constant")] constant: i64,
    step: &TaskSequenceStep,
) -> anyhow::Result<StepExecutionResult> {
    let result = squared.checked_add(constant).context("the sum is too large")?;
    tracing::info!("Linear Step 2: {squared} + {constant} = {result}");
    Ok(done(step, result, "add", "intermediate", json!({ "constant": constant, "previous_step_value": squared })))
}

/// Multiplies by the template's factor.
#[step_handler(alias = "rust::linear_workflow::LinearStep3Handler", returns = i64)]
pub(crate) async fn linear_step_3(
    #[dependency(linear_step_2)] sum: i64,
    #[config("factor")] factor: i64,
    step: &TaskSequenceStep,
) -> anyhow::Result<StepExecutionResult> {
    let result = sum.checked_mul(factor).context("the product is too large")?;
    tracing::info!("Linear Step 3: {sum} × {factor} = {result}");
    Ok(done(step, result, "multiply", "intermediate", json!({ "factor": factor, "previous_step_value": sum })))
}

/// Divides by the template's divisor, and sums up. It reads steps further back than the one that it depends on.
#[step_handler(alias = "rust::linear_workflow::LinearStep4Handler", returns = i64)]
pub(crate) async fn linear_step_4(
    #[dependency(linear_step_3)] product: i64,
    #[config("divisor")] divisor: i64,
    step: &TaskSequenceStep,
) -> anyhow::Result<StepExecutionResult> {
    let result = product.checked_div(divisor).context("the divisor is 0")?;
    tracing::info!("Linear Step 4: {product} ÷ {divisor} = {result}");
    let of = |step_name: &str| step.dependency_results.get(step_name).map(|found| found.result.clone());
    let workflow_summary = json!({
        "final_result": result,
        "step_progression": {
            "step_1": of("linear_step_1"),
            "step_2": of("linear_step_2"),
            "step_3": of("linear_step_3"),
            "step_4": result
        },
        "total_steps_executed": 4
    });
    Ok(done(step, result, "divide", "final", json!({ "divisor": divisor, "workflow_summary": workflow_summary })))
}

fn done(step: &TaskSequenceStep, result: i64, operation: &str, step_type: &str, more: Value) -> StepExecutionResult {
    let mut metadata: HashMap<String, Value> = serde_json::from_value(more).unwrap_or_default();
    metadata.insert("operation".to_string(), json!(operation));
    metadata.insert("step_type".to_string(), json!(step_type));
    StepExecutionResult::success(step.workflow_step.workflow_step_uuid, json!(result), Some(metadata))
}

fn milliseconds_since(start: Instant) -> i64 {
    i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX)
}
