//! What can be typed after `task`, `step` and `dlq`.

use clap::{Args, Subcommand, ValueEnum};
use tasker_types::TaskState;

use super::seconds;

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// List tasks, newest first
    List(TaskList),
    /// Show a task and its steps
    Show(OneTask),
    /// Show the steps as they run until the task is over
    Watch(Watch),
    /// Try the failed steps of a task again
    Retry(Retry),
    /// Run a task that is over again from one of its steps on, as a new task
    Rerun(RerunTask),
    /// Hold a task back: what runs goes on to its end, nothing else starts
    Pause(Acting),
    /// Let a paused task go on
    Resume(Acting),
    /// Stop a task
    Cancel(Acting),
    /// Close a failed task as it stands, for good
    Resolve(Acting),
}

#[derive(Debug, Args)]
pub(crate) struct TaskList {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most so many
    #[arg(short, long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    /// Only tasks that were accepted before this one
    #[arg(long, value_name = "TASK")]
    pub(crate) before: Option<String>,
}

/// Which tasks are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filter {
    /// Only tasks in this state; may be given more than once
    #[arg(short, long, value_parser = state)]
    pub(crate) state: Vec<TaskState>,
    /// Only tasks of this template
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// Only tasks in this namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Only tasks of which this step failed; where no state is given, they have failed themselves
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Only tasks that a step of failed with an error of this code or class; of --step, that one
    #[arg(long, value_name = "CODE")]
    pub(crate) error: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OneTask {
    /// The first digits of its id, @last, or @last:failed
    #[arg(default_value = "@last")]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The first digits of its id, @last, or @last:failed
    #[arg(default_value = "@last")]
    pub(crate) task: String,
    /// Watch at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Of one task, only this step; of all, those of which this step failed
    #[arg(long)]
    pub(crate) step: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("rerun_waits").args(["wait", "watch"]).multiple(true))]
pub(crate) struct RerunTask {
    /// The first digits of its id, @last, or @last:failed
    pub(crate) task: String,
    /// The step that is run anew, and with it all that come after it; of a batch, the step of its workers, or one worker
    #[arg(long, value_name = "STEP")]
    pub(crate) from: String,
    /// The context of the new task instead of that of the old one: JSON, @FILE, or - for standard input
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) input: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Wait until the new task is over, and print its result
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show the steps as they run until the new task is over
    #[arg(long)]
    pub(crate) watch: bool,
    /// Wait at most so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "rerun_waits")]
    pub(crate) timeout: Option<f64>,
}

/// An action on a task, or on all that a filter admits.
#[derive(Debug, Args)]
pub(crate) struct Acting {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only tasks of which this step failed
    #[arg(long, conflicts_with = "task")]
    pub(crate) step: Option<String>,
}

/// What is acted on, and why.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The first digits of its id, @last, or @last:failed
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) task: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// All tasks for which it makes sense, or those of them that are chosen with --state, --template, --namespace, --step
    /// and --error
    #[arg(long)]
    pub(crate) all: bool,
    /// Only tasks in this state; may be given more than once
    #[arg(short, long, value_parser = state, conflicts_with = "task")]
    pub(crate) state: Vec<TaskState>,
    /// Only tasks of this template
    #[arg(short, long, conflicts_with = "task")]
    pub(crate) template: Option<String>,
    /// Only tasks in this namespace
    #[arg(short, long, conflicts_with = "task")]
    pub(crate) namespace: Option<String>,
    /// Only tasks that a step of failed with an error of this code or class; of --step, that one
    #[arg(long, value_name = "CODE", conflicts_with = "task")]
    pub(crate) error: Option<String>,
    /// List what would be touched, and change nothing
    #[arg(long, conflicts_with = "task")]
    pub(crate) dry_run: bool,
}

impl Target {
    /// Which tasks are meant, where all are: of which this step failed, where one is named.
    pub(crate) fn filter(&self, step: Option<&String>) -> Filter {
        Filter {
            state: self.state.clone(),
            template: self.template.clone(),
            namespace: self.namespace.clone(),
            step: step.cloned(),
            error: self.error.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Show a step: its attempts, its result or error
    Show(OneStep),
    /// Try a failed step again
    Retry(StepActing),
    /// Leave a step out: it has no result, and what depends on it goes on
    Skip(StepActing),
    /// Close a step whose work was done by other means: it has no result, and what depends on it goes on
    Resolve(StepActing),
    /// Complete a step with a result, as if its handler had returned it
    Complete {
        #[command(flatten)]
        acting: StepActing,
        /// The result: JSON, @FILE, or - for standard input; of a decision, with the steps that go on
        #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
        result: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OneStep {
    /// The first digits of the task's id, @last, or @last:failed
    pub(crate) task: String,
    /// The step's name
    pub(crate) step: String,
}

/// An action on a step.
#[derive(Debug, Args)]
pub(crate) struct StepActing {
    #[command(flatten)]
    pub(crate) which: OneStep,
    /// Why, for the record; only a retry does without
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List what failed, by template, step and error
    List(DlqList),
    /// Show why a task failed: the errors of every attempt of each failed step
    Show(DeadTask),
    /// Close a failed task as it stands, for good
    Resolve(Acting),
}

#[derive(Debug, Args)]
pub(crate) struct DlqList {
    /// Failures of one kind together, or each failed task alone
    #[arg(short, long, value_enum, default_value_t = Grouping::Error)]
    pub(crate) group: Grouping,
    /// Only tasks of this template
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// Only tasks in this namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Only what failed in this step
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Only what failed with an error of this code or class
    #[arg(long, value_name = "CODE")]
    pub(crate) error: Option<String>,
    /// At most so many
    #[arg(short, long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    /// Of single tasks, only those that were accepted before this one
    #[arg(long, value_name = "TASK")]
    pub(crate) before: Option<String>,
}

/// What a list of failures puts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grouping {
    /// Failures of one template, step and error
    Error,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
pub(crate) struct DeadTask {
    /// The first digits of its id, @last, or @last:failed
    #[arg(default_value = "@last:failed")]
    pub(crate) task: String,
}

fn state(text: &str) -> Result<TaskState, String> {
    TaskState::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = TaskState::ALL.iter().map(|state| state.as_str()).collect();
        format!("a task is {}", known.join(", "))
    })
}
