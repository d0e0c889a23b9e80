"""Who was denied what, as the ACL log has it (Redis 6.0 and later, every Valkey).

redis_acl_log_denials{target="cart",reason="command",username="web",object="flushall"} 3
redis_acl_log_denials{target="cart",reason="auth",username="",object=""} 11

The log keeps the newest denials (``acllog-max-len``): what is counted here may also go down. Names of keys and channels
are left out, and so are names under which somebody failed to log in: a password typed in the wrong place is one.
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

DENIALS = gauge(
    "ACL LOG",
    "count",
    "acl_log_denials",
    "Denials in the ACL log, by reason, by user, and by command where that was what was denied.",
    labels=("reason", "username", "object"),
)
ENTRIES = gauge("ACL LOG", "entries", "acl_log_entries", "Entries read of the ACL log; repeated denials share one.")
AGE = gauge("ACL LOG", "age-seconds", "acl_log_newest_age_seconds", "Time since the newest denial in the ACL log.")
#: Reason, user, command.
Denied = tuple[str, str, str]


class AclLogOptions(Options):
    """How much of the log is read, and how many denials are told apart."""

    entries: PositiveCount = Field(128, le=10_000, description="Entries of the log that are read, the newest ones.")
    max_denials: PositiveCount = Field(
        50, le=1000, description="Denials with a series of their own; the others are added up as `overflow`."
    )


class AclLogCollector:
    """ACL LOG."""

    name: ClassVar[str] = "acl_log"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (DENIALS, ENTRIES, AGE)
    options: ClassVar[type[AclLogOptions]] = AclLogOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("acl|log",)

    def __init__(self) -> None:
        self._places = LabelLimiter[Denied]()

    def for_target(self) -> Self:
        """Return one that remembers which denials of this target have a series of their own."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Of a Sentinel nobody asks for the data that an ACL guards."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: AclLogOptions) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read the newest entries."""
        entries = as_list(await commands.execute("ACL", "LOG", options.entries))
        if entries is None:
            return [UnreadableField("ACL LOG")]
        counted: dict[Denied, float] = {}
        ages, found = [], list[CollectorItem]()
        for entry in entries:
            read = as_map(entry) or {}
            count, reason, age = as_integer(read.get("count")), as_text(read.get("reason")), _age(read)
            if count is None or count < 0 or reason is None:
                found.append(UnreadableField(DENIALS.location))
                continue
            denied = _denied(reason, read)
            counted[denied] = counted.get(denied, 0) + count
            ages += [] if age is None else [age]
        found += [ENTRIES.sample(len(entries)), *([AGE.sample(min(ages))] if ages else [])]
        return [*found, *self._served(counted, options.max_denials)]

    def _served(self, counted: dict[Denied, float], most: int) -> Iterator[CollectorItem]:
        own = self._places.admit(counted, most)
        for denied in sorted(own):
            yield DENIALS.sample(counted[denied], *denied)
        if rest := counted.keys() - own:
            yield DENIALS.sample(sum(counted[denied] for denied in rest), OVERFLOW, OVERFLOW, OVERFLOW)
            yield OverflowCount(DENIALS.location, len(rest))


def _denied(reason: str, read: dict[str, Any]) -> Denied:
    user = "" if reason == "auth" else as_text(read.get("username")) or ""
    command = (as_text(read.get("object")) or "").lower() if reason == "command" else ""
    return label_value(reason), label_value(user), label_value(command)


def _age(read: dict[str, Any]) -> float | None:
    """Return ``age-seconds``, which is text; None when it makes no sense."""
    try:
        age = parse_number(as_text(read.get("age-seconds")) or "")
    except ValueError:
        return None
    return age if age is not None and age >= 0 else None


COLLECTOR = AclLogCollector()
