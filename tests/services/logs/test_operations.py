"""CloudWatch Logs as boto3 and the AWS CLI see it."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/lambda/orders"


@pytest.fixture
def logs(client: Callable[..., Any]) -> Any:
    return client("logs")


def now_ms() -> int:
    return int(time.time() * 1000)


def written(
    logs: Any, stream: str, messages: list[str], at_ms: int | None = None, group: str = GROUP
) -> None:
    first = now_ms() - 1000 if at_ms is None else at_ms
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": first + index, "message": text} for index, text in enumerate(messages)],
    )


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_groups_live_and_die(logs: Any, account: str) -> None:
    logs.create_log_group(logGroupName="b", tags={"team": "x"})
    logs.create_log_group(logGroupName="a")
    assert refused(lambda: logs.create_log_group(logGroupName="a")) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    listed = logs.describe_log_groups()["logGroups"]
    assert [group["logGroupName"] for group in listed] == ["a", "b"]
    assert listed[1]["arn"] == f"arn:aws:logs:us-east-1:{account}:log-group:b:*"
    assert "retentionInDays" not in listed[1]
    logs.put_retention_policy(logGroupName="b", retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix="b")["logGroups"][0]["retentionInDays"] == 7
    assert refused(lambda: logs.put_retention_policy(logGroupName="b", retentionInDays=2))[0] == (
        "InvalidParameterException"
    )
    logs.delete_retention_policy(logGroupName="b")
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePattern="b")["logGroups"][0]
    arn = listed[1]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"more": "y"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"more": "y"}
    logs.delete_log_group(logGroupName="b")
    assert refused(lambda: logs.delete_log_group(logGroupName="b")) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )


def test_groups_come_in_pages(logs: Any) -> None:
    for index in range(5):
        logs.create_log_group(logGroupName=f"g{index}")
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [[group["logGroupName"] for group in page["logGroups"]] for page in pages] == [
        ["g0", "g1"],
        ["g2", "g3"],
        ["g4"],
    ]


def test_a_discarded_group_keeps_nothing(logs: Any) -> None:
    written(logs, "s", ["old"])
    logs.delete_log_group(logGroupName=GROUP)
    written(logs, "s", ["new"])
    assert [event["message"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]] == ["new"]


def test_streams(logs: Any) -> None:
    at = now_ms() - 60_000
    written(logs, "late", ["x"], at + 100)
    written(logs, "early", ["x", "y"], at)
    by_name = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [stream["logStreamName"] for stream in by_name] == ["early", "late"]
    assert (by_name[0]["firstEventTimestamp"], by_name[0]["lastEventTimestamp"]) == (at, at + 1)
    newest = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1)
    assert [stream["logStreamName"] for stream in newest["logStreams"]] == ["late"]
    token = newest["nextToken"]
    rest = logs.describe_log_streams(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, nextToken=token
    )
    assert [stream["logStreamName"] for stream in rest["logStreams"]] == ["early"]
    logs.delete_log_stream(logGroupName=GROUP, logStreamName="late")
    assert refused(lambda: logs.get_log_events(logGroupName=GROUP, logStreamName="late")) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


def test_a_stream_is_read_forwards_and_backwards(logs: Any) -> None:
    written(logs, "s", [str(index) for index in range(7)])
    ask = {"logGroupName": GROUP, "logStreamName": "s", "limit": 3}

    def texts(reply: Any) -> list[str]:
        return [event["message"] for event in reply["events"]]

    newest = logs.get_log_events(**ask)
    assert texts(newest) == ["4", "5", "6"]
    older = logs.get_log_events(**ask, nextToken=newest["nextBackwardToken"])
    assert texts(older) == ["1", "2", "3"]
    first = logs.get_log_events(**ask, startFromHead=True)
    assert texts(first) == ["0", "1", "2"]
    second = logs.get_log_events(**ask, startFromHead=True, nextToken=first["nextForwardToken"])
    third = logs.get_log_events(**ask, startFromHead=True, nextToken=second["nextForwardToken"])
    assert (texts(second), texts(third)) == (["3", "4", "5"], ["6"])
    end = logs.get_log_events(**ask, startFromHead=True, nextToken=third["nextForwardToken"])
    assert (texts(end), end["nextForwardToken"]) == ([], third["nextForwardToken"])
    again = logs.get_log_events(**ask, nextToken=end["nextBackwardToken"])
    assert texts(again) == ["4", "5", "6"]
    written(logs, "s", ["7"])
    assert texts(logs.get_log_events(**ask, startFromHead=True, nextToken=end["nextForwardToken"])) == ["7"]
    assert refused(lambda: logs.get_log_events(**ask, nextToken="nonsense"))[1] == (
        "The specified nextToken is invalid."
    )


def test_an_empty_stream_can_be_followed(logs: Any) -> None:
    written(logs, "s", ["gone"], now_ms() - 3_600_000)
    ask = {"logGroupName": GROUP, "logStreamName": "s", "startTime": now_ms() - 60_000}
    empty = logs.get_log_events(**ask)
    assert empty["events"] == []
    written(logs, "s", ["here"])
    follow = logs.get_log_events(**ask, startFromHead=True, nextToken=empty["nextForwardToken"])
    assert [event["message"] for event in follow["events"]] == ["here"]


def test_times_bound_what_is_read(logs: Any) -> None:
    at = now_ms() - 60_000
    written(logs, "s", ["a", "b", "c"], at)
    got = logs.get_log_events(logGroupName=GROUP, logStreamName="s", startTime=at + 1, endTime=at + 2)
    assert [event["message"] for event in got["events"]] == ["b"]  # endTime excluded
    found = logs.filter_log_events(logGroupName=GROUP, startTime=at + 1, endTime=at + 2)
    assert [event["message"] for event in found["events"]] == ["b", "c"]  # endTime included


def test_a_group_is_searched_by_time_over_all_streams(logs: Any) -> None:
    at = now_ms() - 60_000
    written(logs, "one", ["a ERROR", "c"], at)
    written(logs, "two", ["b ERROR"], at)
    written(logs, "other", ["d ERROR"], at + 5)
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern="ERROR")["events"]
    assert [event["message"] for event in found] == ["a ERROR", "b ERROR", "d ERROR"]
    assert len({event["eventId"] for event in found}) == 3
    assert found == sorted(found, key=lambda event: event["eventId"])
    named = logs.filter_log_events(logGroupName=GROUP, logStreamNames=["two", "other"])["events"]
    assert [event["logStreamName"] for event in named] == ["two", "other"]
    prefixed = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="o", startFromHead=False)
    assert [event["message"] for event in prefixed["events"]] == ["d ERROR", "c", "a ERROR"]
    both = {"logStreamNames": ["one"], "logStreamNamePrefix": "o"}
    assert refused(lambda: logs.filter_log_events(logGroupName=GROUP, **both))[0] == (
        "InvalidParameterException"
    )


def test_a_search_comes_in_pages(logs: Any) -> None:
    written(logs, "s", [str(index) for index in range(25)])
    pages = list(
        logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 10}
        )
    )
    assert [len(page["events"]) for page in pages] == [10, 10, 5]
    texts = [event["message"] for page in pages for event in page["events"]]
    assert texts == [str(index) for index in range(25)]


def test_a_search_looks_through_many_events(logs: Any) -> None:
    written(logs, "s", ["plain"] * 1_200 + ["needle"] + ["plain"] * 10, now_ms() - 5_000)
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern="needle")
    assert [event["message"] for event in found["events"]] == ["needle"]


def test_what_put_log_events_refuses(logs: Any) -> None:
    written(logs, "s", ["x"])
    at = now_ms()

    def put(*pairs: tuple[int, str]) -> Any:
        events = [{"timestamp": when, "message": text} for when, text in pairs]
        return logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)

    assert refused(lambda: put((at, "b"), (at - 1, "a")))[1] == (
        "Log events in a single PutLogEvents request must be in chronological order."
    )
    assert "24 hours" in refused(lambda: put((at - 90_000_000, "a"), (at, "b")))[1]
    assert "Upload too large" in refused(lambda: put((at, "x" * 600_000), (at, "x" * 600_000)))[1]
    day_ms = 86_400_000
    assert put((at - 15 * day_ms, "old"))["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    rejected = put((at, "taken"), (at + 3 * 3_600_000, "future"))["rejectedLogEventsInfo"]
    assert rejected == {"tooNewLogEventStartIndex": 1}
    texts = [event["message"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]]
    assert texts == ["x", "taken"]


def test_any_text_survives(logs: Any) -> None:
    text = "nul \x00 and snowman ☃ and\nlines\t"
    written(logs, "s", [text])
    assert logs.filter_log_events(logGroupName=GROUP)["events"][0]["message"] == text


def test_retention_hides_what_is_older(logs: Any) -> None:
    written(logs, "s", ["old"], now_ms() - 3 * 86_400_000)
    written(logs, "s", ["new"])
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert [event["message"] for event in logs.filter_log_events(logGroupName=GROUP)["events"]] == ["new"]


def test_owners_do_not_see_each_other(client: Callable[..., Any], server: Any) -> None:
    written(client("logs"), "s", ["mine"])
    assert server.client("logs", "999999999999").describe_log_groups()["logGroups"] == []


def test_live_tails_are_refused(client: Callable[..., Any]) -> None:
    logs = client("logs", inject_host_prefix=False)
    code, sentence = refused(lambda: logs.start_live_tail(logGroupIdentifiers=[GROUP]))
    assert (code, "StartLiveTail" in sentence) == ("NotImplemented", True)
