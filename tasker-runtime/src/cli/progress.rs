//! A task as it goes on: a line for everything that ended, and, on a terminal, what runs right now below them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tasker_types::{RetryPolicy, StepNumber, StepState, TaskState, Timestamp};

use super::batches::Batch;
use super::document::{error_in, error_of};
use super::human;
use super::live;
use super::screen::{BAD, BOLD, DIM, GOOD, Screen, WARN};
use super::skip::Skip;
use crate::core::{ActionRow, AttemptOutcome};
use crate::store::{AttemptView, StepView, TaskView};

/// From so many steps on, a line for each would hide what matters.
const MANY_STEPS: usize = 100;
/// Running steps that are shown one by one.
const SHOWN_RUNNING: usize = 8;
/// The widest column of names.
const NAME_MAX: usize = 40;
/// The letters that a worker's name has more than that of its step, as in `_001`.
const WORKER_SUFFIX: usize = 4;
const FRAME: Duration = Duration::from_millis(100);

/// A task as it goes on.
pub(crate) struct Progress {
    screen: Screen,
    told: BTreeMap<StepNumber, Told>,
    paused: bool,
    width: usize,
    moving: Option<Moving>,
}

/// What was said of a step.
#[derive(Debug, Default)]
struct Told {
    attempts: usize,
    ended: bool,
}

/// The part of the screen that moves.
struct Moving {
    all: MultiProgress,
    bars: BTreeMap<StepNumber, ProgressBar>,
    /// How far the workers of each batch are.
    batches: BTreeMap<StepNumber, ProgressBar>,
    total: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show a task, with what ended before.
    pub(crate) fn begin(screen: Screen, view: &TaskView, short: &str) -> Self {
        let steps = view.steps.len();
        let name = &view.row.pinned.template.name;
        let count = human::count(u64::try_from(steps).unwrap_or(u64::MAX), "step");
        screen.status(format!("{BOLD}▶ {name}{BOLD:#}  {short}  {DIM}{count}{DIM:#}"));
        let width = view.steps.iter().map(|step| width_of(step, view)).max().unwrap_or(0).min(NAME_MAX);
        let moving = screen.is_live().then(Moving::start);
        Self { screen, told: BTreeMap::new(), paused: false, width, moving }
    }

    /// Says what is new, and shows what runs.
    pub(crate) fn show(&mut self, view: &TaskView, now: Timestamp) {
        if !self.screen.tells() {
            return;
        }
        let mut lines = Vec::new();
        for step in &view.steps {
            self.collect(step, view, &mut lines);
        }
        lines.sort_by_key(|(at, _)| *at);
        if !lines.is_empty() {
            let text: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
            self.screen.status(text.join("\n"));
        }
        if let Some(line) = self.pause_line(view) {
            self.screen.status(line);
        }
        if let Some(moving) = &mut self.moving {
            moving.show(view, self.width, now);
        }
    }

    /// What is to be said of a task that was paused since the last look, or resumed.
    fn pause_line(&mut self, view: &TaskView) -> Option<String> {
        let (state, was) = (view.row.state, self.paused);
        self.paused = state == TaskState::Paused;
        let (kind, style, words) = match (was, self.paused) {
            (false, true) => ("pause", WARN, "‖ paused"),
            (true, false) if !state.is_over() && state != TaskState::Cancelling => ("resume", BOLD, "▶ resumed"),
            _ => return None,
        };
        let by = view
            .actions
            .iter()
            .rfind(|action| action.kind == kind)
            .map(|action| by_whom(action, ""))
            .unwrap_or_default();
        Some(format!("{style}{words}{style:#}{by}"))
    }

    fn collect(&mut self, step: &StepView, view: &TaskView, lines: &mut Vec<(Timestamp, String)>) {
        let most = most_failures(&view.row.pinned.step(step.number).retry);
        let width = self.width;
        let told = self.told.entry(step.number).or_default();
        for at in told.attempts..step.attempts.len() {
            lines.extend(attempt_line(step, at, most, width));
        }
        told.attempts = step.attempts.len();
        let ended = step.state.is_over();
        if ended && !told.ended {
            let quiet =
                view.steps.len() >= MANY_STEPS && matches!(step.state, StepState::Completed | StepState::Skipped);
            if let (false, Some(at)) = (quiet, step.finished_at) {
                lines.push((at, end_line(step, Skip::of(view, step), ended_by(view, step.number), most, width)));
            }
        }
        told.ended = ended;
    }

