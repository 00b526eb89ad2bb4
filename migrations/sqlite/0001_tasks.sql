-- Times are microseconds since 1970-01-01T00:00:00Z. A task's id is a UUIDv7 in 16 bytes whose low 24 bits are zero.
-- Task states:  0 pending, 1 running, 2 paused, 3 completed, 4 failed, 5 cancelling, 6 cancelled, 7 resolved_manually
-- Step states:  0 pending, 1 ready, 2 running, 3 waiting_for_retry, 4 completed, 5 failed, 6 cancelled, 7 skipped, 8 resolved_manually

-- A template by its content: what a task started with is what it ends with.
CREATE TABLE templates (
    id         INTEGER PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    namespace  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    -- Of two contents of one version, new tasks take the one with the higher generation.
    generation INTEGER NOT NULL,
    stored_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX templates_name ON templates (namespace, name);

-- What a claim filters by: a namespace and the handler that a step needs.
CREATE TABLE queues (
    id        INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    handler   TEXT NOT NULL,
    UNIQUE (namespace, handler)
) STRICT;

CREATE TABLE tasks (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    template    INTEGER NOT NULL REFERENCES templates (id),
    state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
    open_steps  INTEGER NOT NULL CHECK (open_steps >= 0),
    runnable    INTEGER NOT NULL CHECK (runnable >= 0),
    priority    INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    -- Without lists: SQLite makes a table of each list for each row that is checked, which took a fifth of the time of a step.
    CHECK ((state <> 3 AND state <> 6) OR runnable = 0),
    CHECK ((state = 3 OR state = 4 OR state = 6 OR state = 7) = (finished_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_open ON tasks (id) WHERE state < 3 OR state = 5;
CREATE INDEX tasks_failed ON tasks (id) WHERE state = 4;

-- What a task was submitted with, apart from the row whose counters change.
CREATE TABLE task_inputs (
    task           BLOB NOT NULL PRIMARY KEY,
    context        TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    initiator      TEXT NOT NULL,
    source_system  TEXT NOT NULL,
    reason         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Steps that were touched and are not over. A step without a row here and in step_results is pending.
CREATE TABLE live_steps (
    task       BLOB    NOT NULL,
    number     INTEGER NOT NULL CHECK (number >= 0),
    state      INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    attempt    INTEGER NOT NULL CHECK (attempt >= 0),
    failures   INTEGER NOT NULL CHECK (failures >= 0),
    losses     INTEGER NOT NULL CHECK (losses >= 0),
    unmet      INTEGER NOT NULL CHECK (unmet >= 0),
    met        INTEGER NOT NULL CHECK (met IN (0, 1)),
    queue      INTEGER NOT NULL,
    priority   INTEGER NOT NULL,
    ready_at   INTEGER NOT NULL,
    held       INTEGER NOT NULL CHECK (held IN (0, 1)),
    claimed_by BLOB,
    claimed_at INTEGER,
    PRIMARY KEY (task, number),
    CHECK ((state = 0) = (unmet > 0)),
    CHECK ((state = 2) = (claimed_by IS NOT NULL)),
    CHECK ((state = 2) = (claimed_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX live_steps_claim ON live_steps (queue, priority DESC, ready_at) WHERE state = 1 AND held = 0 AND losses = 0;
CREATE INDEX live_steps_lossy ON live_steps (queue, priority DESC, ready_at) WHERE state = 1 AND held = 0 AND losses > 0;
CREATE INDEX live_steps_due ON live_steps (ready_at) WHERE state = 3 AND held = 0;

-- Steps that are over. Cause: 0 handler, 1 decision, 2 skippable, 3 operator, 4 losses.
CREATE TABLE step_results (
    task        BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    outcome     INTEGER NOT NULL CHECK (outcome BETWEEN 4 AND 8),
    cause       INTEGER NOT NULL CHECK (cause BETWEEN 0 AND 4),
    attempt     INTEGER NOT NULL,
    worker      BLOB,
    ready_at    INTEGER,
    claimed_at  INTEGER,
    finished_at INTEGER NOT NULL,
    result      TEXT,
    detail      TEXT,
    PRIMARY KEY (task, number),
    CHECK ((outcome = 4) = (result IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Attempts that did not end their step. Outcome: 0 failed, 1 timed out, 2 lost, 3 released, 4 reopened by an operator.
CREATE TABLE step_attempts (
    task        BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    outcome     INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 4),
    worker      BLOB,
    ready_at    INTEGER,
    claimed_at  INTEGER,
    finished_at INTEGER NOT NULL,
    retry_at    INTEGER,
    detail      TEXT,
    PRIMARY KEY (task, number, attempt)
) STRICT, WITHOUT ROWID;

-- What operators did.
CREATE TABLE actions (
    id     BLOB    NOT NULL PRIMARY KEY,
    task   BLOB    NOT NULL,
    number INTEGER,
    kind   TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_task ON actions (task);

-- Processes that run steps: one row for each start of one. Its right to its claims ends with its lease.
CREATE TABLE workers (
    incarnation BLOB    NOT NULL PRIMARY KEY,
    label       TEXT    NOT NULL,
    -- A list of the numbers of the queues whose handlers it has, as JSON.
    queues      TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    renewed_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
