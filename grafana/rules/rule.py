"""An alert, a recorded series, a group of rules."""

import textwrap
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]

#: If two exporters watch one server, each has its own alert for its own observations.
BY_TARGET = "by (job, instance, target)"
ON_TARGET = "on (job, instance, target)"
#: Avoids a second alert for a server that is down: RedisTargetDown covers it.
WHILE_UP = f"unless {ON_TARGET} redis_up == 0"


def unless_moved(window: str) -> str:
    """Return a condition that drops targets whose name moved to another server within the window.

    This happens to ``queue/master`` in a failover. One series then holds the counters of two servers. The difference
    between both counters looks like an increase or like a reset.
    """
    addresses = f"count by (job, instance, target, address) (last_over_time(redis_target_info[{window}]))"
    return f"unless {ON_TARGET} count {BY_TARGET} ({addresses}) > 1"


@dataclass(frozen=True)
class Alert:
    """One alert: ``idea`` is its condition in the docs, ``why`` the comment above it in the YAML.

    It fires when the condition has held for ``wait``, and until the condition has been false for ``keep``.
    """

    name: str
    idea: str
    expr: str
    severity: Severity
    summary: str
    description: str
    wait: str | None = None
    why: str = ""
    keep: str | None = None

    @property
    def expression(self) -> str:
        """Return the expression without the indentation of the source."""
        return textwrap.dedent(self.expr).strip()


@dataclass(frozen=True)
class Record:
    """One recorded series, named ``level:metric:operations``."""

    name: str
    expr: str
    why: str = ""

    @property
    def expression(self) -> str:
        """Return the expression without the indentation of the source."""
        return textwrap.dedent(self.expr).strip()


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated in order, at ``interval`` or at the global interval."""

    name: str
    rules: tuple[Alert | Record, ...]
    interval: str | None = None
