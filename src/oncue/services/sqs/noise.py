"""Noisy tenants of a fair queue: who takes more than a tenth of its consumers. Pure.

Source: AWS's page "How Amazon SQS fair queues work". A tenant is noisy when it has more than 10 % of the
queue's messages in flight and at least 30, or more than 10 % of the recent processing time. The processing
time is the messages in flight, summed over the time: each measurement counts for as long as since the last.
"""

import math
from collections.abc import Iterable

from oncue.store.tenants import Load

SHARE_MAX = 0.1
IN_FLIGHT_MIN = 30
RECENT_S = 60.0
PAUSE_S = 1.0
CLAIMS_PER_S = 10_000  # of pause: measuring reads every claim, and takes about a hundredth of the time
TENANTS_MAX = 64


class Noise:
    """What one process knows of one queue. `noisy` names the noisy tenants, least in flight first."""

    __slots__ = ("_busy", "_busy_total", "_held", "_measured_at", "_pause_s", "_total", "noisy")

    def __init__(self) -> None:
        self.noisy: tuple[str, ...] = ()
        self._held: dict[str, int] = {}
        self._total = 0
        self._busy: dict[str, float] = {}
        self._busy_total = 0.0
        self._measured_at = 0.0
        self._pause_s = 0.0

    def is_old(self, now: float) -> bool:
        """Whether it is time to measure; also when the clock was put back."""
        return not 0 <= now - self._measured_at < self._pause_s

    def measured(self, load: Load, now: float) -> None:
        elapsed_s = min(max(0.0, now - self._measured_at), RECENT_S) if self._measured_at else 0.0
        kept = math.exp(-elapsed_s / RECENT_S)
        busy = {name: seconds * kept for name, seconds in self._busy.items()}
        for name, held in load.of.items():
            busy[name] = busy.get(name, 0.0) + held * elapsed_s
        most = sorted(busy.items(), key=lambda pair: pair[1], reverse=True)[:TENANTS_MAX]
        self._busy = dict(most)
        self._busy_total = self._busy_total * kept + load.total * elapsed_s
        self._held = dict(load.of)
        self._total = load.total
        self._measured_at = now
        self._pause_s = PAUSE_S + load.total / CLAIMS_PER_S
        self._judge()

    def claimed(self, tenants: Iterable[str]) -> None:
        """Messages taken since the last measurement; '' is a message that is nobody's."""
        for name in tenants:
            self._total += 1
            if name:
                self._held[name] = self._held.get(name, 0) + 1
        self._judge()

    def _judge(self) -> None:
        by_number = {
            name
            for name, held in self._held.items()
            if held >= IN_FLIGHT_MIN and held > SHARE_MAX * self._total
        }
        by_time = {name for name, seconds in self._busy.items() if seconds > SHARE_MAX * self._busy_total}
        self.noisy = tuple(sorted(by_number | by_time, key=lambda name: (self._held.get(name, 0), name)))