    /// Takes away what moves, and says how the task ended.
    pub(crate) fn end(mut self, view: &TaskView, now: Timestamp) {
        self.show(view, now);
        let screen = self.screen;
        drop(self);
        let row = &view.row;
        let took = row.finished_at.map(|end| end.since(row.created_at)).unwrap_or_default();
        let (mark, style) = mark_of(row.state);
        let skipped = match view.steps.iter().filter(|step| step.state == StepState::Skipped).count() {
            0 => String::new(),
            number => format!(", {number} of {} steps skipped", view.steps.len()),
        };
        screen.status(format!("{style}{mark} {}{style:#} in {}{skipped}", words(row.state), human::duration(took)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(moving) = self.moving.take() {
            // A terminal that is gone shows nothing anyway.
            let _ = moving.all.clear();
            live::set(None);
        }
    }
}

impl Moving {
    fn start() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        live::set(Some(all.clone()));
        Self { all, bars: BTreeMap::new(), batches: BTreeMap::new(), total: None }
    }

    /// How far the whole task is, where it has many steps; workers of batches may have made them many.
    fn show_total(&mut self, view: &TaskView) {
        if view.steps.len() < MANY_STEPS {
            return;
        }
        let length = u64::try_from(view.steps.len()).unwrap_or(u64::MAX);
        let bar = self.total.get_or_insert_with(|| {
            let bar = self.all.insert(0, ProgressBar::new(length));
            bar.set_style(style("  {bar:30} {pos}/{len} steps  {elapsed}"));
            bar.enable_steady_tick(FRAME);
            bar
        });
        let over = view.steps.iter().filter(|step| step.state.is_over()).count();
        bar.set_length(length);
        bar.set_position(u64::try_from(over).unwrap_or(u64::MAX));
    }

    /// How far the workers of each batch are.
    fn show_batches(&mut self, view: &TaskView, width: usize) {
        for batch in Batch::all(view) {
            if batch.is_over() {
                if let Some(bar) = self.batches.remove(&batch.of) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                continue;
            }
            let bar = self.batches.entry(batch.of).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner:.cyan} {msg}"));
                bar.enable_steady_tick(FRAME);
                bar
            });
            bar.set_message(format!("{:width$}  {}", batch.name, batch.count()));
        }
    }

    fn show(&mut self, view: &TaskView, width: usize, now: Timestamp) {
        self.show_total(view);
        self.show_batches(view, width);
        let busy = |step: &&StepView| matches!(step.state, StepState::Running | StepState::WaitingForRetry);
        let shown: Vec<&StepView> = view.steps.iter().filter(busy).take(SHOWN_RUNNING).collect();
        self.bars.retain(|number, bar| {
            let stays = shown.iter().any(|step| step.number == *number);
            if !stays {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            stays
        });
        for step in shown {
            let bar = self.bars.entry(step.number).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(style("  {spinner:.cyan} {msg}"));
                bar.enable_steady_tick(FRAME);
                bar
            });
            let since = match step.state {
                StepState::WaitingForRetry if is_held(step, view) => "held".to_owned(),
                StepState::WaitingForRetry => {
                    let left = step.ready_at.map(|at| at.since(now)).unwrap_or_default();
                    let what = if step.attempt == 0 { "starts" } else { "again" };
                    format!("{what} in {}", human::duration(left))
                }
                _ => human::duration(step.claimed_at.map(|at| now.since(at)).unwrap_or_default()),
            };
            let which = if step.attempt > 1 { format!("attempt {}  ", step.attempt) } else { String::new() };
            bar.set_message(format!("{:width$}  {DIM}{which}{since}{DIM:#}", step.name));
        }
    }
}

