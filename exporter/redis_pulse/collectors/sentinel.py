"""What a Sentinel knows of the masters that it watches: their state, quorum, replicas and fellow Sentinels.

redis_sentinel_master_ok_slaves{target="s1",master_name="cart",master_address="10.0.0.7:6379"} 2
redis_sentinel_master_ckquorum_status{target="s1",master_name="cart",message="OK"} 1

``message`` is one of a closed set, not the server's sentence; the number in that sentence is a metric of its own.
"""
# ruff: noqa: E501 - a row is one line

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.collectors.support.redact_settings import SettingsOptions, settings_samples
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, counter, gauge, msec
from redis_pulse.parse.reply import as_pairs, as_text
from redis_pulse.parse.sentinel import LONGEST, as_instances, parse_ckquorum, parse_masters
from redis_pulse.server_info import Server

_MASTER = ("master_name", "master_address")
_MASTERS, _CKQUORUM, _SENTINELS, _SLAVES, _CONFIG = (
    f"SENTINEL {word}" for word in ("MASTERS", "CKQUORUM", "SENTINELS", "SLAVES", "CONFIG GET")
)
# fmt: off
#: Fields of INFO about the Sentinel itself.
ITSELF = (
    gauge("Sentinel", "sentinel_masters", "sentinel_masters", "Masters that the Sentinel watches."),
    gauge("Sentinel", "sentinel_tilt", "sentinel_tilt", "1 while the Sentinel does not trust its own clock and acts on nothing (TILT)."),
    gauge("Sentinel", "sentinel_tilt_since_seconds", "sentinel_tilt_since_seconds", "Time since the Sentinel went into TILT, -1 when it is not (Redis 7.0 and later)."),
    counter("Sentinel", "sentinel_total_tilt", "sentinel_tilts_total", "Times that the Sentinel went into TILT (Redis 8 and Valkey 9 and later)."),
    gauge("Sentinel", "sentinel_running_scripts", "sentinel_running_scripts", "Notification and reconfiguration scripts that run now."),
    gauge("Sentinel", "sentinel_scripts_queue_length", "sentinel_scripts_queue_length", "Scripts that wait to be run or are running."),
    gauge("Sentinel", "sentinel_simulate_failure_flags", "sentinel_simulate_failure_flags", "Failures that the Sentinel was told to simulate (SENTINEL SIMULATE-FAILURE), as bits."),
)
STATUS = gauge("Sentinel", "masterN:status", "sentinel_master_status", "Always 1; the label says how this Sentinel sees the master: ok, sdown, odown, or other.", labels=(*_MASTER, "master_status"))
#: Pairs of a masterN line of INFO.
OF_A_LINE = (
    gauge("Sentinel", "masterN:slaves", "sentinel_master_slaves", "Replicas of a master that the Sentinel knows.", labels=_MASTER),
    gauge("Sentinel", "masterN:sentinels", "sentinel_master_sentinels", "Sentinels that watch a master, this one included.", labels=_MASTER),
)
#: Fields of SENTINEL MASTERS.
OF_A_MASTER = (
    gauge(_MASTERS, "quorum", "sentinel_master_setting_ckquorum", "Sentinels that must agree that a master is down (quorum).", labels=_MASTER),
    gauge(_MASTERS, "failover-timeout", "sentinel_master_setting_failover_timeout", "Milliseconds that a failover may take (failover-timeout).", labels=_MASTER),
    gauge(_MASTERS, "failover-timeout", "sentinel_master_failover_timeout_seconds", "Time that a failover may take (failover-timeout).", msec, labels=_MASTER),
    gauge(_MASTERS, "parallel-syncs", "sentinel_master_setting_parallel_syncs", "Replicas that are resynchronised at once after a failover (parallel-syncs).", labels=_MASTER),
    gauge(_MASTERS, "down-after-milliseconds", "sentinel_master_setting_down_after_milliseconds", "Milliseconds of silence after which an instance is held to be down (down-after-milliseconds).", labels=_MASTER),
    gauge(_MASTERS, "down-after-milliseconds", "sentinel_master_down_after_seconds", "Time of silence after which an instance is held to be down (down-after-milliseconds).", msec, labels=_MASTER),
    gauge(_MASTERS, "config-epoch", "sentinel_master_config_epoch", "Epoch of a master's configuration; its address changes with it, so prefer redis_sentinel_failover_epoch to see failovers.", labels=_MASTER),
    gauge(_MASTERS, "last-ok-ping-reply", "sentinel_master_last_ok_ping_reply_seconds", "Time since a master last answered a PING of this Sentinel well.", msec, labels=_MASTER),
)
EPOCH = gauge(_MASTERS, "config-epoch", "sentinel_failover_epoch", "Epoch of a master's configuration by name alone: changes() of it counts failovers.", labels=("master_name",))
CKQUORUM = gauge(_CKQUORUM, "reply", "sentinel_master_ckquorum_status", "1 when enough Sentinels are there to agree on a failover and authorise it; message is OK, or NOQUORUM and what is missing.", labels=("master_name", "message"))
USABLE = gauge(_CKQUORUM, "usable Sentinels", "sentinel_master_usable_sentinels", "Sentinels that could take part in a failover now, this one included.", labels=_MASTER)
OK_SENTINELS = gauge(_SENTINELS, "flags", "sentinel_master_ok_sentinels", "Sentinels of a master that are not down, this one included.", labels=_MASTER)
OK_SLAVES = gauge(_SLAVES, "flags", "sentinel_master_ok_slaves", "Replicas of a master that are not down.", labels=_MASTER)
PEER = gauge(_SENTINELS, "*", "sentinel_peer_info", "Always 1; another Sentinel of a master (only with include_peer_info).", labels=(*_MASTER, "name", "ip", "port", "runid", "flags"))
KEY_VALUE = gauge(_CONFIG, "*", "sentinel_config_key_value", "Always 1; a setting of the Sentinel and its value, secrets hidden (only with include_config_metrics).", labels=("key", "value"))
VALUE = gauge(_CONFIG, "* that are numbers", "sentinel_config_value", "A setting of the Sentinel that is a number (only with include_config_metrics).", labels=("key",))
# fmt: on

