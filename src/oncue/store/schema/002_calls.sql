-- Replies of operations that changed something, for a client that asks again. The id is a slot of time and a
-- hash: see store/calls.py.
CREATE TABLE calls_once (
    id BIGINT PRIMARY KEY,
    invocation TEXT NOT NULL,
    reply BYTEA NOT NULL
);