/// The letters of a step's name; where workers will be made after it, of theirs.
fn width_of(step: &StepView, view: &TaskView) -> usize {
    let pinned = &view.row.pinned;
    let suffix = pinned.worker_index(step.number).is_none() && pinned.step(step.number).is_batch_worker();
    step.name.chars().count() + if suffix { WORKER_SUFFIX } else { 0 }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// How many attempts may fail before the step does.
pub(crate) fn most_failures(policy: &RetryPolicy) -> u32 {
    if policy.retryable { policy.max_attempts } else { 1 }
}

/// Which attempt it was, and of how many: where another one was lost, given back or reopened, the number of attempts is
/// not what `max_attempts` bounds.
fn numbered(attempt: u32, failures_before: u32, most: u32) -> String {
    if attempt == failures_before + 1 { format!("attempt {attempt}/{most}") } else { format!("attempt {attempt}") }
}

/// How many attempts may fail, where the number of the step's last one can be held against that.
pub(crate) fn bound_of(step: &StepView, policy: &RetryPolicy) -> Option<u32> {
    // The failure that a step was skipped over for is not among them: it is its result.
    let failed = u32::from(!matches!(
        step.state,
        StepState::Running | StepState::Completed | StepState::Cancelled | StepState::Skipped
    ));
    let most = most_failures(policy);
    (step.attempt == step.failures.saturating_sub(failed) + 1).then_some(most)
}

/// Attempts that failed by themselves among these, since the last one that was reopened.
fn failures_in(attempts: &[AttemptView]) -> u32 {
    let counted = attempts.iter().rev().take_while(|attempt| attempt.outcome != AttemptOutcome::Reopened);
    counted.map(|attempt| u32::from(matches!(attempt.outcome, AttemptOutcome::Failed | AttemptOutcome::TimedOut))).sum()
}

/// An attempt that did not end its step, and when that was.
fn attempt_line(step: &StepView, at: usize, most: u32, width: usize) -> Option<(Timestamp, String)> {
    let attempt = step.attempts.get(at)?;
    let mut line = format!("  {WARN}{}{WARN:#} {:width$}  ", mark_of_attempt(attempt.outcome)?, step.name);
    match attempt.outcome {
        AttemptOutcome::Lost => _ = write!(line, "attempt {}  its worker died", attempt.attempt),
        AttemptOutcome::Released => _ = write!(line, "attempt {}  its worker was stopped", attempt.attempt),
        _ => {
            line.push_str(&numbered(attempt.attempt, failures_in(&step.attempts[..at]), most));
            if let Some(error) = attempt.detail.as_ref().and_then(error_in) {
                _ = write!(line, "  {}", error_text(error.error_type.as_deref(), &error.message));
            }
        }
    }
    if let Some(again) = attempt.retry_at {
        let delay = human::duration(again.since(attempt.finished_at));
        _ = write!(line, "  {DIM}again in {delay}{DIM:#}");
    }
    Some((attempt.finished_at, line))
}

fn mark_of_attempt(outcome: AttemptOutcome) -> Option<char> {
    match outcome {
        AttemptOutcome::Failed | AttemptOutcome::TimedOut => Some('✖'),
        AttemptOutcome::Lost | AttemptOutcome::Released => Some('↻'),
        AttemptOutcome::Reopened => None,
    }
}

/// Whether a step could go on and may not, since its task is paused.
pub(crate) fn is_held(step: &StepView, view: &TaskView) -> bool {
    view.row.state == TaskState::Paused && matches!(step.state, StepState::Ready | StepState::WaitingForRetry)
}

/// What ended the step, where an operator did.
fn ended_by(view: &TaskView, number: StepNumber) -> Option<&ActionRow> {
    let ends = |action: &&ActionRow| ["skip", "resolve", "complete"].contains(&action.kind);
    view.actions.iter().filter(ends).find(|action| action.number == Some(number))
}

/// Who took an action, and why.
fn by_whom(action: &ActionRow, nobody: &str) -> String {
    let mut by = match action.actor.as_str() {
        "" => nobody.to_owned(),
        actor => format!(" by {}", human::visible(actor)),
    };
    if !action.reason.is_empty() {
        _ = write!(by, ": {}", human::visible(&action.reason));
    }
    by
}

/// The end of a step.
fn end_line(step: &StepView, skip: Option<Skip<'_>>, by: Option<&ActionRow>, most: u32, width: usize) -> String {
    let (mark, style) = mark_of_step(step.state);
    let mut line = format!("  {style}{mark}{style:#} {:width$}  ", step.name);
    let took = step.claimed_at.zip(step.finished_at).map(|(from, to)| human::duration(to.since(from)));
    if let Some(by) = by {
        let done = if step.state == StepState::ResolvedManually { "resolved" } else { step.state.as_str() };
        _ = write!(line, "{done}{}", by_whom(by, " by hand"));
        return line;
    }
    match step.state {
        StepState::Completed => {
            if step.attempt > 1 {
                _ = write!(line, "{}  ", numbered(step.attempt, step.failures, most));
            }
            line.push_str(&took.unwrap_or_default());
        }
        StepState::Failed => {
            let exhausted = write_failure(&mut line, step, step.failures, most);
            if !exhausted {
                _ = write!(line, "  {DIM}not tried again{DIM:#}");
            }
        }
        StepState::Skipped if skip == Some(Skip::Failed) => {
            // The failure that it was skipped over for is not among those that are counted.
            write_failure(&mut line, step, step.failures + 1, most);
            _ = write!(line, "  {DIM}skipped over{DIM:#}");
        }
        state => match skip {
            Some(skip) => _ = write!(line, "{DIM}{skip}{DIM:#}"),
            None => line.push_str(&words_of_step(state)),
        },
    }
    line.trim_end().to_owned()
}

/// The last of so many failures: whether there were as many as there may be.
fn write_failure(line: &mut String, step: &StepView, failures: u32, most: u32) -> bool {
    // A failure that is final says so: a number of attempts beside it would promise another one.
    let exhausted = failures >= most;
    if exhausted {
        _ = write!(line, "{}  ", numbered(step.attempt, failures.saturating_sub(1), most));
    } else if step.attempt > 0 {
        _ = write!(line, "attempt {}  ", step.attempt);
    }
    if let Some(error) = error_of(step) {
        line.push_str(&error_text(error.error_type.as_deref(), &error.message));
    }
    exhausted
}

/// An error in one line: its type, where the message does not begin with it, and its message.
pub(crate) fn error_text(error_type: Option<&str>, message: &str) -> String {
    let message = human::visible(message.lines().next().unwrap_or_default());
    match error_type {
        Some(kind) if !message.starts_with(kind) => format!("{}: {message}", human::visible(kind)),
        _ => message,
    }
}

pub(crate) fn mark_of(state: TaskState) -> (char, Style) {
    match state {
        TaskState::Completed | TaskState::ResolvedManually => ('✔', GOOD),
        TaskState::Failed => ('✖', BAD),
        TaskState::Cancelled | TaskState::Cancelling => ('■', WARN),
        TaskState::Paused => ('‖', WARN),
        TaskState::Running => ('▶', BOLD),
        TaskState::Pending => ('·', DIM),
    }
}

pub(crate) fn mark_of_step(state: StepState) -> (char, Style) {
    match state {
        StepState::Completed | StepState::ResolvedManually => ('✔', GOOD),
        StepState::Failed => ('✖', BAD),
        StepState::Cancelled => ('■', WARN),
        StepState::Skipped => ('↷', DIM),
        StepState::Running => ('▶', BOLD),
        StepState::WaitingForRetry => ('↻', WARN),
        StepState::Ready => ('○', BOLD),
        StepState::Pending => ('·', DIM),
    }
}

pub(crate) fn words(state: TaskState) -> &'static str {
    match state {
        TaskState::ResolvedManually => "resolved by hand",
        state => state.as_str(),
    }
}

pub(crate) fn words_of_step(state: StepState) -> String {
    match state {
        StepState::ResolvedManually => "resolved by hand".to_owned(),
        state => state.as_str().replace('_', " "),
    }
}
