"""GET / answers the page itself: one file, nothing to fetch from elsewhere."""

import pathlib

PAGE = pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/html; charset=utf-8"}, "body": PAGE}
