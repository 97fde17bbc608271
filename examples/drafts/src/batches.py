"""A batch from the queue: each message on its own, so that one bad draft does not hold up the others."""

import json
import os

from entries import note_arrival


def save_each(event, save):
    """Calls `save(table, post, draft, source)` for each message and reports those that failed."""
    table, failures = os.environ["TABLE"], []
    for record in event["Records"]:
        try:
            post = record["messageAttributes"]["post"]["stringValue"]
            draft = json.loads(record["body"])
            outcome = save(table, post, draft, record["messageId"])
            arrived_ms = int(record["attributes"]["SentTimestamp"])
            note_arrival(table, post, draft["version"], outcome, arrived_ms, record["messageId"])
            print(f"{post} {draft['version']} {outcome}")
        except Exception as error:
            print(f"{record['messageId']} failed: {type(error).__name__}: {error}")
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
