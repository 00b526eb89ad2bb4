-- What requests are known by that mean one task however often they come: SHA-256 of namespace, template, and key or context.
-- A row goes with its task: as long as that is kept, a request of the same identity finds it.
CREATE TABLE identities (
    id   BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    task BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_task ON identities (task);
