-- Stored events: rows of the transactions that they tell of. Those of a task have positions in the order in which they happened.
CREATE TABLE domain_events (
    -- Never given twice, also where the newest rows were deleted.
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    task     BLOB    NOT NULL,
    number   INTEGER,
    attempt  INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    payload  TEXT,
    result   TEXT,
    detail   TEXT,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX domain_events_task ON domain_events (task);

-- Who is given events: patterns of names as a JSON list, and which of the engine's own events these match, as bits.
CREATE TABLE event_subscribers (
    id       INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    patterns TEXT    NOT NULL,
    wanted   INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    -- The worker that gives it its events.
    held_by  BLOB
) STRICT;

-- What each subscriber was not given yet. All events of a task that wait for another try are due at the same time.
CREATE TABLE event_deliveries (
    subscriber INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    task       BLOB    NOT NULL,
    failures   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    error      TEXT,
    PRIMARY KEY (subscriber, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_deliveries_due ON event_deliveries (subscriber, due_at, position);
CREATE INDEX event_deliveries_task ON event_deliveries (task, subscriber, position);
