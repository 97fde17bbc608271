"""Throttling: the buckets that this node holds, and the shares of each limit that nodes lease from each
other.

Source: API Gateway developer guide, "Throttle requests to your HTTP APIs". A limit that several nodes serve
is a row in the store; once a second each node writes there what it is asked for, and reads what the others
are.
"""

import asyncio
import logging
from collections.abc import Iterable

import msgspec

from oncue import clock
from oncue.services import Call
from oncue.services.apigatewayv2.buckets import Bucket, Limit, share_of
from oncue.store import Transaction

ACCOUNT_LIMIT = Limit(10_000.0, 5_000)  # AWS's defaults for an account in a region
EXCHANGE_EVERY_S = 1.0
GONE_S = 5.0  # a node that has not written for so long has no share any more
IDLE_S = 10.0  # a limit without requests for so long is given up
JOIN_SHARE = (
    0.05  # of a node that begins while others hold everything: it must not refuse all until they yield
)
BUCKETS_MAX = 4_096
FORGOTTEN_S = 3_600.0  # rows of nodes that died are deleted after so long
LOG = logging.getLogger(__name__)


class Entry(msgspec.Struct, array_like=True):
    """What one node says of one limit: requests per second that it is asked for, the share that it holds, and
    when it said so."""

    demand: float
    share: float
    at: float


Entries = dict[str, Entry]


class Lease:
    """One limit as this node holds it; `bucket` is what requests ask."""

    __slots__ = ("_asked", "_since", "bucket", "demand", "used_at")

    def __init__(self, limit: Limit, now: float) -> None:
        self.bucket = Bucket(limit, now)
        self.demand = 0.0
        self._asked = 0
        self._since = self.used_at = now

    def measure(self, now: float) -> None:
        """Brings `demand` up to date: the mean of what it was and of what came since the last time."""
        passed = now - self._since
        if passed <= 0.0:
            return
        came = self.bucket.asked - self._asked
        self.demand = (self.demand + came / passed) / 2.0
        if came:
            self.used_at = now
        self._asked, self._since = self.bucket.asked, now


class Throttles:
    """All limits of this node. `admit` touches memory only, but for the first request of a limit."""

    def __init__(self) -> None:
        self.node = clock.new_id()
        self._leases: dict[str, Lease] = {}
        self._exchanging: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        if self._exchanging:
            self._exchanging.cancel()
            await asyncio.gather(self._exchanging, return_exceptions=True)

    async def admit(self, call: Call, limits: Iterable[tuple[str, Limit]]) -> float | None:
        """None when a request may pass all the limits; else the seconds after which it may (infinite: never).

        A limit is asked only when those before it let the request pass; what those gave is returned then.
        """
        taken: list[Bucket] = []
        for name, limit in limits:
            lease = self._leases.get(name) or await self._take_up(call, name, limit)
            bucket = lease.bucket
            if bucket.limit != limit:
                bucket.change(limit)
            if not bucket.take(clock.monotonic()):
                for other in taken:
                    other.give_back()
                wait_s = bucket.wait_s()
                return float("inf") if wait_s is None else wait_s
            taken.append(bucket)
        return None

    def counts(self) -> dict[str, tuple[int, int]]:
        """(asked, refused) of each limit that is in use on this node."""
        return {name: (held.bucket.asked, held.bucket.refused) for name, held in self._leases.items()}

    async def exchange(self, call: Call) -> None:
        """Says what this node is asked for and takes its share of each limit. Limits without use go."""
        now = clock.monotonic()
        for lease in self._leases.values():
            lease.measure(now)
        idle = [name for name, lease in self._leases.items() if now - lease.used_at > IDLE_S]
        for name in idle:
            self._log(name, self._leases.pop(name))
        demands = {name: lease.demand for name, lease in self._leases.items()}

        def trade(inner: Call) -> dict[str, float]:
            for name in sorted(idle):
                leave(inner.tx, name, self.node, now=inner.now)
            if idle:
                forget(inner.tx, inner.now - FORGOTTEN_S)
            # always in the same order: two nodes never wait for each other
            return {name: visit(inner, name, self.node, demands[name]) for name in sorted(demands)}

        if demands or idle:
            for name, share in (await call.transact(trade, durable=False)).items():
                if lease_held := self._leases.get(name):
                    lease_held.bucket.divide(share)

    async def _take_up(self, call: Call, name: str, limit: Limit) -> Lease:
        """The first request of a limit waits until this node has its share."""
        share = await call.transact(lambda inner: visit(inner, name, self.node, 0.0), durable=False)
        if held := self._leases.get(name):
            return held  # by a request beside this one
        if len(self._leases) >= BUCKETS_MAX:
            oldest = min(self._leases, key=lambda key: self._leases[key].used_at)
            self._log(oldest, self._leases.pop(oldest))
        lease = self._leases[name] = Lease(limit, clock.monotonic())
        lease.bucket.divide(share)
        if self._exchanging is None or self._exchanging.done():
            self._exchanging = asyncio.ensure_future(
                self._keep_exchanging(call.on_behalf(call.account, call.region))
            )
        return lease

    async def _keep_exchanging(self, call: Call) -> None:
        while self._leases:
            await asyncio.sleep(EXCHANGE_EVERY_S)
            try:
                await self.exchange(call)
            except Exception:
                LOG.exception("the shares of throttles could not be exchanged; the former ones hold on")

    def _log(self, name: str, lease: Lease) -> None:
        if lease.bucket.refused:
            LOG.info("throttle %s: %d requests, %d refused", name, lease.bucket.asked, lease.bucket.refused)


