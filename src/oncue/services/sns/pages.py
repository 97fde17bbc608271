"""Lists, a hundred at a time; the token is where the last page ended."""

import base64
import binascii
from typing import Any

from oncue.services import Call
from oncue.services.sns import subscriptions, topics
from oncue.services.sns.refusals import invalid
from oncue.services.sns.subscriptions import DELETED, PENDING, Subscription
from oncue.services.sns.topics import Topic

PAGE = 100
ID_DIGITS_MAX = 18


def of_topics(call: Call, token: str | None) -> dict[str, Any]:
    rows = call.tx.all(
        f"""
        {topics.SELECT} WHERE account = :account AND region = :region AND id > :after ORDER BY id LIMIT :count
        """,
        account=call.account,
        region=call.region,
        after=_after(token),
        count=PAGE + 1,
    )
    found = [topics.of_row(row) for row in rows]
    return {
        "Topics": [{"TopicArn": topic.arn} for topic in found[:PAGE]],
        "NextToken": _token(found[PAGE - 1].id) if len(found) > PAGE else None,
    }


def of_subscriptions(call: Call, token: str | None, topic: Topic | None = None) -> dict[str, Any]:
    """Of one topic, or of the caller."""
    if topic is not None:
        condition = "topic_id = :topic"
        values: dict[str, Any] = {"topic": topic.id}
    else:
        condition = "account = :account AND region = :region"
        values = {"account": call.account, "region": call.region}
    rows = call.tx.all(
        f"""
        {subscriptions.SELECT} WHERE {condition} AND id > :after AND state <> :deleted
        ORDER BY id LIMIT :count
        """,
        after=_after(token),
        deleted=DELETED,
        count=PAGE + 1,
        **values,
    )
    found = [subscriptions.of_row(row) for row in rows]
    return {
        "Subscriptions": [_shown(item) for item in found[:PAGE]],
        "NextToken": _token(found[PAGE - 1].id) if len(found) > PAGE else None,
    }


def _shown(subscription: Subscription) -> dict[str, str]:
    pending = subscription.state == PENDING
    return {
        "SubscriptionArn": "PendingConfirmation" if pending else subscription.arn,
        "Owner": subscription.account,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic_arn,
    }


def _token(id: int) -> str:
    return base64.b64encode(str(id).encode()).decode()


def _after(token: str | None) -> int:
    if not token:
        return 0
    try:
        digits = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid("NextToken") from None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= ID_DIGITS_MAX):
        raise invalid("NextToken")
    return int(digits)
