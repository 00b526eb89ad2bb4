-- How far a step had come when an attempt of it said so last: what its next attempt begins with. It stays when the step is over.
CREATE TABLE checkpoints (
    task     BLOB    NOT NULL,
    number   INTEGER NOT NULL CHECK (number >= 0),
    attempt  INTEGER NOT NULL CHECK (attempt > 0),
    value    TEXT    NOT NULL,
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;

-- Tasks that run another one again, from one of its steps on. The action that made them tells who, when and why. The other task
-- may have been pruned.
CREATE TABLE reruns (
    task   BLOB    NOT NULL PRIMARY KEY,
    source BLOB    NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    action BLOB    NOT NULL,
    CHECK (task <> source)
) STRICT, WITHOUT ROWID;
CREATE INDEX reruns_source ON reruns (source);
