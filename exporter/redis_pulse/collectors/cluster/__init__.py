"""State, slots, migrations of slots, and bus messages of a cluster, as one node reports them (CLUSTER INFO).

redis_cluster_state{target="cart"} 1
redis_cluster_bus_messages_total{target="cart",direction="sent",kind="ping"} 1843
"""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.cluster.migrations import SLOT_MIGRATIONS, read_migrations
from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field
from redis_pulse.metric import CollectorItem, MetricSpec, Sample, UnreadableField, counter, gauge
from redis_pulse.parse.info import InfoParser
from redis_pulse.parse.reply import parse_uint
from redis_pulse.server_info import Server
from redis_pulse.slices import text_slices

_SECTION = "CLUSTER INFO"
DIRECTIONS = ("sent", "received")
#: Kinds of messages on the bus, named as the server does. Other kinds are summed as ``other``.
KINDS = (
    "ping",
    "pong",
    "meet",
    "fail",
    "publish",
    "auth-req",
    "auth-ack",
    "update",
    "mfstart",
    "module",
    "publishshard",
)


def _kind_metric(kind: str, direction: str) -> MetricSpec:
    field = f"cluster_stats_messages_{kind}_{direction}"
    text = f"Messages of the kind {kind} {direction} on the cluster bus, as a gauge; prefer the counter redis_cluster_bus_messages_total."
    return gauge(_SECTION, field, field.replace("-", "_"), text)


# fmt: off
#: Fields with a single number.
CLUSTER_METRICS: tuple[MetricSpec, ...] = (
    gauge(_SECTION, "cluster_state", "cluster_state", "1 while this node can serve queries (ok), 0 while it cannot (fail)."),
    gauge(_SECTION, "cluster_slots_assigned", "cluster_slots_assigned", "Slots that are assigned to a node, out of 16384."),
    gauge(_SECTION, "cluster_slots_ok", "cluster_slots_ok", "Slots whose node is neither failed nor unreachable."),
    gauge(_SECTION, "cluster_slots_pfail", "cluster_slots_pfail", "Slots of nodes that this node cannot reach (PFAIL)."),
    gauge(_SECTION, "cluster_slots_fail", "cluster_slots_fail", "Slots of failed nodes; the cluster agreed on the failure (FAIL)."),
    gauge(_SECTION, "cluster_nodes_pfail", "cluster_nodes_pfail", "Nodes that this node cannot reach (Valkey 9 and later)."),
    gauge(_SECTION, "cluster_nodes_fail", "cluster_nodes_fail", "Failed nodes; the cluster agreed on the failure (Valkey 9 and later)."),
    gauge(_SECTION, "cluster_voting_nodes_pfail", "cluster_voting_nodes_pfail", "Primaries with slots that this node cannot reach (Valkey 9 and later)."),
    gauge(_SECTION, "cluster_voting_nodes_fail", "cluster_voting_nodes_fail", "Primaries with slots that have failed (Valkey 9 and later)."),
    gauge(_SECTION, "cluster_known_nodes", "cluster_known_nodes", "Nodes that this node knows, including failed nodes and nodes in handshake."),
    gauge(_SECTION, "cluster_size", "cluster_size", "Primaries that serve at least one slot."),
    gauge(_SECTION, "cluster_current_epoch", "cluster_current_epoch", "Newest epoch that this node has received; it grows with every failover."),
    gauge(_SECTION, "cluster_my_epoch", "cluster_my_epoch", "Epoch of this node's own configuration."),
    gauge(_SECTION, "cluster_stats_messages_sent", "cluster_messages_sent_total", "Messages sent on the cluster bus, as a gauge; prefer the counter redis_cluster_bus_messages_total."),
    gauge(_SECTION, "cluster_stats_messages_received", "cluster_messages_received_total", "Messages received on the cluster bus, as a gauge; prefer the counter redis_cluster_bus_messages_total."),
    *(_kind_metric(kind, direction) for kind in KINDS for direction in DIRECTIONS),
    counter(_SECTION, "total_cluster_links_buffer_limit_exceeded", "cluster_links_buffer_limit_exceeded_total", "Links of the cluster bus dropped because their buffers used too much memory (cluster-link-sendbuf-limit; Redis 7.0 and later)."),
    gauge(_SECTION, "cluster_slot_migration_active_tasks", "cluster_slot_migration_active_tasks", "Tasks that import or export slots now (CLUSTER MIGRATION; Redis 8.4 and later)."),
    gauge(_SECTION, "cluster_slot_migration_active_trim_running", "cluster_slot_migration_trims", "Jobs that run or wait to delete the keys of slots that left this node (Redis 8.4 and later)."),
    gauge(_SECTION, "cluster_slot_migration_active_trim_current_job_keys", "cluster_slot_migration_trim_keys", "Keys that the running trim job has to delete (Redis 8.4 and later)."),
    gauge(_SECTION, "cluster_slot_migration_active_trim_current_job_trimmed", "cluster_slot_migration_trim_keys_deleted", "Keys that the running trim job has deleted (Redis 8.4 and later)."),
    counter(_SECTION, "cluster_slot_migration_stats_active_trim_started", "cluster_slot_migration_trims_started_total", "Trim jobs that were started (Redis 8.4 and later)."),
    counter(_SECTION, "cluster_slot_migration_stats_active_trim_completed", "cluster_slot_migration_trims_completed_total", "Trim jobs that were completed (Redis 8.4 and later)."),
    counter(_SECTION, "cluster_slot_migration_stats_active_trim_cancelled", "cluster_slot_migration_trims_cancelled_total", "Trim jobs that were cancelled (Redis 8.4 and later)."),
)
MESSAGES = counter(_SECTION, "cluster_stats_messages_KIND_DIRECTION", "cluster_bus_messages_total", "Messages on the cluster bus by kind.", labels=("direction", "kind"))
BYTES = counter(_SECTION, "cluster_stats_bytes_DIRECTION", "cluster_bus_bytes_total", "Bytes on the cluster bus (Valkey 9 and later).", labels=("direction",))
PUBSUB_BYTES = counter(_SECTION, "cluster_stats_pubsub_bytes_DIRECTION", "cluster_bus_pubsub_bytes_total", "Bytes on the cluster bus of published messages, a part of redis_cluster_bus_bytes_total (Valkey 9.1 and later).", labels=("direction",))
MODULE_BYTES = counter(_SECTION, "cluster_stats_module_bytes_DIRECTION", "cluster_bus_module_bytes_total", "Bytes on the cluster bus of modules, a part of redis_cluster_bus_bytes_total (Valkey 9.1 and later).", labels=("direction",))
# fmt: on

