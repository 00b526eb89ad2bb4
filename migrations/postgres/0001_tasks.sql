-- Times are microseconds since 1970-01-01T00:00:00Z, as in the embedded database; the views show them as timestamps.
-- A task's id is a UUIDv7 whose low 24 bits are zero; a step's is its task's with them set to its number + 1.
-- Task states:  0 pending, 1 running, 2 paused, 3 completed, 4 failed, 5 cancelling, 6 cancelled, 7 resolved_manually
-- Step states:  0 pending, 1 ready, 2 running, 3 waiting_for_retry, 4 completed, 5 failed, 6 cancelled, 7 skipped, 8 resolved_manually

-- A template by its content: what a task started with is what it ends with.
CREATE TABLE tasker.templates (
    id         bigint NOT NULL PRIMARY KEY,
    hash       bytea  NOT NULL UNIQUE CHECK (length(hash) = 32),
    namespace  text   NOT NULL,
    name       text   NOT NULL,
    version    text   NOT NULL,
    body       text   NOT NULL,
    -- Of two contents of one version, new tasks take the one with the higher generation.
    generation bigint NOT NULL,
    stored_at  bigint NOT NULL
);
CREATE INDEX templates_name ON tasker.templates (namespace, name);

-- What a claim filters by: a namespace and the handler that a step needs.
CREATE TABLE tasker.queues (
    id        bigint NOT NULL PRIMARY KEY,
    namespace text   NOT NULL,
    handler   text   NOT NULL,
    UNIQUE (namespace, handler)
);

