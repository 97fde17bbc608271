"""When a failed delivery is tried again: the phases of a delivery policy. Pure.

Source: "Amazon SNS message delivery retries" in the SNS Developer Guide. A policy has up to four phases: at
once, before the backoff (each after the least delay), the backoff, after it (each after the greatest delay).
"""

from dataclasses import dataclass

IMMEDIATE, PRE_BACKOFF, POST_BACKOFF = "numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries"
FUNCTIONS = ("linear", "arithmetic", "geometric", "exponential")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often and after which delays; `backoff` counts the retries between the least and the greatest."""

    immediate: int
    pre_backoff: int
    backoff: int
    post_backoff: int
    min_delay_s: float
    max_delay_s: float
    function: str = "linear"

    @property
    def total(self) -> int:
        return self.immediate + self.pre_backoff + self.backoff + self.post_backoff

    def delay_s(self, failures: int) -> float | None:
        """How long to wait after so many failed tries (1 or more); None when it is given up."""
        retry = failures - 1
        if retry < self.immediate:
            return 0.0
        retry -= self.immediate
        if retry < self.pre_backoff:
            return self.min_delay_s
        retry -= self.pre_backoff
        if retry < self.backoff:
            return self._backoff_s(retry)
        retry -= self.backoff
        return self.max_delay_s if retry < self.post_backoff else None

    def _backoff_s(self, step: int) -> float:
        """From the least delay to the greatest. AWS publishes the curves as a picture only: a straight line
        (linear), growing differences (arithmetic), growing ratios (exponential), and between the last two
        (geometric)."""
        low, high = self.min_delay_s, self.max_delay_s
        if self.backoff < 2 or low == high:
            return low
        part = step / (self.backoff - 1)
        exponential = float(low * (high / low) ** part)
        arithmetic = low + (high - low) * part**2
        if self.function == "linear":
            return low + (high - low) * part
        if self.function == "arithmetic":
            return arithmetic
        return exponential if self.function == "exponential" else (arithmetic * exponential) ** 0.5

    def seconds(self) -> float:
        """All delays together."""
        delays = (self.delay_s(failures) for failures in range(1, self.total + 1))
        return sum(delay for delay in delays if delay)


# Queues and functions: 100,015 tries over 23 days.
INTERNAL = Schedule(3, 2, 10, 100_000, 1.0, 20.0, "exponential")
