"""Saves drafts from the queue: every version is kept, and the highest one is the latest."""

from batches import save_each
from entries import keep_latest, keep_version


def handler(event, context):
    return save_each(event, save)


def save(table, post, draft, source):
    keep_version(table, post, draft, source)
    return keep_latest(table, post, draft, source)
