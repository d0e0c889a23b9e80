"""State, slots, nodes and bus messages of a cluster, as one node reports them (CLUSTER INFO).

redis_cluster_state{target="cart"} 1
redis_cluster_bus_messages_total{target="cart",direction="sent",kind="ping"} 1843
"""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, counter, gauge
from redis_pulse.parse.info import parse_info
from redis_pulse.parse.reply import as_text
from redis_pulse.server_info import Server

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
)
MESSAGES = counter(_SECTION, "cluster_stats_messages_KIND_DIRECTION", "cluster_bus_messages_total", "Messages on the cluster bus by kind.", labels=("direction", "kind"))
BYTES = counter(_SECTION, "cluster_stats_bytes_DIRECTION", "cluster_bus_bytes_total", "Bytes on the cluster bus (Valkey 9 and later).", labels=("direction",))
# fmt: on

_MESSAGES = re.compile(r"cluster_stats_messages_(.+)_(sent|received)")


class ClusterInfoCollector(Stateless):
    """Read CLUSTER INFO of a cluster node."""

    name: ClassVar[str] = "cluster"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (*CLUSTER_METRICS, MESSAGES, BYTES)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("cluster|info",)

    def applies(self, server: Server) -> bool:
        """Return whether the server is a cluster node."""
        return server.fields.get("cluster_enabled") == "1"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read ``field:value`` lines."""
        text = as_text(await commands.execute("CLUSTER", "INFO"))
        fields = {field: value for part in parse_info(text or "").values() for field, value in part.items()}
        if not fields:
            return [UnreadableField(_SECTION)]
        items = [metric.parse(fields[metric.field]) for metric in CLUSTER_METRICS if metric.field in fields]
        for direction in DIRECTIONS:
            field = f"cluster_stats_bytes_{direction}"
            if field in fields:
                items.append(BYTES.parse(fields[field], direction))
        return [*(item for item in items if item is not None), *_message_samples(fields)]


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