-- Its template is looked up by whoever inserts it. A foreign key would lock the template's row once for each task, and
-- templates are never deleted.
CREATE TABLE tasker.tasks (
    id          uuid     NOT NULL PRIMARY KEY,
    template    bigint   NOT NULL,
    state       smallint NOT NULL CHECK (state BETWEEN 0 AND 7),
    open_steps  integer  NOT NULL CHECK (open_steps >= 0),
    runnable    integer  NOT NULL CHECK (runnable >= 0),
    priority    smallint NOT NULL CHECK (priority BETWEEN -100 AND 100),
    created_at  bigint   NOT NULL,
    started_at  bigint,
    finished_at bigint,
    CHECK (state NOT IN (3, 6) OR runnable = 0),
    CHECK ((state IN (3, 4, 6, 7)) = (finished_at IS NOT NULL))
    -- Counters change in place, in the page where the row is.
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX tasks_open ON tasker.tasks (id) WHERE state IN (0, 1, 2, 5);
CREATE INDEX tasks_failed ON tasker.tasks (id) WHERE state = 4;

-- What a task was submitted with, apart from the row whose counters change.
CREATE TABLE tasker.task_inputs (
    task           uuid NOT NULL PRIMARY KEY,
    context        text NOT NULL,
    correlation_id text NOT NULL,
    initiator      text NOT NULL,
    source_system  text NOT NULL,
    reason         text NOT NULL
);

-- Steps that were touched and are not over. A step without a row here and in step_results is pending.
CREATE TABLE tasker.live_steps (
    task       uuid     NOT NULL,
    number     integer  NOT NULL CHECK (number >= 0),
    state      smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
    attempt    integer  NOT NULL CHECK (attempt >= 0),
    failures   integer  NOT NULL CHECK (failures >= 0),
    losses     integer  NOT NULL CHECK (losses >= 0),
    unmet      integer  NOT NULL CHECK (unmet >= 0),
    met        boolean  NOT NULL,
    queue      bigint   NOT NULL,
    priority   smallint NOT NULL,
    ready_at   bigint   NOT NULL,
    held       boolean  NOT NULL,
    claimed_by uuid,
    claimed_at bigint,
    PRIMARY KEY (task, number),
    CHECK ((state = 0) = (unmet > 0)),
    CHECK ((state = 2) = (claimed_by IS NOT NULL)),
    CHECK ((state = 2) = (claimed_at IS NOT NULL))
    -- The one table whose rows come and go: it stays small only where it is vacuumed often, whatever its size.
) WITH (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000
);
-- The order of a claim. The conditions are written in it and in the statements alike: a parameter would not match them.
CREATE INDEX live_steps_claim ON tasker.live_steps (queue, priority DESC, ready_at, task, number)
    WHERE state = 1 AND NOT held AND losses = 0;
CREATE INDEX live_steps_lossy ON tasker.live_steps (queue, priority DESC, ready_at, task, number)
    WHERE state = 1 AND NOT held AND losses > 0;
CREATE INDEX live_steps_due ON tasker.live_steps (ready_at) WHERE state = 3 AND NOT held;
CREATE INDEX live_steps_running ON tasker.live_steps (task, number) WHERE state = 2;

-- Steps that are over. Cause: 0 handler, 1 decision, 2 skippable, 3 operator, 4 losses.
CREATE TABLE tasker.step_results (
    task        uuid     NOT NULL,
    number      integer  NOT NULL,
    outcome     smallint NOT NULL CHECK (outcome BETWEEN 4 AND 8),
    cause       smallint NOT NULL CHECK (cause BETWEEN 0 AND 4),
    attempt     integer  NOT NULL,
    worker      uuid,
    ready_at    bigint,
    claimed_at  bigint,
    finished_at bigint   NOT NULL,
    result      text,
    detail      text,
    PRIMARY KEY (task, number),
    CHECK ((outcome = 4) = (result IS NOT NULL))
);

-- Attempts that did not end their step. Outcome: 0 failed, 1 timed out, 2 lost, 3 released, 4 reopened by an operator.
CREATE TABLE tasker.step_attempts (
    task        uuid     NOT NULL,
    number      integer  NOT NULL,
    attempt     integer  NOT NULL,
    outcome     smallint NOT NULL CHECK (outcome BETWEEN 0 AND 4),
    worker      uuid,
    ready_at    bigint,
    claimed_at  bigint,
    finished_at bigint   NOT NULL,
    retry_at    bigint,
    detail      text,
    PRIMARY KEY (task, number, attempt)
);

-- What operators did.
CREATE TABLE tasker.actions (
    id     uuid   NOT NULL PRIMARY KEY,
    task   uuid   NOT NULL,
    number integer,
    kind   text   NOT NULL,
    actor  text   NOT NULL,
    reason text   NOT NULL,
    at     bigint NOT NULL
);
CREATE INDEX actions_task ON tasker.actions (task);

-- Processes that run steps: one row for each start of one. Its right to its claims ends with its lease, by the clock of
-- this server, unless it is renewed; an incarnation whose lease has ended never comes back.
CREATE TABLE tasker.workers (
    incarnation uuid     NOT NULL PRIMARY KEY,
    label       text     NOT NULL,
    -- The numbers of the queues whose handlers it has.
    queues      bigint[] NOT NULL,
    started_at  bigint   NOT NULL,
    renewed_at  bigint   NOT NULL,
    expires_at  bigint   NOT NULL
) WITH (fillfactor = 50);

-- For people: every step of a task in its state, also those that nothing is stored of. Ask for one task at a time.
CREATE VIEW tasker.workflow_steps AS
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
    false AS skippable,
    coalesce(l.state = 2, false) AS in_process,
    coalesce(r.outcome IN (4, 7, 8), false) AS processed,
    coalesce(r.worker, l.claimed_by) AS worker,
    to_timestamp(coalesce(r.ready_at, CASE WHEN l.state > 0 THEN l.ready_at END) / 1e6) AS ready_at,
    to_timestamp(coalesce(r.claimed_at, l.claimed_at) / 1e6) AS last_attempted_at,
    to_timestamp(CASE WHEN r.outcome IN (4, 7, 8) THEN r.finished_at END / 1e6) AS processed_at,
    to_timestamp(r.finished_at / 1e6) AS finished_at,
    CASE WHEN l.state = 3 THEN ceil((l.ready_at / 1e6 - extract(epoch FROM clock_timestamp())))::integer END AS backoff_request_seconds,
    r.result AS results,
    r.detail
FROM tasker.tasks AS t
JOIN tasker.templates AS p ON p.id = t.template
CROSS JOIN LATERAL (
    SELECT
        (e.place - 1)::integer AS number,
        e.step ->> 'name' AS name,
        (p.body::json #>> ARRAY['steps', (e.place - 1)::text, 'retry', 'max_attempts'])::bigint AS retry_limit,
        (p.body::json #>> ARRAY['steps', (e.place - 1)::text, 'retry', 'retryable'])::boolean AS retryable
    FROM json_array_elements(p.body::json #> '{template,steps}') WITH ORDINALITY AS e (step, place)
) AS s
LEFT JOIN tasker.live_steps AS l ON l.task = t.id AND l.number = s.number
LEFT JOIN tasker.step_results AS r ON r.task = t.id AND r.number = s.number;

-- The same under the name that the documents of an older engine show.
CREATE VIEW tasker.tasker_workflow_steps AS SELECT * FROM tasker.workflow_steps;
