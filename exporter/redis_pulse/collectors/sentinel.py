"""State, quorum, replicas and Sentinels of the masters that a Sentinel watches (INFO, SENTINEL).

redis_sentinel_master_ok_slaves{target="s1",master_name="cart",master_address="10.0.0.7:6379"} 2
redis_sentinel_master_ckquorum_status{target="s1",master_name="cart",message="OK"} 1

``message`` is one of four texts without numbers, not the server's message, so it makes few series. The number in the
server's message is published as ``redis_sentinel_master_usable_sentinels``.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.info_lines import info_requests, read_info
from redis_pulse.collectors.support.redact_settings import SettingsOptions, settings_samples
from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, counter, gauge, msec
from redis_pulse.parse.reply import as_pairs, as_text
from redis_pulse.parse.sentinel import MAX_NAME_LENGTH, as_instances, parse_ckquorum, parse_masters
from redis_pulse.server_info import Server

_MASTER_LABELS = ("master_name", "master_address")
_MASTERS, _CKQUORUM, _SENTINELS, _SLAVES, _CONFIG = (
    f"SENTINEL {word}" for word in ("MASTERS", "CKQUORUM", "SENTINELS", "SLAVES", "CONFIG GET")
)
# fmt: off
#: Fields of INFO about the Sentinel.
SENTINEL_METRICS = (
    gauge("Sentinel", "sentinel_masters", "sentinel_masters", "Masters that the Sentinel watches."),
    gauge("Sentinel", "sentinel_tilt", "sentinel_tilt", "1 while the Sentinel does not trust its clock and does not act (TILT)."),
    gauge("Sentinel", "sentinel_tilt_since_seconds", "sentinel_tilt_since_seconds", "Time since the Sentinel entered TILT, -1 if it is not in TILT (Redis 7.0 and later)."),
    counter("Sentinel", "sentinel_total_tilt", "sentinel_tilts_total", "Times that the Sentinel entered TILT (Redis 8 and Valkey 9 and later)."),
    gauge("Sentinel", "sentinel_running_scripts", "sentinel_running_scripts", "Notification and reconfiguration scripts that currently run."),
    gauge("Sentinel", "sentinel_scripts_queue_length", "sentinel_scripts_queue_length", "Scripts that wait to run or are running."),
    gauge("Sentinel", "sentinel_simulate_failure_flags", "sentinel_simulate_failure_flags", "Failures that the Sentinel simulates (SENTINEL SIMULATE-FAILURE), as bits."),
)
STATUS = gauge("Sentinel", "masterN:status", "sentinel_master_status", "Always 1; the label is the master's state in this Sentinel's view: ok, sdown, odown, or other.", labels=(*_MASTER_LABELS, "master_status"))
#: Pairs of a masterN line of INFO.
LINE_METRICS = (
    gauge("Sentinel", "masterN:slaves", "sentinel_master_slaves", "Replicas of a master that the Sentinel knows.", labels=_MASTER_LABELS),
    gauge("Sentinel", "masterN:sentinels", "sentinel_master_sentinels", "Sentinels that watch a master, including this one.", labels=_MASTER_LABELS),
)
#: Fields of SENTINEL MASTERS.
MASTER_METRICS = (
    gauge(_MASTERS, "quorum", "sentinel_master_setting_ckquorum", "Number of Sentinels that must agree that a master is down (quorum).", labels=_MASTER_LABELS),
    gauge(_MASTERS, "failover-timeout", "sentinel_master_setting_failover_timeout", "Milliseconds that a failover may take (failover-timeout).", labels=_MASTER_LABELS),
    gauge(_MASTERS, "failover-timeout", "sentinel_master_failover_timeout_seconds", "Time that a failover may take (failover-timeout).", msec, labels=_MASTER_LABELS),
    gauge(_MASTERS, "parallel-syncs", "sentinel_master_setting_parallel_syncs", "Replicas that are resynchronised at the same time after a failover (parallel-syncs).", labels=_MASTER_LABELS),
    gauge(_MASTERS, "down-after-milliseconds", "sentinel_master_setting_down_after_milliseconds", "Milliseconds without a reply after which an instance counts as down (down-after-milliseconds).", labels=_MASTER_LABELS),
    gauge(_MASTERS, "down-after-milliseconds", "sentinel_master_down_after_seconds", "Time without a reply after which an instance counts as down (down-after-milliseconds).", msec, labels=_MASTER_LABELS),
    gauge(_MASTERS, "config-epoch", "sentinel_master_config_epoch", "Epoch of a master's configuration; the label master_address changes with it, so use redis_sentinel_failover_epoch to count failovers.", labels=_MASTER_LABELS),
    gauge(_MASTERS, "last-ok-ping-reply", "sentinel_master_last_ok_ping_reply_seconds", "Time since the last valid reply of a master to a PING of this Sentinel.", msec, labels=_MASTER_LABELS),
)
EPOCH = gauge(_MASTERS, "config-epoch", "sentinel_failover_epoch", "Epoch of a master's configuration by master name only; its changes() counts failovers.", labels=("master_name",))
CKQUORUM = gauge(_CKQUORUM, "reply", "sentinel_master_ckquorum_status", "1 if enough Sentinels are usable to agree on a failover and authorise it. The message is OK, or NOQUORUM and the reason.", labels=("master_name", "message"))
USABLE = gauge(_CKQUORUM, "usable Sentinels", "sentinel_master_usable_sentinels", "Sentinels that can currently take part in a failover, including this one.", labels=_MASTER_LABELS)
OK_SENTINELS = gauge(_SENTINELS, "flags", "sentinel_master_ok_sentinels", "Sentinels of a master that are not down, including this one.", labels=_MASTER_LABELS)
OK_SLAVES = gauge(_SLAVES, "flags", "sentinel_master_ok_slaves", "Replicas of a master that are not down.", labels=_MASTER_LABELS)
PEER = gauge(_SENTINELS, "*", "sentinel_peer_info", "Always 1; the labels describe another Sentinel of a master (only with include_peer_info).", labels=(*_MASTER_LABELS, "name", "ip", "port", "runid", "flags"))
KEY_VALUE = gauge(_CONFIG, "*", "sentinel_config_key_value", "Always 1; the labels are a setting of the Sentinel and its value, with secrets hidden (only with include_config_metrics).", labels=("key", "value"))
VALUE = gauge(_CONFIG, "* that are numbers", "sentinel_config_value", "Value of a setting of the Sentinel that is a number (only with include_config_metrics).", labels=("key",))
# fmt: on

_STATUSES = frozenset({"ok", "sdown", "odown"})
#: Flags of an instance that is down: in this Sentinel's view (s_down), or by agreement (o_down).
_DOWN = frozenset({"s_down", "o_down"})
#: Flags that a label may contain.
_LABEL_FLAGS = frozenset({"sentinel", "disconnected", "master_down"}) | _DOWN


class SentinelOptions(SettingsOptions):
    """Settings of the collector ``sentinel``."""

    include_peer_info: bool = Field(default=False, description="Whether each other Sentinel of a master has a series.")
    max_masters: PositiveCount = Field(200, description="Masters that have series; further ones are only counted.")
    max_peers: PositiveCount = Field(50, description="Other Sentinels of one master that have a series.")


class SentinelCollector(Stateless):
    """Read INFO, then the details of each master. Parts that an ACL denies are left out."""

    name: ClassVar[str] = "sentinel"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(*SENTINEL_METRICS, STATUS, *LINE_METRICS, *MASTER_METRICS, EPOCH, CKQUORUM, USABLE, OK_SENTINELS, OK_SLAVES),
        *(PEER, KEY_VALUE, VALUE),
    )
    options: ClassVar[type[Options]] = SentinelOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        *("info", "sentinel|masters", "sentinel|ckquorum", "sentinel|sentinels", "sentinel|slaves", "sentinel|config"),
    )

    def applies(self, server: Server) -> bool:
        """Return whether the server is a Sentinel."""
        return server.mode == "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return INFO and the list of masters. What is sent for each master depends on it."""
        return [*info_requests(server), ("SENTINEL", "MASTERS")]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the parts one by one. An unreadable part is counted and does not affect the others."""
        info = (await read_info(server, commands)).get("Sentinel", {})
        items: list[CollectorItem | None] = [
            metric.parse(info[metric.field]) for metric in SENTINEL_METRICS if metric.field in info
        ]
        lines, bad = parse_masters(info)
        items += [UnreadableField("Sentinel/masterN")] * bad
        masters, unreadable = await _request_masters(commands)
        items += unreadable
        names = sorted({**lines, **masters})
        if len(names) > options.max_masters:
            items.append(OverflowCount(STATUS.location, len(names) - options.max_masters))
        for name in names[: options.max_masters]:
            line, fields = lines.get(name, {}), masters.get(name, {})
            # An IPv6 address has no brackets here, because INFO writes none.
            address = line.get("address") or f"{fields.get('ip', '')}:{fields.get('port', '')}"
            master = name, address[:MAX_NAME_LENGTH]
            items += [*_line_samples(master, line), *_master_samples(master, fields)]
            quorum, sentinels, replicas = await commands.pipeline(
                [("SENTINEL", word, name) for word in ("CKQUORUM", "SENTINELS", "SLAVES")]
            )
            items += _quorum_samples(master, quorum)
            items += _sentinel_samples(master, sentinels, options)
            items += _ok_samples(OK_SLAVES, master, replicas)
        if options.include_config_metrics:
            items += await _settings_items(commands, options)
        return [item for item in items if item is not None]


async def _request_masters(commands: Commands) -> tuple[dict[str, dict[str, str]], list[CollectorItem]]:
    """Return the fields of each master by name, and the unreadable parts of the reply."""
    try:
        masters = as_instances(await commands.execute("SENTINEL", "MASTERS"))
    except UNSUPPORTED:
        return {}, []
    if masters is None:
        return {}, [UnreadableField(_MASTERS)]
    return masters.named, [UnreadableField(_MASTERS)] * masters.bad


def _line_samples(master: tuple[str, str], line: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    if status := line.get("status"):
        yield STATUS.sample(1.0, *master, status if status in _STATUSES else "other")
    for metric in LINE_METRICS:
        if (item := metric.field.removeprefix("masterN:")) in line:
            yield metric.parse(line[item], *master)


def _master_samples(master: tuple[str, str], fields: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    for metric in (*MASTER_METRICS, EPOCH):
        if metric.field in fields:
            yield metric.parse(fields[metric.field], *master[: len(metric.labels)])


def _quorum_samples(master: tuple[str, str], reply: Any) -> Iterator[CollectorItem]:
    """Read the reply to CKQUORUM. The server reports a lost quorum as an error."""
    if isinstance(reply, UNSUPPORTED):
        return
    quorum = parse_ckquorum(str(reply) if isinstance(reply, TargetError) else as_text(reply) or "")
    if quorum is None:
        yield UnreadableField(CKQUORUM.location)
    else:
        yield CKQUORUM.sample(float(quorum.reached), master[0], quorum.message)
        yield USABLE.sample(float(quorum.usable), *master)


def _sentinel_samples(master: tuple[str, str], reply: Any, options: SentinelOptions) -> Iterator[CollectorItem]:
    # The reply leaves out the Sentinel that sends it.
    yield from _ok_samples(OK_SENTINELS, master, reply, not_listed=1)
    others = as_instances(reply)
    if others is None or not options.include_peer_info:
        return
    peers = sorted({_peer_labels(fields) for fields in others.named.values()})
    for labels in peers[: options.max_peers]:
        yield PEER.sample(1.0, *master, *labels)
    if len(peers) > options.max_peers:
        yield OverflowCount(PEER.location, len(peers) - options.max_peers)


def _ok_samples(
    metric: MetricSpec, master: tuple[str, str], reply: Any, *, not_listed: int = 0
) -> Iterator[CollectorItem]:
    """Count the listed instances that are not down, plus those that are ``not_listed``."""
    if isinstance(reply, UNSUPPORTED):
        return
    instances = as_instances(reply)
    if instances is None:
        yield UnreadableField(metric.location)
        return
    flags = [set(fields["flags"].split(",")) for fields in instances.named.values() if "flags" in fields]
    without_flags = len(instances.named) - len(flags)
    yield from [UnreadableField(metric.location)] * (instances.bad + without_flags)
    ok = sum(not (_DOWN & instance_flags) for instance_flags in flags)
    yield metric.sample(float(not_listed + ok), *master)


def _peer_labels(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return name, ip, port, runid and flags of a Sentinel. Unknown flags are left out."""
    flags = ",".join(flag for flag in dict.fromkeys(fields.get("flags", "").split(",")) if flag in _LABEL_FLAGS)
    return (*(fields.get(label, "")[:MAX_NAME_LENGTH] for label in PEER.labels[2:-1]), flags)


async def _settings_items(commands: Commands, options: SentinelOptions) -> list[CollectorItem]:
    """Read the settings of the Sentinel. SENTINEL CONFIG requires Redis 6.2 or later."""
    try:
        settings, bad = as_pairs(await commands.execute("SENTINEL", "CONFIG", "GET", "*"))
    except UNSUPPORTED:
        return []
    return [*settings_samples(KEY_VALUE, VALUE, settings, options), *[UnreadableField(_CONFIG)] * bad]


COLLECTOR = SentinelCollector()
