"""Limits that the server is configured with (CONFIG GET); on request every setting, its secrets hidden.

redis_config_maxclients{target="cart"} 10000
redis_config_client_output_buffer_limit_bytes{target="cart",class="pubsub",limit="hard"} 3.3554432e+07

Hidden is every value whose name or text looks like a secret, which is more than the secrets: ``show`` names what may
be seen all the same, ``hide`` what must not be seen besides. An empty value is shown: it says that none is set.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.redact_settings import SettingsOptions, settings_samples
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config import Options
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_pairs
from redis_pulse.server_info import Server

_SECTION = "CONFIG GET"
_LIMIT = ("class", "limit")
# fmt: off
# ruff: noqa: E501 - a row is one line
#: Settings that are one number each.
NUMBERS = (
    gauge(_SECTION, "maxclients", "config_maxclients", "Client connections that the server accepts at most."),
    gauge(_SECTION, "maxmemory", "config_maxmemory", "Bytes of data that the server may hold at most, 0 for no limit."),
    gauge(_SECTION, "io-threads", "config_io_threads", "Threads that read and write client sockets, the main thread included."),
    gauge(_SECTION, "repl-backlog-size", "config_repl_backlog_size", "Bytes of the replication backlog."),
)
BUFFERS = "client-output-buffer-limit"
BUFFER_BYTES = gauge(_SECTION, f"{BUFFERS}: bytes", "config_client_output_buffer_limit_bytes", "Bytes of unsent replies at which a client is disconnected: at once (hard), or after a while (soft); 0 for no limit.", labels=_LIMIT)
BUFFER_SECONDS = gauge(_SECTION, f"{BUFFERS}: seconds", "config_client_output_buffer_limit_overcome_seconds", "Time for which a client may stay above its soft limit.", labels=_LIMIT)
KEY_VALUE = gauge(_SECTION, "*", "config_key_value", "Always 1; a setting and its value, secrets hidden (only with include_config_metrics).", labels=("key", "value"))
VALUE = gauge(_SECTION, "* that are numbers", "config_value", "A setting that is a number (only with include_config_metrics).", labels=("key",))
# fmt: on
#: Classes of clients, in the words of all servers.
_CLASSES = frozenset({"normal", "slave", "replica", "pubsub"})
_WANTED = (*(row.field for row in NUMBERS), BUFFERS)


class ConfigCollector(Stateless):
    """Ask for the few settings that have metrics of their own, or for all of them."""

    name: ClassVar[str] = "config"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (*NUMBERS, BUFFER_BYTES, BUFFER_SECONDS, KEY_VALUE, VALUE)
    options: ClassVar[type[Options]] = SettingsOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("config|get",)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has CONFIG."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read the settings; one that the server does not have has no sample."""
        found: list[CollectorItem] = []
        settings: dict[str, str] = {}
        for reply in await _ask(commands, everything=options.include_config_metrics):
            if isinstance(reply, TargetError):
                found += [] if isinstance(reply, UNSUPPORTED) else [UnreadableField(_SECTION)]
                continue
            fields, bad = as_pairs(reply)
            settings |= fields
            found += [UnreadableField(_SECTION)] * bad
        found += [sample for row in NUMBERS if row.field in settings if (sample := row.parse(settings[row.field]))]
        found += _buffers(settings)
        if options.include_config_metrics:
            found += settings_samples(KEY_VALUE, VALUE, settings, options)
        return found


async def _ask(commands: Commands, *, everything: bool) -> list[Any]:
    """Return the replies; the first command alone, so that a server that denies CONFIG denies it once.

    Several names in one CONFIG GET came with Redis 7.0.
    """
    if everything:
        return [await commands.execute("CONFIG", "GET", "*")]
    first, *others = _WANTED
    return [
        await commands.execute("CONFIG", "GET", first),
        *await commands.pipeline([("CONFIG", "GET", name) for name in others]),
    ]


def _buffers(settings: Mapping[str, str]) -> Iterator[Sample | UnreadableField]:
    """Read ``normal 0 0 0 slave 268435456 67108864 60 …``: class, hard and soft limit, seconds."""
    words = settings.get(BUFFERS, "")[:1000].split()
    seen: set[str] = set()
    for start in range(0, len(words), 4):
        kind, *limits = words[start : start + 4]
        if kind not in _CLASSES or kind in seen or len(limits) != 3:  # a series may stand on a page only once
            yield UnreadableField(f"{_SECTION}/{BUFFERS}")
            continue
        seen.add(kind)
        rows = ((BUFFER_BYTES, "hard"), (BUFFER_BYTES, "soft"), (BUFFER_SECONDS, "soft"))
        for (row, limit), text in zip(rows, limits, strict=True):
            if (sample := row.parse(text, kind, limit)) is not None:
                yield sample


COLLECTOR = ConfigCollector()
