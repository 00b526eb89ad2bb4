//! What a template may be at most.

/// The longest text of a template, in bytes.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;
/// The most steps.
pub const MAX_STEPS: usize = 10_000;
/// The most steps of a task, workers of batches among them.
pub const MAX_TASK_STEPS: usize = 20_000;
/// The most `batch_worker` steps of a template.
pub const MAX_BATCH_WORKERS: usize = 500;
/// The most dependencies of all steps together.
pub const MAX_EDGES: usize = 50_000;
/// The most steps on one path.
pub const MAX_DEPTH: usize = 1_000;
/// The longest name of a template or a namespace, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest name of a step or a handler, in bytes.
pub const MAX_IDENTIFIER_BYTES: usize = 255;
/// The most events that a step publishes.
pub const MAX_EVENTS: usize = 32;
/// The most attempts, and the most losses, that a step may be allowed.
pub const MAX_ATTEMPTS: u32 = 1_000;
/// The longest timeout and the longest delay, in milliseconds: 30 days.
pub const MAX_DURATION_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// How deep lists and mappings may stand in each other. JSON of a template stays within what
/// `serde_json` reads back (128).
pub const MAX_NESTING: usize = 64;
/// The most scalars, lists and mappings; what an alias stands for counts each time.
pub const MAX_NODES: usize = 500_000;
/// The most findings that are reported of one file.
pub const MAX_FINDINGS: usize = 100;
