-- Replies of operations that changed something, for a client that asks again. The id is a hash below the
-- minute (modulo 16) in which the call was performed: one tree, written and emptied side by side.
CREATE TABLE calls_once (
    id BIGINT PRIMARY KEY,
    invocation TEXT NOT NULL,
    reply BYTEA NOT NULL
);
