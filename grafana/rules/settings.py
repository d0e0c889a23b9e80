"""What may be set: the objective and the edge of the SLO, thresholds, and one scale for all windows and waits."""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def setting(default: Any, help_text: str) -> Any:
    """Declare a setting with what ``--help`` says of it."""
    return field(default=default, metadata={"help": help_text})


def seconds(duration: str) -> float:
    """Read a duration as Prometheus writes it: ``90s``, ``5m``, ``30d``. Raises ValueError."""
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration: write a whole number and ms, s, m, h or d, such as 90s or 5m")
    return int(found[1]) * _UNITS[found[2]]


def duration(count: float) -> str:
    """Write seconds as Prometheus reads them, in the biggest unit that leaves a whole number, 1 ms at least."""
    milliseconds = max(1, round(count * 1000))
    for unit in ("d", "h", "m", "s"):
        size = round(_UNITS[unit] * 1000)
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


@dataclass(frozen=True)
class Settings:
    """All that may be set; ``scale`` shortens windows and waits together, for tests that cannot wait for hours."""

    objective: float = setting(0.999, "share of pings that must not fail, of targets without redis_slo_objective_ratio")
    latency_objective: float = setting(0.999, "share of pings that must be answered within the edge, of all targets")
    edge: float = setting(0.01, "seconds within which a ping is in time; one of probe.buckets")
    least_failures: int = setting(10, "fewer failures in the longer window of a pair burn no budget")
    job: str = setting(".*redis-pulse.*", "the scrape job of the exporter, a regular expression")
    poll_interval: str = setting("15s", "poll.interval of the exporter")
    scrape_interval: str = setting("15s", "how often Prometheus scrapes the exporter")
    failure_ratio: float = setting(0.05, "share of failed pings that is too high")
    memory: float = setting(0.9, "share of maxmemory that is a warning under noeviction")
    memory_critical: float = setting(0.98, "share of maxmemory that is critical under noeviction")
    connections: float = setting(0.85, "share of maxclients that is a warning")
    cpu: float = setting(0.85, "share of one core that saturates the main thread")
    error_replies: float = setting(0.05, "share of commands answered with an error that is a warning")
    late: float = setting(0.01, "share of pings skipped, or sent nobody knows when, that makes a measurement suspect")
    lag_bytes: int = setting(67108864, "bytes that a replica may be behind")
    lag_seconds: float = setting(10.0, "seconds that a replica may be behind")
    backup_age: str = setting("1d", "age at which a snapshot is stale")
    group_label: str = setting("replication_group", "label of a target that names its set of master and replicas")
    scale: float = setting(1.0, "factor for all windows and waits: below 1 only in tests")
    runbooks: str = setting(
        "https://github.com/redis-pulse/redis-pulse/blob/main/docs/runbooks", "where the runbooks are"
    )

    def __post_init__(self) -> None:
        """Refuse what makes no sense. Raises ValueError, whose message names the option."""
        shares = (
            "objective",
            "latency_objective",
            "failure_ratio",
            "memory",
            "memory_critical",
            "connections",
            "cpu",
            "late",
        )
        for name in (*shares, "error_replies"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"--{name.replace('_', '-')} {value}: must lie between 0 and 1, as 0.999 does")
        for name in ("edge", "scale", "least_failures", "lag_bytes", "lag_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"--{name.replace('_', '-')} {value}: must be above 0")
        for name in ("poll_interval", "scrape_interval", "backup_age"):
            try:
                seconds(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"--{name.replace('_', '-')}: {error}") from None
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", self.group_label):
            raise ValueError(f"--group-label {self.group_label}: is no name of a label")
        if not re.fullmatch(r"[\w.*+?|()\[\]-]+", self.job):
            raise ValueError(f"--job {self.job}: must be a regular expression without quotes, spaces and backslashes")

    def seconds(self, window: str) -> float:
        """Return the length of a window in seconds, scaled; four scrapes at least, or rate() would see too few."""
        return max(seconds(window) * self.scale, 4 * seconds(self.scrape_interval))

    def window(self, window: str) -> str:
        """Return a window as it stands between brackets: ``5m``, or what the scale makes of it."""
        return duration(self.seconds(window))

    def wait(self, window: str) -> str:
        """Return how long a condition must hold, scaled."""
        return duration(seconds(window) * self.scale)

    @property
    def le(self) -> str:
        """The edge as the label ``le`` of a bucket spells it."""
        return repr(float(self.edge))

    @property
    def stale(self) -> str:
        """Seconds after which samples are too old: three polls."""
        return f"{3 * seconds(self.poll_interval):g}"


def options() -> list[tuple[str, type, object, str]]:
    """Return option, type, default and help of every setting, for the command line and the docs."""
    return [
        (f"--{one.name.replace('_', '-')}", type(one.default), one.default, one.metadata["help"])
        for one in fields(Settings)
    ]
