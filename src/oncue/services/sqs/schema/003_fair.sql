-- A standard queue that has been sent a message with a MessageGroupId is a fair queue from then on.
ALTER TABLE sqs_queues ADD COLUMN fair INTEGER NOT NULL DEFAULT 0;