_STATUSES = frozenset({"ok", "sdown", "odown"})
#: Flags of an instance that is down, in this Sentinel's opinion or by agreement.
_DOWN = frozenset({"s_down", "o_down"})
#: Flags that a label may show.
_FLAGS = frozenset({"sentinel", "disconnected", "master_down"}) | _DOWN


class SentinelOptions(SettingsOptions):
    """How much a Sentinel tells."""

    include_peer_info: bool = Field(default=False, description="Whether every other Sentinel of a master has a series.")
    max_masters: PositiveCount = Field(200, description="Masters that have series; further ones are counted, no more.")
    max_peers: PositiveCount = Field(50, description="Other Sentinels of one master that have a series.")


class SentinelCollector(Stateless):
    """Read INFO, then every master's details; what an ACL denies is left out."""

    name: ClassVar[str] = "sentinel"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(*ITSELF, STATUS, *OF_A_LINE, *OF_A_MASTER, EPOCH, CKQUORUM, USABLE, OK_SENTINELS, OK_SLAVES),
        *(PEER, KEY_VALUE, VALUE),
    )
    options: ClassVar[type[Options]] = SentinelOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        *("info", "sentinel|masters", "sentinel|ckquorum", "sentinel|sentinels", "sentinel|slaves", "sentinel|config"),
    )

    def applies(self, server: Server) -> bool:
        """Only a Sentinel has it."""
        return server.mode == "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read part by part."""
        own = (await read_info(server, commands)).get("Sentinel", {})
        found: list[CollectorItem | None] = [row.parse(own[row.field]) for row in ITSELF if row.field in own]
        lines, bad = parse_masters(own)
        found += [UnreadableField("Sentinel/masterN")] * bad
        masters, unread = await _masters(commands)
        found += unread
        names = sorted({**lines, **masters})
        if len(names) > options.max_masters:
            found.append(OverflowCount(STATUS.location, len(names) - options.max_masters))
        for name in names[: options.max_masters]:
            line, fields = lines.get(name, {}), masters.get(name, {})
            address = line.get("address") or f"{fields.get('ip', '')}:{fields.get('port', '')}"  # no [], as in INFO
            at = name, address[:LONGEST]
            found += [*_of_a_line(at, line), *_of_a_master(at, fields)]
            replies = await commands.pipeline(
                [("SENTINEL", word, name) for word in ("CKQUORUM", "SENTINELS", "SLAVES")]
            )
            found += [*_quorum(at, replies[0]), *_sentinels(at, replies[1], options), *_slaves(at, replies[2])]
        if options.include_config_metrics:
            found += await _settings(commands, options)
        return [item for item in found if item is not None]


