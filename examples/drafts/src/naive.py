"""Saves drafts from the queue as they come: the last to arrive wins. Here to be compared with save.py."""

from batches import save_each
from entries import keep_version, overwrite_latest


def handler(event, context):
    return save_each(event, save)


def save(table, post, draft, source):
    keep_version(table, post, draft, source)
    return overwrite_latest(table, post, draft, source)
