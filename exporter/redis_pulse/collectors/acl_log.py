"""Denials by reason, user and command, from the ACL log (ACL LOG; Redis 6.0 and later, every Valkey).

redis_acl_log_denials{target="cart",reason="command",username="web",object="flushall"} 3
redis_acl_log_denials{target="cart",reason="auth",username="",object=""} 11

The log keeps only the newest denials (``acllog-max-len``), so these counts can go down. Names of keys and channels are
not published. The user names of failed logins are not either, because some people type their password there.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge, parse_number
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced

DENIALS = gauge(
    "ACL LOG",
    "count",
    "acl_log_denials",
    "Denials in the ACL log by reason and user, and by command if a command was denied.",
    labels=("reason", "username", "object"),
)
ENTRIES = gauge("ACL LOG", "entries", "acl_log_entries", "Entries read of the ACL log; repeated denials share one.")
AGE = gauge("ACL LOG", "age-seconds", "acl_log_newest_age_seconds", "Time since the newest denial in the ACL log.")
#: Reason, user, command.
Denial = tuple[str, str, str]


class AclLogOptions(Options):
    """Settings of the collector ``acl_log``."""

    entries: PositiveCount = Field(128, le=10_000, description="Number of log entries to read, the newest first.")
    max_denials: PositiveCount = Field(
        50, le=1000, description="Denials with their own series; the others are summed as `overflow`."
    )


class AclLogCollector:
    """Read the newest entries of the ACL log."""

    name: ClassVar[str] = "acl_log"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (DENIALS, ENTRIES, AGE)
    options: ClassVar[type[AclLogOptions]] = AclLogOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("acl|log",)

    def __init__(self) -> None:
        self._limiter = LabelLimiter[Denial]()

    def for_target(self) -> Self:
        """Return a copy. It remembers which denials of this target have their own series."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: a Sentinel has no data to guard with an ACL."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: AclLogOptions) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read the entries. An unreadable one is counted and does not affect the others."""
        entries = as_list(await commands.execute("ACL", "LOG", options.entries))
        if entries is None:
            return [UnreadableField("ACL LOG")]
        counts: dict[Denial, float] = {}
        ages: list[float] = []
        items: list[CollectorItem] = []
        async for entry in sliced(entries[: options.entries]):
            fields = as_map(entry) or {}
            count, reason, age = as_integer(fields.get("count")), as_text(fields.get("reason")), _age(fields)
            if count is None or count < 0 or reason is None:
                items.append(UnreadableField(DENIALS.location))
                continue
            denial = _denial(reason, fields)
            counts[denial] = counts.get(denial, 0) + count
            if age is not None:
                ages.append(age)
        items.append(ENTRIES.sample(len(entries)))
        if ages:
            items.append(AGE.sample(min(ages)))
        return [*items, *self._denial_samples(counts, options.max_denials)]

    def _denial_samples(self, counts: dict[Denial, float], max_denials: int) -> Iterator[CollectorItem]:
        admitted = self._limiter.admit(counts, max_denials)
        for denial in sorted(admitted):
            yield DENIALS.sample(counts[denial], *denial)
        if rejected := counts.keys() - admitted:
            yield DENIALS.sample(sum(counts[denial] for denial in rejected), OVERFLOW, OVERFLOW, OVERFLOW)
            yield OverflowCount(DENIALS.location, len(rejected))


def _denial(reason: str, fields: dict[str, Any]) -> Denial:
    user = "" if reason == "auth" else as_text(fields.get("username")) or ""
    command = (as_text(fields.get("object")) or "").lower() if reason == "command" else ""
    return label_value(reason), label_value(user), label_value(command)


def _age(fields: dict[str, Any]) -> float | None:
    """Return ``age-seconds``, which the server sends as text, or None if it is unreadable."""
    try:
        age = parse_number(as_text(fields.get("age-seconds")) or "")
    except ValueError:
        return None
    return age if age is not None and age >= 0 else None


COLLECTOR = AclLogCollector()
