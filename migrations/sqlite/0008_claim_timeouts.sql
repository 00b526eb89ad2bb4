-- How long a claimed step of a task may be without an outcome, in microseconds; no row where the request does not say so.
CREATE TABLE claim_timeouts (
    task    BLOB    NOT NULL PRIMARY KEY,
    timeout INTEGER NOT NULL CHECK (timeout > 0)
) STRICT, WITHOUT ROWID;
