//! Handlers that hold something.

use tasker::{StepContext, StepError, StepExecutionResult, StepHandlerConfig, TaskSequenceStep, step_handler};

/// Charges a card.
#[derive(Debug)]
pub struct ChargeCard {
    url: String,
}

/// Some of its methods are the handler.
#[step_handler(name = "charge_card", timeout = "10s")]
impl ChargeCard {
    /// The path.
    pub const PATH: &'static str = "/charge";

    /// Makes it.
    pub fn new(config: StepHandlerConfig) -> Self {
        Self { url: config.get_or("url", String::new()) }
    }

    /// Runs it.
    pub async fn call(
        &self,
        #[input] amount: f64,
        #[state] gateway: &String,
        ctx: StepContext<'_>,
    ) -> Result<String, StepError> {
        if amount < 0.0 {
            return Err(StepError::permanent(format!("{} {gateway} {}", self.target(), ctx.attempt())));
        }
        Ok(self.target())
    }

    fn target(&self) -> String {
        format!("{}{}", self.url, Self::PATH)
    }
}

struct Fallible(u32);

#[step_handler]
impl Fallible {
    fn new(config: StepHandlerConfig) -> anyhow::Result<Self> {
        Ok(Self(config.get("limit")?))
    }

    async fn call(&self, #[dependency(ChargeCard)] receipt: Option<String>) -> Option<u32> {
        receipt.map(|_| self.0)
    }
}

struct FallibleWithOwnError;

#[step_handler]
impl FallibleWithOwnError {
    fn new() -> Result<Self, std::num::ParseIntError> {
        "1".parse::<u8>().map(|_| Self)
    }

    async fn call(&self, step: &TaskSequenceStep) -> anyhow::Result<StepExecutionResult> {
        Ok(StepExecutionResult::success(step.workflow_step.workflow_step_uuid, 1.into(), None))
    }
}

struct Compress {
    level: u8,
}

#[step_handler(name = "compress", blocking)]
impl Compress {
    fn new(config: StepHandlerConfig) -> Self {
        Self { level: config.get_or("level", 3) }
    }

    fn call(&self, #[input] bytes: &[u8]) -> usize {
        bytes.len() / usize::from(self.level.max(1))
    }
}

fn main() {}
