-- The view for people, which says when a step was last attempted while it waits for its retry, too.
CREATE OR REPLACE VIEW tasker.workflow_steps AS
SELECT
    t.id AS task_uuid,
    (left(t.id::text, 30) || lpad(to_hex(s.number + 1), 6, '0'))::uuid AS workflow_step_uuid,
    s.number,
    s.name,
    CASE coalesce(r.outcome, l.state, CASE WHEN t.state IN (5, 6) THEN 6 ELSE 0 END)
        WHEN 0 THEN 'pending' WHEN 1 THEN 'ready' WHEN 2 THEN 'running' WHEN 3 THEN 'waiting_for_retry' WHEN 4 THEN 'completed'
        WHEN 5 THEN 'failed' WHEN 6 THEN 'cancelled' WHEN 7 THEN 'skipped' ELSE 'resolved_manually'
    END AS state,
    coalesce(r.attempt, l.attempt, 0) AS attempts,
    s.retry_limit,
    s.retryable,
    s.skippable,
    coalesce(l.state = 2, false) AS in_process,
    coalesce(r.outcome IN (4, 7, 8), false) AS processed,
    coalesce(r.worker, l.claimed_by) AS worker,
    to_timestamp(coalesce(r.ready_at, CASE WHEN l.state > 0 THEN l.ready_at END) / 1e6) AS ready_at,
    to_timestamp(coalesce(r.claimed_at, l.claimed_at, (
        SELECT max(a.claimed_at) FROM tasker.step_attempts AS a WHERE a.task = t.id AND a.number = s.number
    )) / 1e6) AS last_attempted_at,
    to_timestamp(CASE WHEN r.outcome IN (4, 7, 8) THEN r.finished_at END / 1e6) AS processed_at,
    to_timestamp(r.finished_at / 1e6) AS finished_at,
    CASE WHEN l.state = 3 THEN ceil((l.ready_at / 1e6 - extract(epoch FROM clock_timestamp())))::integer END AS backoff_request_seconds,
    r.result AS results,
    r.detail
FROM tasker.tasks AS t
JOIN tasker.templates AS p ON p.id = t.template
CROSS JOIN LATERAL (
    SELECT
        coalesce(w.number, e.place - 1)::integer AS number,
        e.name || coalesce('_' || lpad(w.worker::text, greatest(3, length(w.worker::text)), '0'), '') AS name,
        (p.body::json #>> ARRAY['steps', (e.place - 1)::text, 'retry', 'max_attempts'])::bigint AS retry_limit,
        (p.body::json #>> ARRAY['steps', (e.place - 1)::text, 'retry', 'retryable'])::boolean AS retryable,
        e.skippable
    FROM (
        SELECT
            x.place,
            x.step ->> 'name' AS name,
            coalesce((x.step ->> 'skippable')::boolean, false) AS skippable,
            -- Workers have the numbers after those of all steps, one in turn for each step that they are made after.
            count(*) OVER () AS steps,
            count(*) FILTER (WHERE x.step ->> 'type' = 'batch_worker') OVER () AS stride,
            count(*) FILTER (WHERE x.step ->> 'type' = 'batch_worker') OVER (ORDER BY x.place) - 1 AS turn
        FROM json_array_elements(p.body::json #> '{template,steps}') WITH ORDINALITY AS x (step, place)
    ) AS e
    LEFT JOIN tasker.batches AS b ON b.task = t.id AND b.number = e.place - 1
    LEFT JOIN LATERAL (
        SELECT e.steps + e.stride * (i - 1) + e.turn AS number, i AS worker FROM generate_series(1, b.count) AS i
    ) AS w ON true
) AS s
LEFT JOIN tasker.live_steps AS l ON l.task = t.id AND l.number = s.number
LEFT JOIN tasker.step_results AS r ON r.task = t.id AND r.number = s.number;
