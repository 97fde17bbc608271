"""PUT saves a draft while the client waits; GET reads the latest draft, or the history of a post."""

import base64
import json
import os

from entries import entries, latest, note_arrival
from save import save


def handler(event, context):
    post = event["pathParameters"]["id"]
    path = event["rawPath"]
    table = os.environ[table_of(path)]
    if event["requestContext"]["http"]["method"] == "PUT":
        return put(table, post, event)
    if path.endswith("/history"):
        return answer(200, history(table, post))
    item = latest(table, post)
    if item is None:
        return answer(404, {"message": f"There is no draft of {post}."})
    return answer(200, shown(item))


def table_of(path):
    """The variable that names the table of the way that was asked for."""
    for way in ("naive", "sequenced"):
        if f"/{way}/" in path:
            return f"{way.upper()}_TABLE"
    return "TABLE"


def put(table, post, event):
    body = event.get("body") or "{}"
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    source = event["requestContext"]["requestId"]
    try:
        draft = json.loads(body)
        outcome = save(table, post, draft, source)
    except (ValueError, KeyError, TypeError) as error:
        return answer(400, {"message": f"A draft has a version such as v1.2 ({error})."})
    note_arrival(table, post, draft["version"], outcome, event["requestContext"]["timeEpoch"], source)
    return answer(200, {"post": post, "version": draft["version"], "outcome": outcome})


def history(table, post):
    """What arrived, in the order of arrival, and which versions are kept, in the order of versions."""
    arrivals = [
        {
            "version": item["version"],
            "outcome": item["outcome"],
            "arrived_ms": int(item["arrived_ms"]),
            "executed_ms": int(item["executed_ms"]),
        }
        for item in entries(table, post, "arrival/")
    ]
    versions = [item["version"] for item in entries(table, post, "version/")]
    item = latest(table, post)
    saved = item and shown(item)
    return {
        "post": post,
        "latest": item and item["version"],
        "saved": saved,
        "arrivals": arrivals,
        "versions": versions,
    }


def shown(item):
    return {name: item[name] for name in ("post", "version", "title", "text")}


def answer(status, value):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(value)}