def visit(call: Call, name: str, node: str, demand: float) -> float:
    """Writes what `node` is asked for and returns its share, at least JOIN_SHARE.

    A node yields at once what it should not hold and takes only what is free: the shares never come to more
    than the whole, but for what newcomers live on until the others have yielded, or are known to have died.
    On a store that is not shared the others are this node's former lives.
    """
    tx, now = call.tx, call.now
    entries = _opened(tx, name, now)
    others = {other: entry for other, entry in entries.items() if other != node}
    demands = {node: demand} | {other: entry.demand for other, entry in others.items()}
    free = max(0.0, 1.0 - sum(entry.share for entry in others.values()))
    share = max(min(share_of(node, demands), free), min(JOIN_SHARE, share_of(node, demands)))
    _save(tx, name, others | {node: Entry(demand, share, now)}, now)
    return share


def begin_anew(call: Call) -> None:
    """On a store that nobody shares, whoever holds something is a former life of this node."""
    call.tx.run("DELETE FROM apigatewayv2_throttles")


def leave(tx: Transaction, name: str, node: str, *, now: float) -> None:
    """The node serves the limit no more; a limit that nobody serves has no row."""
    entries = _opened(tx, name, now)
    entries.pop(node, None)
    if entries:
        _save(tx, name, entries, now)
    else:
        tx.run("DELETE FROM apigatewayv2_throttles WHERE name = :name", name=name)


def forget(tx: Transaction, before: float) -> None:
    """Delete the rows that no node has written since."""
    tx.run("DELETE FROM apigatewayv2_throttles WHERE seen_at < :before", before=before)


def _opened(tx: Transaction, name: str, now: float) -> Entries:
    """The nodes that serve a limit, its row locked until the end of the transaction."""
    tx.run(
        "INSERT INTO apigatewayv2_throttles (name, nodes, seen_at) VALUES (:name, '{}', :now)"
        " ON CONFLICT DO NOTHING",
        name=name,
        now=now,
    )
    row = tx.one("SELECT nodes FROM apigatewayv2_throttles WHERE name = :name FOR UPDATE", name=name)
    found = msgspec.json.decode(row["nodes"], type=Entries) if row else {}
    return {node: entry for node, entry in found.items() if now - entry.at < GONE_S}


def _save(tx: Transaction, name: str, entries: Entries, now: float) -> None:
    tx.run(
        "UPDATE apigatewayv2_throttles SET nodes = :nodes, seen_at = :now WHERE name = :name",
        name=name,
        nodes=msgspec.json.encode(entries).decode(),
        now=now,
    )
