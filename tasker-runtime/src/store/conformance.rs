//! What every store must do: one suite, instantiated for each by [`store_conformance!`](crate::store_conformance).
#![allow(missing_docs, reason = "the name of a test is its sentence")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "these are tests")]

pub mod batch;
pub mod checkpoint;
pub mod claim;
pub mod decision;
pub mod dropped;
pub mod due;
pub mod event;
pub mod fairness;
pub mod filter;
pub mod identity;
pub mod lease;
pub mod overdue;
pub mod payload;
pub mod prune;
pub mod read;
pub mod rerun;
pub mod sample;
pub mod template;
pub mod transact;
mod world;

pub use world::{World, assert_legal};

/// The text of each module of the suite: what is missing in the macro's list is found.
pub const SOURCES: &[(&str, &str)] = &[
    ("batch", include_str!("conformance/batch.rs")),
    ("checkpoint", include_str!("conformance/checkpoint.rs")),
    ("claim", include_str!("conformance/claim.rs")),
    ("decision", include_str!("conformance/decision.rs")),
    ("dropped", include_str!("conformance/dropped.rs")),
    ("due", include_str!("conformance/due.rs")),
    ("event", include_str!("conformance/event.rs")),
    ("fairness", include_str!("conformance/fairness.rs")),
    ("filter", include_str!("conformance/filter.rs")),
    ("identity", include_str!("conformance/identity.rs")),
    ("lease", include_str!("conformance/lease.rs")),
    ("overdue", include_str!("conformance/overdue.rs")),
    ("payload", include_str!("conformance/payload.rs")),
    ("prune", include_str!("conformance/prune.rs")),
    ("read", include_str!("conformance/read.rs")),
    ("rerun", include_str!("conformance/rerun.rs")),
    ("template", include_str!("conformance/template.rs")),
    ("transact", include_str!("conformance/transact.rs")),
];

