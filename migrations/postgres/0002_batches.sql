-- The workers of a batch, made after the step `number` of the template: how many there are, how many were begun, are under way,
-- and failed. Workers have numbers after those of the template's steps.
CREATE TABLE tasker.batches (
    task      uuid    NOT NULL,
    number    integer NOT NULL CHECK (number >= 0),
    count     integer NOT NULL CHECK (count > 0),
    next      integer NOT NULL CHECK (next BETWEEN 0 AND count),
    in_flight integer NOT NULL CHECK (in_flight >= 0),
    failed    integer NOT NULL CHECK (failed >= 0),
    PRIMARY KEY (task, number)
) WITH (fillfactor = 70);
