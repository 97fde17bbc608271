"""Throttled stages and routes, and a limit that several nodes hold together."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from oncue import clock
from oncue.services.apigatewayv2.buckets import Limit
from oncue.services.apigatewayv2.throttles import IDLE_S, Throttles
from tests.services.apigatewayv2.conftest import House

LIMIT = Limit(100.0, 20)


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1_000.0
        self.count = 0

    def now(self) -> float:
        return self.at

    monotonic = now

    def random_bytes(self, count: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(count, "little")


@pytest.fixture
def time() -> Iterator[Time]:
    source = Time()
    clock.use(source)
    yield source
    clock.use(None)


async def settings(house: House, api: str, **members: object) -> None:
    await house.do("UpdateStage", ApiId=api, StageName="$default", **members)


async def test_a_stage_and_a_route(house: House, time: Time) -> None:
    api = await house.api("GET /a", "GET /b", "GET /c")
    slow = {"ThrottlingRateLimit": 0.5, "ThrottlingBurstLimit": 2}
    await settings(
        house, api, DefaultRouteSettings=slow, RouteSettings={"GET /c": {"ThrottlingBurstLimit": 3}}
    )
    statuses = [(await house.ask(api, path)).status for path in ("/a", "/b", "/a", "/b")]
    assert statuses == [200, 200, 429, 429], "routes without settings share the stage's"
    refused = await house.ask(api, "/a")
    assert refused.body == b'{"message":"Too Many Requests"}'
    assert dict(refused.headers)["retry-after"] == "2"
    assert dict(refused.headers)["content-type"] == "application/json"
    assert [(await house.ask(api, "/c")).status for _ in range(4)] == [200, 200, 200, 429]
    assert (await house.ask(api, "/prod/a")).status == 200, "another stage has its own limits"
    time.at += 2.0
    assert [(await house.ask(api, "/a")).status for _ in range(2)] == [200, 429]
    await house.do("DeleteRouteSettings", ApiId=api, StageName="$default", RouteKey="GET /c")
    assert (await house.ask(api, "/c")).status == 429
    await settings(house, api, DefaultRouteSettings={"ThrottlingBurstLimit": 4, "ThrottlingRateLimit": 100})
    assert (await house.ask(api, "/c")).status == 200, "a new limit holds at once"


async def test_nothing_passes_zero_and_nobody_is_told_to_wait(house: House) -> None:
    api = await house.api("GET /a")
    await settings(house, api, DefaultRouteSettings={"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0})
    refused = await house.ask(api, "/a")
    assert refused.status == 429
    assert "retry-after" not in dict(refused.headers)
    assert (await house.ask(api, "/nowhere")).status == 404, "what has no route is not counted"


async def load(house: House, time: Time, nodes: list[Throttles], rates: list[int], seconds: int) -> int:
    """Requests at `rates` per second to each node; how many passed. Nodes exchange once a second."""
    count = 0
    for _ in range(seconds):
        for step in range(100):
            time.at += 0.01
            for node, rate in zip(nodes, rates, strict=True):
                due = rate * (step + 1) // 100 - rate * step // 100
                for _ in range(due):
                    count += await node.admit(house.call, [("x", LIMIT)]) is None
        for node in nodes:
            await node.exchange(house.call)
    return count


@pytest.mark.parametrize(
    "rates", [[300, 300, 300], [500, 100, 20], [60, 60, 60], [200, 0, 0]], ids=lambda r: "-".join(map(str, r))
)
async def test_nodes_hold_a_limit_together(house: House, time: Time, rates: list[int]) -> None:
    """Within 10 %, whatever each of them is asked for."""
    nodes = [Throttles() for _ in rates]
    seconds = 12
    count = await load(house, time, nodes, rates, seconds)
    wanted = min(sum(rates), LIMIT.rate) * seconds
    assert wanted * 0.9 <= count <= (wanted + LIMIT.burst) * 1.1
    steady = await load(house, time, nodes, rates, seconds)
    assert steady == pytest.approx(wanted, rel=0.1)
    for node in nodes:
        await node.stop()


async def test_a_newcomer_is_not_refused_while_others_hold_everything(house: House, time: Time) -> None:
    wide = [("x", Limit(1_000.0, 500))]
    first, second = Throttles(), Throttles()
    assert await first.admit(house.call, wide) is None
    assert [await second.admit(house.call, wide) for _ in range(25)] == [None] * 25
    assert await second.admit(house.call, wide) is not None, "5 % of the burst, until the first has yielded"
    for _ in range(2):
        time.at += 1.0
        await first.exchange(house.call)
        await second.exchange(house.call)
    assert [await second.admit(house.call, wide) for _ in range(100)] == [None] * 100
    await first.stop()
    await second.stop()


async def test_the_successor_of_a_dead_node_is_not_refused_until_its_share_has_lapsed(
    house: House, time: Time
) -> None:
    wide = [("x", Limit(1_000.0, 500))]
    dead, successor = Throttles(), Throttles()
    assert await dead.admit(house.call, wide) is None
    assert await successor.admit(house.call, wide) is None
    for _ in range(3):
        time.at += 1.0
        await successor.exchange(house.call)
        assert [await successor.admit(house.call, wide) for _ in range(20)] == [None] * 20
    await dead.stop()
    await successor.stop()


async def test_a_node_goes_and_its_share_comes_back(house: House, time: Time) -> None:
    stays, goes = nodes = [Throttles(), Throttles()]
    await load(house, time, nodes, [300, 300], 5)
    await goes.stop()
    await load(house, time, [stays], [300], 6)
    assert await load(house, time, [stays], [300], 10) == pytest.approx(1_000, rel=0.02)
    await stays.stop()


async def test_what_nobody_asks_for_is_given_up(house: House, time: Time) -> None:
    node = Throttles()
    assert await node.admit(house.call, [("x", LIMIT)]) is None
    assert node.counts() == {"x": (1, 0)}
    for _ in range(2):
        time.at += IDLE_S + 1.0
        await node.exchange(house.call)
    assert node.counts() == {}
    rows = await house.call.transact(lambda call: call.tx.all("SELECT * FROM apigatewayv2_throttles"))
    assert rows == []
    await node.stop()


def test_a_real_server_counts(client: Any, server: Any) -> None:
    gateway = client("apigatewayv2")
    made = gateway.create_api(
        Name="t", ProtocolType="HTTP", Target=f"{server.endpoint}/health", RouteKey="GET /"
    )
    limit = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 1}
    gateway.update_stage(ApiId=made["ApiId"], StageName="$default", DefaultRouteSettings=limit)
    place = f"{server.endpoint}/_aws/execute-api/{made['ApiId']}/"
    with urllib.request.urlopen(place) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError, match="429") as refused:
        urllib.request.urlopen(place)
    assert refused.value.headers["retry-after"] == "1000"
    with urllib.request.urlopen(f"{server.endpoint}/_oncue/throttles") as answer:
        counts = {one["limit"]: one for one in json.load(answer)["throttles"]}
    name = f"{made['ApiId']}/$default"
    assert counts[name] == {"limit": name, "requests": 2, "refused": 1}


async def test_a_refusal_gives_back_what_other_limits_gave(house: House, time: Time) -> None:
    node = Throttles()
    narrow = [("wide", Limit(0.001, 2)), ("narrow", Limit(0.001, 1))]
    assert await node.admit(house.call, narrow) is None
    assert await node.admit(house.call, narrow) == pytest.approx(1_000.0)
    assert await node.admit(house.call, narrow[:1]) is None
    assert await node.admit(house.call, narrow[:1]) is not None
    await node.stop()


async def test_first_requests_at_once_share_one_bucket(house: House, time: Time) -> None:
    node = Throttles()
    tries = (node.admit(house.call, [("x", Limit(0.001, 3))]) for _ in range(8))
    assert sum(wait is None for wait in await asyncio.gather(*tries)) == 3
    await node.stop()
