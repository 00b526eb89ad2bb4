-- The workers of a batch, made after the step `number` of the template: how many there are, how many were begun, are under way,
-- and failed. Workers have numbers after those of the template's steps.
CREATE TABLE batches (
    task      BLOB    NOT NULL,
    number    INTEGER NOT NULL CHECK (number >= 0),
    count     INTEGER NOT NULL CHECK (count > 0),
    next      INTEGER NOT NULL CHECK (next BETWEEN 0 AND count),
    in_flight INTEGER NOT NULL CHECK (in_flight >= 0),
    failed    INTEGER NOT NULL CHECK (failed >= 0),
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
