"""Configured limits of the server (CONFIG GET); on request all settings, with secrets hidden.

redis_config_maxclients{target="cart"} 10000
redis_config_client_output_buffer_limit_bytes{target="cart",class="pubsub",limit="hard"} 3.3554432e+07

A value is hidden if its name or text looks like a secret. This hides some values that are not secrets: list their names
in ``show``. List further settings to hide in ``hide``. An empty value is shown, because it means that no secret is set.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.redact_settings import SettingsOptions, settings_samples
from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.config import Options
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, KeptItems, MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_pairs
from redis_pulse.server_info import Server

_SECTION = "CONFIG GET"
_LIMIT_LABELS = ("class", "limit")
# fmt: off
# ruff: noqa: E501 - one line per metric definition
#: Settings with a single number.
NUMBER_METRICS = (
    gauge(_SECTION, "maxclients", "config_maxclients", "Maximum number of client connections."),
    gauge(_SECTION, "maxmemory", "config_maxmemory", "Maximum memory use in bytes, 0 for no limit."),
    gauge(_SECTION, "io-threads", "config_io_threads", "Threads that read and write client sockets, including the main thread."),
    gauge(_SECTION, "repl-backlog-size", "config_repl_backlog_size", "Size of the replication backlog in bytes."),
)
BUFFER_LIMITS = "client-output-buffer-limit"
BUFFER_BYTES = gauge(_SECTION, f"{BUFFER_LIMITS}: bytes", "config_client_output_buffer_limit_bytes", "Bytes of unsent replies at which the server disconnects a client, at once (hard) or later (soft). 0 means no limit.", labels=_LIMIT_LABELS)
BUFFER_SECONDS = gauge(_SECTION, f"{BUFFER_LIMITS}: seconds", "config_client_output_buffer_limit_overcome_seconds", "Time for which a client may stay above its soft limit.", labels=_LIMIT_LABELS)
KEY_VALUE = gauge(_SECTION, "*", "config_key_value", "Always 1; the labels are a setting and its value, with secrets hidden (only with include_config_metrics).", labels=("key", "value"))
VALUE = gauge(_SECTION, "* that are numbers", "config_value", "Value of a setting that is a number (only with include_config_metrics).", labels=("key",))
# fmt: on
#: Classes of clients, under the names that servers use.
_CLIENT_CLASSES = frozenset({"normal", "slave", "replica", "pubsub"})
#: Different replies whose samples are kept. None of them contains a secret.
_KNOWN_REPLIES = 64
#: Bytes of such replies, and words in them. Usual ones have a tenth. A hostile server must not fill the memory.
_MAX_KNOWN_BYTES, _MAX_KNOWN_WORDS = 4096, 100
_SETTINGS = (*(metric.field for metric in NUMBER_METRICS), BUFFER_LIMITS)


class ConfigCollector:
    """Read the settings that have their own metrics, or all settings.

    Redis Enterprise has an error for a setting that it does not have. Such a setting is requested once for each server.
    """

    name: ClassVar[str] = "config"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (*NUMBER_METRICS, BUFFER_BYTES, BUFFER_SECONDS, KEY_VALUE, VALUE)
    options: ClassVar[type[Options]] = SettingsOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("config|get",)

    def __init__(self) -> None:
        #: the settings that the server with this identity refused
        self._refused: set[str] = set()
        self._identity: tuple[str, ...] = ()
        #: whether this server allows CONFIG
        self._is_allowed = False

    def for_target(self) -> Self:
        """Return a copy. It remembers the settings that the server refused."""
        return type(self)()

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: all other servers have CONFIG."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:
        """Return all commands. The first poll of a server has only the first one, because CONFIG may be denied."""
        if options.include_config_metrics:
            return [("CONFIG", "GET", "*")]
        is_known = server.identity == self._identity
        names = [name for name in _SETTINGS if not is_known or name not in self._refused]
        return [("CONFIG", "GET", name) for name in (names if is_known and self._is_allowed else names[:1])]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the settings. A setting that the server does not have gives no sample."""
        if server.identity != self._identity:
            self._refused, self._identity, self._is_allowed = set(), server.identity, False
        replies = await self._request(commands, everything=options.include_config_metrics)
        if options.include_config_metrics:
            items, settings = _read(replies)
            return chain(items, settings_samples(KEY_VALUE, VALUE, settings, options))
        texts = [(*reply,) for reply in replies if type(reply) is list and {*map(type, reply)} <= {bytes}]
        is_usual = len(texts) == len(replies) and sum(map(len, texts)) <= _MAX_KNOWN_WORDS
        if is_usual and sum(map(len, chain.from_iterable(texts))) <= _MAX_KNOWN_BYTES:
            return _known_items(tuple(texts))
        return _read(replies)[0]

    async def _request(self, commands: Commands, *, everything: bool) -> list[Any]:
        """Return the replies to CONFIG GET.

        The first command is sent alone, so that a server that denies CONFIG denies only one command. Each command has
        one name, because only Redis 7.0 and later accept several.
        """
        if everything:
            return [await commands.execute("CONFIG", "GET", "*")]
        replies: list[Any] = []
        names = [name for name in _SETTINGS if name not in self._refused]
        self._is_allowed = False
        for name in names[:1]:
            try:
                replies.append(await commands.execute("CONFIG", "GET", name))
            except TargetError as error:
                if not _refuses_setting(error):
                    raise
                replies.append(error)
        self._is_allowed = True
        replies += await commands.pipeline([("CONFIG", "GET", name) for name in names[1:]])
        refused = {name for name, reply in zip(names, replies, strict=True) if _refuses_setting(reply)}
        self._refused |= refused
        return [reply for name, reply in zip(names, replies, strict=True) if name not in refused]


