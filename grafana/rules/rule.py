"""An alert, a recorded series, a group of rules."""

import textwrap
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]

#: Two exporters that watch one server are two witnesses: each alerts for what it sees itself.
BY_TARGET = "by (job, instance, target)"
ON_TARGET = "on (job, instance, target)"
#: Nobody is told twice: what is down anyway has alerts of its own.
WHILE_UP = f"unless {ON_TARGET} redis_up == 0"


def unless_moved(window: str) -> str:
    """Leave out targets whose name went to another server within the window, as ``queue/master`` does in a failover.

    The counters of two servers stand in one series then: what looks like growth, or like a reset, is the difference.
    """
    places = f"count by (job, instance, target, address) (last_over_time(redis_target_info[{window}]))"
    return f"unless {ON_TARGET} count {BY_TARGET} ({places}) > 1"


@dataclass(frozen=True)
class Alert:
    """One alert: ``idea`` is what its table in the docs says, ``why`` the comment that stands above it."""

    name: str
    idea: str
    expr: str
    severity: Severity
    summary: str
    description: str
    wait: str | None = None
    why: str = ""

    @property
    def expression(self) -> str:
        """The expression, without the indentation of the source."""
        return textwrap.dedent(self.expr).strip()


@dataclass(frozen=True)
class Record:
    """One recorded series, named ``level:metric:operations``."""

    name: str
    expr: str
    why: str = ""

    @property
    def expression(self) -> str:
        """The expression, without the indentation of the source."""
        return textwrap.dedent(self.expr).strip()


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other; ``interval`` when it is not the global one."""

    name: str
    rules: tuple[Alert | Record, ...]
    interval: str | None = None
