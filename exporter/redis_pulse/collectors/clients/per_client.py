"""One series a client, under the established names: what ``per_client`` of the collector ``clients`` adds."""
# ruff: noqa: E501 - a row is one line

from collections.abc import Iterator, Sequence

from redis_pulse.collectors.support.labels import label_value
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, Sample, UnreadableField, gauge
from redis_pulse.parse.client_list import ClientFields, parse_address

#: More clients than that have no series of their own, whatever a server lists.
MOST = 10_000
#: An age of whole seconds makes a start time that wobbles by a second; activity moves an idle time further.
_TOLERANCE = 1.5

_BY = ("id", "name")
_INFO_LABELS = ("id", "name", "flags", "db", "host", "port", "user", "resp")
# fmt: off
INFO = gauge("CLIENT LIST", "id", "connected_client_info", "A connected client; the label port is empty unless include_port is on.", labels=_INFO_LABELS)
CREATED = gauge("CLIENT LIST", "age", "connected_client_created_at_timestamp", "Unix time at which a client connected, in seconds.", labels=_BY)
IDLE_SINCE = gauge("CLIENT LIST", "idle", "connected_client_idle_since_timestamp", "Unix time since which a client has sent nothing, in seconds.", labels=_BY)
OF_A_CLIENT = (
    gauge("CLIENT LIST", "omem", "connected_client_output_buffer_memory_usage_bytes", "Memory of a client's output buffers.", labels=_BY),
    gauge("CLIENT LIST", "tot-mem", "connected_client_total_memory_consumed_bytes", "Memory that a client takes in all its buffers.", labels=_BY),
    gauge("CLIENT LIST", "sub", "connected_client_channel_subscriptions_count", "Channels that a client subscribes to.", labels=_BY),
    gauge("CLIENT LIST", "psub", "connected_client_pattern_matching_subscriptions_count", "Patterns that a client subscribes to.", labels=_BY),
    gauge("CLIENT LIST", "ssub", "connected_client_shard_channel_subscriptions_count", "Shard channels that a client subscribes to (Redis 7.0 and later).", labels=_BY),
    gauge("CLIENT LIST", "watch", "connected_client_shard_channel_watched_keys", "Keys that a client watches (Redis 7.4, Valkey 8.0 and later).", labels=_BY),
    gauge("CLIENT LIST", "qbuf", "connected_client_query_buffer_length_bytes", "Bytes in a client's query buffer, 0 when no query waits.", labels=_BY),
    gauge("CLIENT LIST", "qbuf-free", "connected_client_query_buffer_free_space_bytes", "Free bytes in a client's query buffer, 0 when it is full.", labels=_BY),
    gauge("CLIENT LIST", "obl", "connected_client_output_buffer_length_bytes", "Bytes in a client's fixed output buffer.", labels=_BY),
    gauge("CLIENT LIST", "oll", "connected_client_output_list_length", "Replies queued for a client because its fixed output buffer is full.", labels=_BY),
)
# fmt: on
ROWS: Sequence[MetricSpec] = (INFO, CREATED, IDLE_SINCE, *OF_A_CLIENT)


class PerClientSeries:
    """The series of the clients of one list; of clients that the list ``before`` had too, times stay as they were."""

    def __init__(self, now: float, before: "PerClientSeries | None" = None, *, include_port: bool = False) -> None:
        self._now = float(now // 1)
        self._before = before.times if before is not None else {}
        self._include_port = include_port
        #: Unix times that were computed, kept for the list after this one.
        self.times: dict[tuple[MetricSpec, str], float] = {}
        self._seen: set[str] = set()
        self._left_out = 0
        self.found: list[CollectorItem] = []

    def add(self, client: ClientFields) -> None:
        """Read one client; a field that makes no sense costs itself only."""
        by = label_value(client["id"]), label_value(client.get("name", ""))
        if by[0] in self._seen:  # a series may stand on a page only once
            self.found.append(UnreadableField(INFO.location))
        elif len(self._seen) >= MOST:
            self._left_out += 1
        else:
            self._seen.add(by[0])
            self.found.append(self._info(by, client))
            self.found += self._numbers(by, client)

    def samples(self) -> list[CollectorItem]:
        """Return everything that was found."""
        return [*self.found, OverflowCount(INFO.location, self._left_out)] if self._left_out else self.found

    def _info(self, by: tuple[str, str], client: ClientFields) -> Sample:
        host, port = parse_address(client.get("addr", ""))
        said = {**client, "host": host, "port": port if self._include_port else ""}
        return INFO.sample(1.0, *by, *(label_value(said.get(key, "")) for key in _INFO_LABELS[2:]))

    def _numbers(self, by: tuple[str, str], client: ClientFields) -> Iterator[CollectorItem]:
        for metric in OF_A_CLIENT:
            if (text := client.get(metric.field)) is not None and (found := metric.parse(text, *by)) is not None:
                yield found
        for metric in (CREATED, IDLE_SINCE):
            if (text := client.get(metric.field)) is not None:
                found = metric.parse(text, *by)
                if isinstance(found, Sample):
                    yield found._replace(value=self._time(metric, by[0], found.value))
                elif found is not None:
                    yield found

    def _time(self, metric: MetricSpec, client: str, seconds: float) -> float:
        """Return when it was so many seconds ago, without the wobble of whole seconds."""
        estimate = self._now - seconds
        known = self._before.get((metric, client), estimate)
        self.times[metric, client] = known if abs(known - estimate) <= _TOLERANCE else estimate
        return self.times[metric, client]