_BYTES_BY_DIRECTION = (BYTES, PUBSUB_BYTES, MODULE_BYTES)
#: Field of INFO that only servers with the command have → the command that lists the migrations of slots.
_LISTINGS: dict[str, Args] = {
    "slot_migration_fork_in_progress": ("CLUSTER", "GETSLOTMIGRATIONS"),
    "mem_cluster_slot_migration_output_buffer": ("CLUSTER", "MIGRATION", "STATUS", "ALL"),
}
_MESSAGES = re.compile(r"cluster_stats_messages_(.+)_(sent|received)")


class ClusterOptions(Options):
    """Settings of the collector ``cluster``."""

    migration_status: bool = Field(
        False,
        description="Also send `CLUSTER MIGRATION STATUS` (Redis 8.4 and later). Its permission also allows to move"
        " slots. Valkey has a command that only reads, which is always sent.",
    )


class ClusterInfoCollector(Stateless):
    """Read CLUSTER INFO of a cluster node, and list its migrations of slots."""

    name: ClassVar[str] = "cluster"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (*CLUSTER_METRICS, MESSAGES, *_BYTES_BY_DIRECTION, *SLOT_MIGRATIONS)
    options: ClassVar[type[Options]] = ClusterOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("cluster|info", "cluster|getslotmigrations", "cluster|migration")

    def applies(self, server: Server) -> bool:
        """Return whether the server is a cluster node."""
        return server.fields.get("cluster_enabled") == "1"

    def requests(self, server: Server, options: ClusterOptions) -> Sequence[Args]:
        """Return CLUSTER INFO, and the command that lists migrations once INFO shows which one the server has."""
        listing = _listing(server, options)
        return [("CLUSTER", "INFO"), *([] if listing is None else [listing])]

    async def collect(self, server: Server, commands: Commands, options: ClusterOptions) -> Iterable[CollectorItem]:
        """Read ``field:value`` lines, and the migrations if the server has a command for them."""
        reply = await commands.execute("CLUSTER", "INFO")
        parser = InfoParser()
        async for text in text_slices(reply if isinstance(reply, bytes) else b""):
            parser.feed(text)
        fields = {field: value for part in parser.result().values() for field, value in part.items()}
        if not fields:
            return [UnreadableField(_SECTION)]
        items = [metric.parse(fields[metric.field]) for metric in CLUSTER_METRICS if metric.field in fields]
        for direction in DIRECTIONS:
            for metric in _BYTES_BY_DIRECTION:
                field = metric.field.replace("DIRECTION", direction)
                if field in fields:
                    items.append(metric.parse(fields[field], direction))
        migrations = await _list_migrations(server, commands, options)
        return chain((item for item in items if item is not None), _message_samples(fields), migrations)


async def _list_migrations(server: Server, commands: Commands, options: ClusterOptions) -> Iterable[CollectorItem]:
    """Send the command that this server has. A user who may not send it loses only these samples."""
    if (command := _listing(server, options)) is None:
        return ()
    try:
        reply = await commands.execute(*command)
    except UNSUPPORTED:
        return ()
    time = parse_uint(server.fields.get("server_time_usec", ""))
    return read_migrations(reply, None if time is None else time / 1e6)


def _listing(server: Server, options: ClusterOptions) -> Args | None:
    """Return the command that lists the migrations of slots, or None without one, or if it is not wanted."""
    for field, command in _LISTINGS.items():
        if field in server.fields and (command[1] != "MIGRATION" or options.migration_status):
            return command
    return None


def _message_samples(fields: Mapping[str, str]) -> Iterator[Sample | UnreadableField]:
    """Read the counts by kind. The server omits a kind before its first message, so its count is 0."""
    if "cluster_stats_messages_sent" not in fields:
        return
    counts = {(direction, kind): 0.0 for direction in DIRECTIONS for kind in (*KINDS, "other")}
    for field, text in fields.items():
        if not (match := _MESSAGES.fullmatch(field)):
            continue
        kind, direction = match[1] if match[1] in KINDS else "other", match[2]
        item = MESSAGES.parse(text, direction, kind)
        if isinstance(item, UnreadableField):
            yield item
        elif item is not None:
            counts[direction, kind] += item.value
    for (direction, kind), count in counts.items():
        yield MESSAGES.sample(count, direction, kind)


COLLECTOR = ClusterInfoCollector()
