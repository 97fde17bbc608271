-- Message move tasks: what StartMessageMoveTask accepted; an active one has an item in the lane sqs/moves.
CREATE TABLE sqs_moves (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    source_arn TEXT NOT NULL,
    destination_arn TEXT,
    per_second INTEGER,
    status TEXT NOT NULL,
    moved BIGINT NOT NULL,
    to_move BIGINT NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    failure TEXT
);
CREATE INDEX sqs_moves_by_source ON sqs_moves (source_arn, started_at);
CREATE UNIQUE INDEX sqs_moves_active ON sqs_moves (source_arn) WHERE status = 'RUNNING';