async def _masters(commands: Commands) -> tuple[dict[str, dict[str, str]], list[CollectorItem]]:
    """Return the fields of every master by name, and what of the reply was unreadable."""
    try:
        masters = as_instances(await commands.execute("SENTINEL", "MASTERS"))
    except UNSUPPORTED:
        return {}, []
    return (
        ({}, [UnreadableField(_MASTERS)])
        if masters is None
        else (masters.named, [UnreadableField(_MASTERS)] * masters.bad)
    )


def _of_a_line(at: tuple[str, str], line: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    if status := line.get("status"):
        yield STATUS.sample(1.0, *at, status if status in _STATUSES else "other")
    for row in OF_A_LINE:
        if (item := row.field.removeprefix("masterN:")) in line:
            yield row.parse(line[item], *at)


def _of_a_master(at: tuple[str, str], fields: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    for row in (*OF_A_MASTER, EPOCH):
        if row.field in fields:
            yield row.parse(fields[row.field], *at[: len(row.labels)])


def _quorum(at: tuple[str, str], reply: Any) -> Iterator[CollectorItem]:
    """Read the reply to CKQUORUM; a quorum that is lost is an error reply."""
    if isinstance(reply, UNSUPPORTED):
        return
    verdict = parse_ckquorum(str(reply) if isinstance(reply, TargetError) else as_text(reply) or "")
    if verdict is None:
        yield UnreadableField(CKQUORUM.location)
    else:
        yield CKQUORUM.sample(float(verdict.reached), at[0], verdict.message)
        yield USABLE.sample(float(verdict.usable), *at)


def _sentinels(at: tuple[str, str], reply: Any, options: SentinelOptions) -> Iterator[CollectorItem]:
    yield from _standing(OK_SENTINELS, at, reply, ourselves=1)
    others = as_instances(reply)
    if others is None or not options.include_peer_info:
        return
    peers = sorted({_peer(fields) for fields in others.named.values()})
    for labels in peers[: options.max_peers]:
        yield PEER.sample(1.0, *at, *labels)
    if len(peers) > options.max_peers:
        yield OverflowCount(PEER.location, len(peers) - options.max_peers)


def _slaves(at: tuple[str, str], reply: Any) -> Iterator[CollectorItem]:
    yield from _standing(OK_SLAVES, at, reply, ourselves=0)


def _standing(row: MetricSpec, at: tuple[str, str], reply: Any, *, ourselves: int) -> Iterator[CollectorItem]:
    """Count the instances that are not down."""
    if isinstance(reply, UNSUPPORTED):
        return
    instances = as_instances(reply)
    if instances is None:
        yield UnreadableField(row.location)
        return
    flags = [set(fields["flags"].split(",")) for fields in instances.named.values() if "flags" in fields]
    yield from [UnreadableField(row.location)] * (instances.bad + len(instances.named) - len(flags))
    yield row.sample(float(ourselves + sum(not (_DOWN & one) for one in flags)), *at)


def _peer(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return name, ip, port, runid and those of its flags that are known."""
    flags = ",".join(flag for flag in dict.fromkeys(fields.get("flags", "").split(",")) if flag in _FLAGS)
    return (*(fields.get(label, "")[:LONGEST] for label in PEER.labels[2:-1]), flags)


async def _settings(commands: Commands, options: SentinelOptions) -> list[CollectorItem]:
    """Publish the Sentinel's settings (SENTINEL CONFIG came with Redis 6.2)."""
    try:
        fields, bad = as_pairs(await commands.execute("SENTINEL", "CONFIG", "GET", "*"))
    except UNSUPPORTED:
        return []
    return [*settings_samples(KEY_VALUE, VALUE, fields, options), *[UnreadableField(_CONFIG)] * bad]


COLLECTOR = SentinelCollector()