/// One test for each function of the suite. `$open` is an async function that gives an empty store, and whatever must
/// live as long as the store does; where it is followed by `if` and a condition that does not hold, nothing is run.
#[macro_export]
macro_rules! store_conformance {
    ($open:ident) => {
        $crate::store_conformance! { $open if true }
    };
    ($open:ident if $ready:expr) => {
        $crate::store_conformance! { $open if $ready;
            batch {
                workers_of_a_batch_run_a_bounded_number_at_once,
                a_failed_worker_holds_the_batch_up_until_it_is_retried,
                who_waits_for_a_batch_is_given_the_results_of_all_workers,
                the_others_run_to_their_end_where_a_failure_stops_nobody,
                who_waits_for_a_batch_goes_on_where_there_is_nothing_to_do,
            }
            checkpoint {
                a_checkpoint_is_given_to_the_next_attempt,
                the_last_checkpoint_of_a_batch_counts,
                a_checkpoint_stays_when_its_step_is_over_and_goes_with_its_task,
                a_late_checkpoint_changes_nothing,
                a_large_checkpoint_is_given_back_as_it_was,
            }
            claim {
                nothing_is_claimed_without_slots_or_queues,
                ready_steps_are_claimed_by_priority_and_then_by_time,
                steps_of_one_moment_are_claimed_in_the_order_of_their_tasks,
                among_equals_each_queue_comes_first_in_turn,
                more_queues_than_one_statement_holds_are_looked_into,
                a_claim_takes_at_most_its_limit,
                a_claim_looks_only_into_its_queues,
                a_step_is_claimed_only_from_its_time_on,
                a_step_is_claimed_once,
                the_first_claim_starts_the_task,
                the_attempt_grows_with_each_claim,
                steps_with_losses_are_claimed_one_at_a_time,
                a_step_with_losses_is_not_claimed_unasked,
            }
            decision {
                a_decision_skips_what_it_does_not_choose,
                a_wide_decision_skips_all_of_the_rest,
                a_step_that_was_skipped_is_over_without_a_result,
                a_decision_below_another_is_asked_only_where_it_was_chosen,
            }
            dropped {
                a_dropped_submit_happened_or_did_not,
                a_dropped_outcome_happened_or_did_not,
                a_dropped_claim_happened_or_did_not,
                a_dropped_look_at_what_is_due_happened_or_did_not,
                a_dropped_lease_was_written_or_not,
                a_dropped_subscription_happened_or_did_not,
                a_dropped_prune_happened_or_did_not,
                dropped_maintenance_leaves_the_store_whole,
                dropped_reads_do_not_make_later_reads_stale,
            }
            due {
                a_step_is_ready_when_its_backoff_is_over,
                what_is_next_is_told,
                a_step_that_is_due_keeps_its_counts,
                steps_that_are_due_together_are_made_ready_in_bounded_portions,
                a_task_that_starts_later_is_made_ready_when_it_is_due,
            }
            event {
                events_are_rows_of_the_transaction_that_ends_their_attempt,
                what_is_ended_by_hand_before_its_next_attempt_is_told_beside_the_failure,
                a_task_that_is_acted_on_in_the_batch_that_makes_it_publishes,
                what_publishers_made_is_stored,
                a_refused_outcome_publishes_nothing,
                events_that_are_told_at_once_are_not_stored,
                a_subscriber_is_due_what_is_stored_after_it_came,
                what_was_delivered_is_not_due_any_more,
                events_of_a_task_come_in_their_order_and_in_bounded_portions,
                a_task_behind_one_with_many_events_is_found_by_the_next_look,
                events_behind_a_failed_one_wait_with_it,
                one_worker_at_a_time_gives_a_subscriber_its_events,
                lifecycle_events_are_stored_only_while_somebody_subscribes_to_them,
                an_undelivered_event_keeps_its_task_from_being_pruned,
                subscribers_and_events_are_told,
            }
            fairness {
                a_step_of_another_namespace_is_in_the_next_claim_behind_a_long_queue,
                the_only_free_slot_goes_to_each_queue_in_turn,
                a_high_priority_overtakes_chains_in_progress,
            }
            filter {
                tasks_are_listed_by_state_template_and_namespace,
                failures_are_grouped_by_template_step_and_error,
                tasks_are_listed_by_what_failed_of_them,
                workers_that_failed_are_meant_by_the_step_that_they_are_made_after,
            }
            identity {
                a_second_request_of_the_same_identity_is_answered_with_the_first_ones_task,
                a_request_that_wants_a_conflict_is_refused_and_names_the_task,
                requests_of_one_identity_in_one_batch_make_one_task,
                of_many_requests_at_once_one_makes_the_task,
                an_identity_is_forgotten_with_its_task,
            }
            lease {
                a_lease_is_held_until_it_ends,
                a_lease_that_is_renewed_lasts_longer,
                a_lease_that_has_ended_never_comes_back,
                a_lease_that_is_given_up_ends_at_once,
                only_a_worker_with_a_lease_claims,
                only_a_worker_with_a_lease_continues,
                the_holder_of_a_claim_can_end_it_after_its_lease,
                the_oldest_worker_with_a_lease_is_told,
                claims_of_workers_without_a_lease_are_told,
                claims_of_one_worker_are_told,
                claims_that_are_told_are_bounded,
                workers_are_told_with_their_queues,
                workers_are_forgotten_a_day_after_their_lease,
            }
            overdue {
                claims_that_are_held_for_too_long_are_told,
                each_claim_of_a_step_has_the_whole_time,
                a_claim_timeout_goes_with_its_task,
            }
            payload {
                text_is_given_back_as_it_was,
                large_values_are_given_back_as_they_were,
                an_outcome_without_detail_has_none,
                numbers_at_their_bounds_are_given_back,
            }
            prune {
                tasks_that_ended_before_are_deleted_with_all_their_rows,
                an_open_task_is_never_deleted,
                a_failed_task_that_was_reopened_is_not_deleted,
                the_number_of_deleted_tasks_is_bounded,
                a_pruned_task_can_be_submitted_again,
            }
            read {
                a_task_that_does_not_exist_is_not_found,
                a_task_is_shown_with_every_step_in_its_state,
                a_step_shows_its_attempts,
                failures_and_losses_are_shown_of_steps_that_are_over,
                a_cancelled_task_shows_every_step_that_will_not_run_as_cancelled,
                a_task_shows_what_operators_did_to_it_in_the_order_of_time,
                tasks_are_listed_newest_first_page_by_page,
                a_page_is_bounded,
                a_task_is_found_by_the_beginning_of_its_id,
                what_there_is_is_counted,
                inputs_are_the_context_and_the_results_that_exist,
                inputs_are_given_once_a_task_in_their_order,
                tasks_that_are_being_cancelled_are_told,
                all_rows_are_read_in_portions,
                what_this_process_writes_does_not_change_the_version,
                the_state_of_a_task_is_told,
            }
            rerun {
                a_rerun_takes_results_over_as_they_stand,
                a_rerun_is_told_at_both_ends,
                a_rerun_of_a_batch_takes_its_workers_over,
                a_rerun_of_what_was_done_in_the_same_batch_takes_that_over,
                a_rerun_outlives_the_task_that_it_runs_again,
                a_wide_rerun_is_written_whole,
                a_rerun_is_made_once,
            }
            template {
                a_template_is_stored_once_by_its_content,
                another_content_of_the_same_version_is_another_template,
                older_content_that_is_registered_again_is_the_newest,
                the_newest_version_is_found_by_its_numbers,
                a_version_is_found_by_its_name,
                a_template_that_does_not_exist_is_not_found,
                a_pinned_template_is_what_was_stored,
                steps_with_one_handler_share_a_queue_within_a_namespace,
                templates_are_listed_in_order_with_their_open_tasks,
                templates_that_limit_the_time_of_a_task_are_found,
                a_task_ends_on_the_template_that_it_started_with,
                all_queues_are_told,
            }
            transact {
                an_empty_batch_changes_nothing,
                a_refused_command_changes_nothing,
                a_task_is_out_of_time_only_by_what_was_done_to_it_before,
                what_was_out_of_time_is_retried,
                a_batch_with_one_refusal_commits_the_rest,
                a_batch_that_cannot_be_written_changes_nothing,
                only_the_holder_of_a_claim_can_end_it,
                rows_are_read_back_as_they_were_decided,
                batches_larger_than_a_statement_are_written_whole,
                a_wide_fan_runs_to_its_end,
                a_retry_moves_results_to_the_attempts,
                a_cancel_ends_every_step,
                the_same_action_is_taken_once,
                a_continuation_is_a_claim,
                a_continuation_does_not_pass_what_has_a_higher_priority,
                a_batch_tells_when_the_first_of_its_retries_is_due,
                a_paused_task_waits_until_it_goes_on,
                steps_are_ended_by_hand,
            }
        }
    };
    ($open:ident if $ready:expr; $($module:ident { $($name:ident,)+ })+) => {
        $(mod $module {
            // A connection that is being made when a test ends is made by another thread.
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn $name() {
                if !$ready {
                    return;
                }
                let (store, _kept) = super::$open().await;
                $crate::store::conformance::$module::$name(&store).await;
            })+
        })+

        #[test]
        fn every_function_of_the_suite_is_run() {
            let listed = [$((stringify!($module), vec![$(stringify!($name)),+])),+];
            for ((module, source), (named, names)) in $crate::store::conformance::SOURCES.iter().zip(&listed) {
                let start = "pub async fn ";
                let written: Vec<&str> = source
                    .lines()
                    .filter_map(|line| line.strip_prefix(start))
                    .filter_map(|rest| rest.split('(').next())
                    .collect();
                assert_eq!((module, &written), (named, names));
            }
        }
    };
}
