use serde_json::json;

use super::*;

const AT: Timestamp = Timestamp::from_micros(1_000_000);

/// A step named `pay` that ended so at this attempt, with its error.
fn step(state: StepState, attempt: u32, failures: u32, attempts: Vec<AttemptView>) -> StepView {
    let error = json!({ "message": "declined", "error_type": "handler_error", "retryable": false });
    StepView {
        number: StepNumber(0),
        name: "pay".to_owned(),
        state,
        attempt,
        failures,
        losses: 0,
        unmet: 0,
        ready_at: Some(AT),
        claimed_at: Some(AT),
        finished_at: Some(AT + Duration::from_millis(7)),
        worker: None,
        result: None,
        detail: (state == StepState::Failed).then_some(error),
        attempts,
        checkpoint: None,
        is_copied: false,
    }
}

fn attempt(attempt: u32, outcome: AttemptOutcome) -> AttemptView {
    let retry_at = (outcome == AttemptOutcome::Failed).then_some(AT + Duration::from_millis(100));
    AttemptView { attempt, outcome, claimed_at: Some(AT), finished_at: AT, retry_at, detail: None }
}

fn plain(line: &str) -> String {
    anstream::adapter::strip_str(line).to_string()
}

fn end(step: &StepView, most: u32) -> String {
    plain(&end_line(step, None, None, most, 3))
}

fn attempts(step: &StepView, most: u32) -> Vec<String> {
    let lines = (0..step.attempts.len()).filter_map(|at| attempt_line(step, at, most, 3));
    lines.map(|(_, line)| plain(&line)).collect()
}

#[test]
fn a_failure_that_is_final_promises_no_other_attempt() {
    let final_one = step(StepState::Failed, 1, 1, Vec::new());
    assert_eq!(end(&final_one, 3), "  ✖ pay  attempt 1  handler_error: declined  not tried again");
}

#[test]
fn the_last_of_all_attempts_is_told_with_their_number() {
    let earlier = vec![attempt(1, AttemptOutcome::Failed), attempt(2, AttemptOutcome::Failed)];
    let exhausted = step(StepState::Failed, 3, 3, earlier);
    assert_eq!(end(&exhausted, 3), "  ✖ pay  attempt 3/3  handler_error: declined");
    assert_eq!(
        attempts(&exhausted, 3),
        ["  ✖ pay  attempt 1/3  again in 100 ms", "  ✖ pay  attempt 2/3  again in 100 ms"]
    );
    assert_eq!(end(&step(StepState::Failed, 1, 1, Vec::new()), 1), "  ✖ pay  attempt 1/1  handler_error: declined");
}

#[test]
fn attempts_that_do_not_count_are_not_counted_against_the_limit() {
    let lost = vec![attempt(1, AttemptOutcome::Lost), attempt(2, AttemptOutcome::Failed)];
    let done = step(StepState::Completed, 3, 1, lost);
    assert_eq!(
        attempts(&done, 2),
        ["  ↻ pay  attempt 1  its worker died", "  ✖ pay  attempt 2  again in 100 ms"],
        "the second attempt is the first that failed"
    );
    assert_eq!(end(&done, 2), "  ✔ pay  attempt 3  7 ms");
    let reopened = vec![attempt(1, AttemptOutcome::Reopened), attempt(2, AttemptOutcome::Failed)];
    let again = step(StepState::Completed, 3, 1, reopened);
    assert_eq!(attempts(&again, 2), ["  ✖ pay  attempt 2  again in 100 ms"]);
}

#[test]
fn a_number_that_lost_attempts_are_in_has_no_bound() {
    let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
    let bound = |state, attempt, failures| bound_of(&step(state, attempt, failures, Vec::new()), &policy);
    assert_eq!(bound(StepState::Completed, 1, 0), Some(3));
    assert_eq!(bound(StepState::Running, 2, 1), Some(3));
    assert_eq!(bound(StepState::WaitingForRetry, 2, 2), Some(3));
    assert_eq!(bound(StepState::Failed, 3, 3), Some(3));
    assert_eq!(bound(StepState::Completed, 4, 0), None, "three were lost");
    assert_eq!(bound(StepState::Failed, 4, 3), None);
}

#[test]
fn a_step_that_may_not_be_tried_again_has_one_attempt() {
    assert_eq!(most_failures(&RetryPolicy { retryable: false, ..RetryPolicy::default() }), 1);
    assert_eq!(most_failures(&RetryPolicy { max_attempts: 5, ..RetryPolicy::default() }), 5);
}

#[test]
fn what_was_done_by_hand_says_by_whom_and_why() {
    let action = |actor: &str, reason: &str| ActionRow {
        id: uuid::Uuid::nil(),
        task: tasker_types::TaskId::from_uuid(uuid::Uuid::nil()),
        number: Some(StepNumber(0)),
        kind: "resolve",
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        at: AT,
    };
    let resolved = step(StepState::ResolvedManually, 2, 2, Vec::new());
    let line = |by: &ActionRow| plain(&end_line(&resolved, None, Some(by), 3, 3));
    assert_eq!(line(&action("ada", "paid in cash")), "  ✔ pay  resolved by ada: paid in cash");
    assert_eq!(line(&action("", "")), "  ✔ pay  resolved by hand");
    assert_eq!(line(&action("a\u{1b}[2J", "b\nc")), "  ✔ pay  resolved by a\u{fffd}[2J: b c");
    assert_eq!(end(&step(StepState::Skipped, 0, 0, Vec::new()), 3), "  ↷ pay  skipped");
}

#[test]
fn a_step_that_was_skipped_says_why() {
    let never_tried = StepView { ready_at: None, claimed_at: None, ..step(StepState::Skipped, 0, 0, Vec::new()) };
    let told = |skip| plain(&end_line(&never_tried, Some(skip), None, 3, 3));
    assert_eq!(told(Skip::NotChosen { by: "route" }), "  ↷ pay  not chosen by `route`");
    assert_eq!(told(Skip::AfterSkipped { step: "ask" }), "  ↷ pay  comes after `ask`, which was skipped");
    assert_eq!(told(Skip::ByHand { by: "ada" }), "  ↷ pay  skipped by hand");
    let failed = |attempt, attempts| {
        let detail = step(StepState::Failed, 1, 1, Vec::new()).detail;
        let failures = attempt - 1;
        plain(&end_line(
            &StepView { detail, ..step(StepState::Skipped, attempt, failures, attempts) },
            Some(Skip::Failed),
            None,
            2,
            3,
        ))
    };
    assert_eq!(failed(1, Vec::new()), "  ↷ pay  attempt 1  handler_error: declined  skipped over");
    let before = vec![attempt(1, AttemptOutcome::Failed)];
    assert_eq!(failed(2, before.clone()), "  ↷ pay  attempt 2/2  handler_error: declined  skipped over");
    assert_eq!(bound_of(&step(StepState::Skipped, 2, 1, before), &RetryPolicy::default()), Some(3));
}