def _read(replies: Iterable[Any]) -> tuple[list[CollectorItem], dict[str, str]]:
    """Return the samples of the replies, and the settings in them."""
    items: list[CollectorItem] = []
    settings: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, TargetError):
            items += [] if isinstance(reply, UNSUPPORTED) else [UnreadableField(_SECTION)]
            continue
        fields, bad = as_pairs(reply)
        settings |= fields
        items += [UnreadableField(_SECTION)] * bad
    for metric in NUMBER_METRICS:
        if metric.field in settings and (item := metric.parse(settings[metric.field])) is not None:
            items.append(item)
    items += _buffer_limit_samples(settings)
    return items, settings


@lru_cache(maxsize=_KNOWN_REPLIES)
def _known_items(replies: tuple[tuple[bytes, ...], ...]) -> KeptItems:
    """Return the samples of replies as they usually are. Most servers have the same ones, in each poll."""
    return KeptItems(_read(map(list, replies))[0])


def _refuses_setting(reply: Any) -> bool:
    """Return whether a reply is an error about the setting, and not about the command, the server or its state."""
    return type(reply) is TargetError


def _buffer_limit_samples(settings: Mapping[str, str]) -> Iterator[Sample | UnreadableField]:
    """Read ``normal 0 0 0 slave 268435456 67108864 60 …``: class, hard limit, soft limit, seconds."""
    words = settings.get(BUFFER_LIMITS, "")[:1000].split()
    seen: set[str] = set()
    for start in range(0, len(words), 4):
        client_class, *values = words[start : start + 4]
        # A page must not contain a series twice.
        if client_class not in _CLIENT_CLASSES or client_class in seen or len(values) != 3:
            yield UnreadableField(f"{_SECTION}/{BUFFER_LIMITS}")
            continue
        seen.add(client_class)
        metrics = ((BUFFER_BYTES, "hard"), (BUFFER_BYTES, "soft"), (BUFFER_SECONDS, "soft"))
        for (metric, limit), text in zip(metrics, values, strict=True):
            if (item := metric.parse(text, client_class, limit)) is not None:
                yield item


COLLECTOR = ConfigCollector()
