"""Options of the rules: objectives, the latency edge, thresholds, and a scale for all windows and waits."""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def setting(default: Any, help_text: str) -> Any:
    """Return a dataclass field with its text for ``--help``."""
    return field(default=default, metadata={"help": help_text})


def seconds(duration: str) -> float:
    """Return the seconds of a duration in Prometheus format: ``90s``, ``5m``, ``30d``. Raises ValueError."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration: write a whole number and ms, s, m, h or d, such as 90s or 5m")
    return int(match[1]) * _UNITS[match[2]]


def duration(count: float) -> str:
    """Return seconds in Prometheus format, in the largest unit that gives a whole number; at least 1 ms."""
    milliseconds = max(1, round(count * 1000))
    for unit in ("d", "h", "m", "s"):
        size = round(_UNITS[unit] * 1000)
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


@dataclass(frozen=True)
class Settings:
    """All options. ``scale`` shortens all windows and waits, for tests that cannot wait for hours."""

    objective: float = setting(0.999, "share of pings that must not fail; redis_slo_objective_ratio overrides it")
    latency_objective: float = setting(0.999, "share of pings that must be answered within the edge")
    edge: float = setting(0.01, "longest ping that is in time, in seconds; one of probe.buckets")
    least_failures: int = setting(10, "failures in the longer window that a burn-rate alert needs at least")
    job: str = setting(".*redis-pulse.*", "the scrape job of the exporter, a regular expression")
    poll_interval: str = setting("15s", "poll.interval of the exporter")
    scrape_interval: str = setting("15s", "how often Prometheus scrapes the exporter")
    failure_ratio: float = setting(0.05, "share of failed pings that is too high")
    memory: float = setting(0.9, "share of maxmemory that is a warning under noeviction")
    memory_critical: float = setting(0.98, "share of maxmemory that is critical under noeviction")
    connections: float = setting(0.85, "share of maxclients that is a warning")
    cpu: float = setting(0.85, "share of one core that saturates the main thread")
    error_replies: float = setting(0.05, "share of commands answered with an error that is a warning")
    stalls: int = setting(3, "stalls of a server within 15 minutes that are too many")
    late: float = setting(0.01, "share of pings skipped or sent at an uncertain time that is too high")
    lag_bytes: int = setting(67108864, "bytes that a replica may lag behind")
    lag_seconds: float = setting(10.0, "seconds that a replica may lag behind")
    fill_days: float = setting(4.0, "days within which growing keys reach maxmemory, which is a warning")
    fill_window: str = setting("6h", "time whose growth tells when memory will be full")
    key_share: float = setting(0.1, "share of the memory in one key that is a warning")
    slot_cpu: float = setting(0.2, "share of one core for one slot that is a warning")
    backup_age: str = setting("1d", "age at which a snapshot is stale")
    group_label: str = setting("replication_group", "label of a target with the name of its replication group")
    scale: float = setting(1.0, "factor for all windows and waits; below 1 only in tests")
    runbooks: str = setting(
        "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks", "address of the runbooks"
    )

    def __post_init__(self) -> None:
        """Check all values. Raises ValueError with a message that names the option."""
        shares = (
            "objective",
            "latency_objective",
            "failure_ratio",
            "memory",
            "memory_critical",
            "connections",
            "cpu",
            "late",
            "key_share",
            "slot_cpu",
        )
        for name in (*shares, "error_replies"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"--{name.replace('_', '-')} {value}: must lie between 0 and 1, as 0.999 does")
        for name in ("edge", "scale", "least_failures", "stalls", "lag_bytes", "lag_seconds", "fill_days"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"--{name.replace('_', '-')} {value}: must be above 0")
        for name in ("poll_interval", "scrape_interval", "fill_window", "backup_age"):
            try:
                seconds(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"--{name.replace('_', '-')}: {error}") from None
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", self.group_label):
            raise ValueError(f"--group-label {self.group_label}: is no name of a label")
        if not re.fullmatch(r"[\w.*+?|()\[\]-]+", self.job):
            raise ValueError(f"--job {self.job}: must be a regular expression without quotes, spaces and backslashes")

    def seconds(self, window: str) -> float:
        """Return the scaled length of a window in seconds: at least four scrapes, because rate() needs samples."""
        return max(seconds(window) * self.scale, 4 * seconds(self.scrape_interval))

    def window(self, window: str) -> str:
        """Return a scaled window as text for a range selector, such as ``5m``."""
        return duration(self.seconds(window))

    def wait(self, window: str) -> str:
        """Return the scaled time for which a condition must hold."""
        return duration(seconds(window) * self.scale)

    @property
    def le(self) -> str:
        """Return the edge as the value of the label ``le`` of a bucket."""
        return repr(float(self.edge))

    @property
    def stale(self) -> str:
        """Return the seconds after which samples are too old: three polls."""
        return f"{3 * seconds(self.poll_interval):g}"


def options() -> list[tuple[str, type, object, str]]:
    """Return option, type, default and help text of each setting."""
    return [
        (f"--{option.name.replace('_', '-')}", type(option.default), option.default, option.metadata["help"])
        for option in fields(Settings)
    ]
