-- New subscribers that are still to be given what was stored before they came: up to which position that was written down for
-- them, and up to which it is to be. It goes in portions, so that nobody waits for it; a row is gone when all is written.
CREATE TABLE tasker.event_fills (
    subscriber bigint NOT NULL PRIMARY KEY,
    filled     bigint NOT NULL,
    until      bigint NOT NULL
);
