-- How long a claimed step of a task may be without an outcome, in microseconds; no row where the request does not say so.
CREATE TABLE tasker.claim_timeouts (
    task    uuid   NOT NULL PRIMARY KEY,
    timeout bigint NOT NULL CHECK (timeout > 0)
);
