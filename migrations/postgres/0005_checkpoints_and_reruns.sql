-- How far a step had come when an attempt of it said so last: what its next attempt begins with. It stays when the step is over.
CREATE TABLE tasker.checkpoints (
    task     uuid    NOT NULL,
    number   integer NOT NULL CHECK (number >= 0),
    attempt  integer NOT NULL CHECK (attempt > 0),
    value    text    NOT NULL,
    saved_at bigint  NOT NULL,
    PRIMARY KEY (task, number)
    -- Written over in place, in the page where the row is.
) WITH (fillfactor = 70);

-- Tasks that run another one again, from one of its steps on. The action that made them tells who, when and why. The other task
-- may have been pruned.
CREATE TABLE tasker.reruns (
    task   uuid    NOT NULL PRIMARY KEY,
    source uuid    NOT NULL,
    number integer NOT NULL CHECK (number >= 0),
    action uuid    NOT NULL,
    CHECK (task <> source)
);
CREATE INDEX reruns_source ON tasker.reruns (source);
