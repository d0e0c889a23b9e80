"""What ``redis-pulse calibrate`` prints: ten lines, or JSON.

::

    10 targets, 10 s: pings to a server of this program on 127.0.0.1, which holds replies back for 0 to 20 ms
                                              p50      p99      max
    error of a ping, µs                       4.8     17.5     30.9
      before the server had it                2.6      8.9     22.2
      after its reply had left                2.2     13.5     28.3
    error without kernel timestamps, µs     131.6   3259.3   5100.1
    pings left late, ms                      0.98     4.34    11.12
    timed by the kernel: 100% of sends, 100% of replies, 100% of the server's record
    pings: 1000 due, 1000 answered, 0 failed, 0 skipped, 0 sent at an uncertain time
    limited by: nothing was found
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from redis_pulse.calibrate.echo import HELD
from redis_pulse.calibrate.measure import ComparedPing, Measurement

#: The share of pings that the kernel must time, so that no limit is reported.
ENOUGH = 0.99
#: The share of time without a core, and the lateness in seconds, from which they are a limit.
MAX_WAITED, MAX_LATE = 0.05, 0.01


class Quantiles(NamedTuple):
    """Three quantiles of durations, in seconds."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Quantiles":
        """Return the quantiles of at least one value. Each is a value that was observed."""
        ordered = sorted(values)
        return cls(*[ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.99, 1.0)])


def share_of(pings: Sequence[ComparedPing], is_counted: Callable[[ComparedPing], bool]) -> float:
    """Return the share of pings that are counted."""
    return sum(map(is_counted, pings)) / len(pings)


class Report:
    """The result of a calibration with at least one compared ping."""

    def __init__(self, measurement: Measurement, pings: Sequence[ComparedPing]) -> None:
        self._measurement = measurement
        self.failed = measurement.failures.total()
        self.error = Quantiles.of(abs(ping.error) for ping in pings)
        self.before = Quantiles.of(ping.before for ping in pings)
        self.after = Quantiles.of(ping.after for ping in pings)
        self.naive = Quantiles.of(abs(ping.naive) for ping in pings)
        self.late = Quantiles.of(max(0.0, ping.late) for ping in pings)
        self.by_held = {
            held: Quantiles.of(values)
            for held in HELD
            if (values := [abs(ping.error) for ping in pings if ping.held == held])
        }
        self.answered = len(pings)
        self.sends = share_of(pings, lambda ping: ping.send_by_kernel)
        self.replies = share_of(pings, lambda ping: ping.reply_by_kernel)
        self.record = share_of(pings, lambda ping: ping.record_by_kernel)

    def limits(self) -> list[str]:
        """Return what makes pings wrong, late or missing on this machine."""
        measurement = self._measurement
        waited, found = measurement.waited, []
        if self.replies < ENOUGH:
            found.append("this kernel does not time replies, so our delay in reading them counts as latency")
        if self.sends < ENOUGH:
            found.append("this kernel does not time sends, so a preempted send counts as latency")
        if self.record < ENOUGH:
            found.append("the server's record is not by the kernel, so the true error is smaller")
        if waited is not None and waited > MAX_WAITED:
            found.append(f"the machine is contended: this program waited {waited:.0%} of the time for a core")
        if self.late.p99 > MAX_LATE:
            found.append("pings leave late, which changes no latency")
        if measurement.skipped:
            found.append("pings were skipped, so moments were not measured")
        if measurement.uncertain:
            found.append("some sends were preempted and not timed by the kernel")
        if self.failed:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(measurement.failures.items()))
            found.append(f"pings failed ({reasons})")
        return found

    def as_text(self) -> str:
        """Return ten lines."""
        measurement = self._measurement
        targets = f"{measurement.targets} target{'' if measurement.targets == 1 else 's'}"
        title = f"{targets}, {measurement.seconds:.0f} s: pings to a server of this program on 127.0.0.1"
        shares = (f"{_percent(self.sends)} of sends", f"{_percent(self.replies)} of replies")
        counts = (
            f"{measurement.due} due, {self.answered} answered, {self.failed} failed, {measurement.skipped} skipped",
            f"{measurement.uncertain} sent at an uncertain time",
        )
        lines = [
            f"{title}, which holds replies back for 0 to {max(HELD) * 1e3:.0f} ms",
            f"{'':36}{'p50':>9}{'p99':>9}{'max':>9}",
            _row("error of a ping, µs", self.error, 1e6, 1),
            _row("  before the server had it", self.before, 1e6, 1),
            _row("  after its reply had left", self.after, 1e6, 1),
            _row("error without kernel timestamps, µs", self.naive, 1e6, 1),
            _row("pings left late, ms", self.late, 1e3, 2),
            f"timed by the kernel: {', '.join(shares)}, {_percent(self.record)} of the server's record",
            f"pings: {', '.join(counts)}",
            f"limited by: {'; '.join(self.limits()) or 'nothing was found'}",
        ]
        return "\n".join(lines) + "\n"

    def as_json(self) -> str:
        """Return the same as JSON, with the error by the time for which replies were held back."""
        measurement = self._measurement
        content: dict[str, Any] = {
            "targets": measurement.targets,
            "seconds": round(measurement.seconds, 3),
            "pings": {
                "due": measurement.due,
                "answered": self.answered,
                "failed": dict(sorted(measurement.failures.items())),
                "skipped": measurement.skipped,
                "uncertain_sends": measurement.uncertain,
            },
            "error_seconds": _rounded(self.error),
            "error_before_server_seconds": _rounded(self.before),
            "error_after_server_seconds": _rounded(self.after),
            "error_by_held_back_seconds": {f"{held:g}": _rounded(found) for held, found in self.by_held.items()},
            "error_without_kernel_timestamps_seconds": _rounded(self.naive),
            "late_seconds": _rounded(self.late),
            "timed_by_kernel_ratio": {"sends": self.sends, "replies": self.replies, "server": self.record},
            "waited_for_core_ratio": None if measurement.waited is None else round(measurement.waited, 4),
            "limits": self.limits(),
        }
        return json.dumps(content, indent=2) + "\n"


def _row(name: str, found: Quantiles, unit: float, digits: int) -> str:
    return f"{name:36}" + "".join(f"{value * unit:9.{digits}f}" for value in found)


def _percent(share: float) -> str:
    """Return a share. Only all of them are 100 %, and only none is 0 %."""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def _rounded(found: Quantiles) -> dict[str, float]:
    return {name: round(value, 9) for name, value in found._asdict().items()}
