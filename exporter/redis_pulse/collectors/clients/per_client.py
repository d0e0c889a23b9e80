"""One series per client under the names of redis_exporter, if the option ``per_client`` is on."""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterator, Sequence

from redis_pulse.collectors.support.labels import label_value
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, Sample, UnreadableField, gauge
from redis_pulse.parse.client_list import ClientFields, parse_address

#: Clients that have series. Further ones are only counted.
MAX_CLIENTS = 10_000
#: A start time computed from a whole-second age varies by a second. Activity moves an idle time further.
_TOLERANCE = 1.5

_LABELS = ("id", "name")
_INFO_LABELS = ("id", "name", "flags", "db", "host", "port", "user", "resp")
# fmt: off
INFO = gauge("CLIENT LIST", "id", "connected_client_info", "A connected client; the label port is empty unless include_port is on.", labels=_INFO_LABELS)
CREATED = gauge("CLIENT LIST", "age", "connected_client_created_at_timestamp", "Unix time at which a client connected, in seconds.", labels=_LABELS)
IDLE_SINCE = gauge("CLIENT LIST", "idle", "connected_client_idle_since_timestamp", "Unix time since which a client has sent nothing, in seconds.", labels=_LABELS)
FIELD_METRICS = (
    gauge("CLIENT LIST", "omem", "connected_client_output_buffer_memory_usage_bytes", "Memory of a client's output buffers.", labels=_LABELS),
    gauge("CLIENT LIST", "tot-mem", "connected_client_total_memory_consumed_bytes", "Memory of all buffers of a client.", labels=_LABELS),
    gauge("CLIENT LIST", "sub", "connected_client_channel_subscriptions_count", "Channels that a client subscribes to.", labels=_LABELS),
    gauge("CLIENT LIST", "psub", "connected_client_pattern_matching_subscriptions_count", "Patterns that a client subscribes to.", labels=_LABELS),
    gauge("CLIENT LIST", "ssub", "connected_client_shard_channel_subscriptions_count", "Shard channels that a client subscribes to (Redis 7.0 and later).", labels=_LABELS),
    gauge("CLIENT LIST", "watch", "connected_client_shard_channel_watched_keys", "Keys that a client watches (Redis 7.4, Valkey 8.0 and later).", labels=_LABELS),
    gauge("CLIENT LIST", "qbuf", "connected_client_query_buffer_length_bytes", "Bytes in a client's query buffer, 0 when no query waits.", labels=_LABELS),
    gauge("CLIENT LIST", "qbuf-free", "connected_client_query_buffer_free_space_bytes", "Free bytes in a client's query buffer, 0 when it is full.", labels=_LABELS),
    gauge("CLIENT LIST", "obl", "connected_client_output_buffer_length_bytes", "Bytes in a client's fixed output buffer.", labels=_LABELS),
    gauge("CLIENT LIST", "oll", "connected_client_output_list_length", "Replies queued for a client because its fixed output buffer is full.", labels=_LABELS),
)
# fmt: on
METRICS: Sequence[MetricSpec] = (INFO, CREATED, IDLE_SINCE, *FIELD_METRICS)


class PerClientSeries:
    """The series of the clients of one list.

    Times of clients that were also in the ``previous`` list do not change.
    """

    def __init__(self, now: float, previous: "PerClientSeries | None" = None, *, include_port: bool = False) -> None:
        self._now = float(now // 1)
        self._previous_times = previous.times if previous is not None else {}
        self._include_port = include_port
        #: Computed Unix times, for the series of the next list.
        self.times: dict[tuple[MetricSpec, str], float] = {}
        self._ids: set[str] = set()
        self._left_out = 0
        self._items: list[CollectorItem] = []

    def add(self, client: ClientFields) -> None:
        """Add one client. An unreadable field is counted and does not affect the other fields."""
        labels = label_value(client["id"]), label_value(client.get("name", ""))
        client_id = labels[0]
        if client_id in self._ids:  # a page must not contain a series twice
            self._items.append(UnreadableField(INFO.location))
        elif len(self._ids) >= MAX_CLIENTS:
            self._left_out += 1
        else:
            self._ids.add(client_id)
            self._items.append(self._info(labels, client))
            self._items += self._field_samples(labels, client)

    def samples(self) -> list[CollectorItem]:
        """Return the samples of all clients, and what could not be read or was left out."""
        return [*self._items, OverflowCount(INFO.location, self._left_out)] if self._left_out else self._items

    def _info(self, labels: tuple[str, str], client: ClientFields) -> Sample:
        host, port = parse_address(client.get("addr", ""))
        fields = {**client, "host": host, "port": port if self._include_port else ""}
        return INFO.sample(1.0, *labels, *(label_value(fields.get(label, "")) for label in _INFO_LABELS[2:]))

    def _field_samples(self, labels: tuple[str, str], client: ClientFields) -> Iterator[CollectorItem]:
        for metric in FIELD_METRICS:
            if (text := client.get(metric.field)) is not None and (item := metric.parse(text, *labels)) is not None:
                yield item
        for metric in (CREATED, IDLE_SINCE):
            if (text := client.get(metric.field)) is not None:
                item = metric.parse(text, *labels)
                if isinstance(item, Sample):
                    yield item._replace(value=self._time(metric, labels[0], item.value))
                elif item is not None:
                    yield item

    def _time(self, metric: MetricSpec, client_id: str, seconds: float) -> float:
        """Return the Unix time ``seconds`` ago, or the previous time if rounding explains the difference."""
        estimate = self._now - seconds
        previous = self._previous_times.get((metric, client_id), estimate)
        self.times[metric, client_id] = previous if abs(previous - estimate) <= _TOLERANCE else estimate
        return self.times[metric, client_id]
