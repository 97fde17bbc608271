"""Token buckets: how many requests may pass now, and how several nodes divide one limit. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

FLOOR_PER_S = 1.0  # the weight of a node without demand: it must be able to begin


@dataclass(frozen=True, slots=True)
class Limit:
    """`rate` requests in a second for ever, and up to `burst` at once after a rest."""

    rate: float
    burst: int


class Bucket:
    """A node's share of one limit. Times are those of a clock that never goes back, in seconds."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens", "asked", "limit", "refused", "share")

    def __init__(self, limit: Limit, now: float) -> None:
        self.asked = self.refused = 0
        self._at = now
        self._tokens = float(limit.burst)
        self.limit = limit
        self.share = 1.0
        self._resize()

    def take(self, now: float) -> bool:
        """Whether one more request may pass."""
        self.asked += 1
        tokens = self._tokens + (now - self._at) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self._at = now
        if tokens < 1.0:
            self._tokens = tokens
            self.refused += 1
            return False
        self._tokens = tokens - 1.0
        return True

    def give_back(self) -> None:
        """What was taken for a request that another limit then refused."""
        self._tokens += 1.0

    def wait_s(self) -> float | None:
        """Seconds until the next request may pass, seen from the last `take`; None when none ever may."""
        if self._burst < 1.0 or self._rate <= 0.0:
            return None
        return max(0.0, 1.0 - self._tokens) / self._rate

    def change(self, limit: Limit) -> None:
        """Another limit from now on."""
        if self.limit.burst < limit.burst:
            self._tokens += (limit.burst - self.limit.burst) * self.share
        self.limit = limit
        self._resize()

    def divide(self, share: float) -> None:
        """This node holds `share` (0..1) of the limit from now on; a smaller one takes tokens along."""
        if share < self.share and self._tokens > 1.0:
            self._tokens = max(1.0, self._tokens * share / self.share)
        self.share = share
        self._resize()

    def _resize(self) -> None:
        self._rate = self.limit.rate * self.share
        # less than one token would never let a request pass, however long the node waits
        self._burst = max(1.0, self.limit.burst * self.share) if self.limit.burst else 0.0


def share_of(node: str, demands: Mapping[str, float]) -> float:
    """The part of a limit that `node` holds: in proportion to what the nodes are asked for per second.

    When all together want less than the limit, each gets more than it wants; else all suffer alike.
    """
    weights = {name: demand + FLOOR_PER_S for name, demand in demands.items()}
    return weights[node] / sum(weights.values())


def retry_after_s(wait_s: float) -> int:
    """The whole seconds of a Retry-After header (RFC 9110, 10.2.3)."""
    return max(1, math.ceil(wait_s))
