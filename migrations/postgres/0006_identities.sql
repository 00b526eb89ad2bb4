-- What requests are known by that mean one task however often they come: SHA-256 of namespace, template, and key or context.
-- A row goes with its task: as long as that is kept, a request of the same identity finds it.
CREATE TABLE tasker.identities (
    id   bytea NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    task uuid  NOT NULL
);
CREATE INDEX identities_task ON tasker.identities (task);
