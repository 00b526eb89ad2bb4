-- Stored events: rows of the transactions that they tell of. Those of a task have positions in the order in which they happened:
-- a position is given while the task is locked.
CREATE TABLE tasker.domain_events (
    position bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task     uuid    NOT NULL,
    number   integer,
    attempt  integer NOT NULL,
    name     text    NOT NULL,
    payload  text,
    result   text,
    detail   text,
    at       bigint  NOT NULL
);
CREATE INDEX domain_events_task ON tasker.domain_events (task);

-- Who is given events: patterns of names, and which of the engine's own events these match, as bits.
CREATE TABLE tasker.event_subscribers (
    id       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text    NOT NULL UNIQUE,
    patterns text[]  NOT NULL,
    wanted   integer NOT NULL,
    since    bigint  NOT NULL,
    -- The worker that gives it its events, for as long as it has its lease.
    held_by  uuid
) WITH (fillfactor = 50);

-- What each subscriber was not given yet. All events of a task that wait for another try are due at the same time. Rows come and
-- go: the table stays small only where it is vacuumed often.
CREATE TABLE tasker.event_deliveries (
    subscriber bigint  NOT NULL,
    position   bigint  NOT NULL,
    task       uuid    NOT NULL,
    failures   integer NOT NULL,
    due_at     bigint  NOT NULL,
    error      text,
    PRIMARY KEY (subscriber, position)
) WITH (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX event_deliveries_due ON tasker.event_deliveries (subscriber, due_at, position);
CREATE INDEX event_deliveries_task ON tasker.event_deliveries (task, subscriber, position);
