"""One series per client: the names of redis_exporter, and stable times."""

from collections.abc import Iterable

import pytest

from redis_pulse.collectors.clients import per_client
from redis_pulse.collectors.clients.per_client import CREATED, IDLE_SINCE, INFO, PerClientSeries
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.parse.client_list import parse_client, parse_client_list
from tests.recordings import clients as recorded

LINE = (
    "id=6 addr=10.0.0.7:53196 laddr=127.0.0.1:6379 fd=9 name=cart age=70 idle=5 flags=bP db=3 sub=1 psub=2 ssub=3 "
    "multi=-1 watch=4 qbuf=26 qbuf-free=20448 argv-mem=10 multi-mem=0 rbs=1024 rbp=0 obl=7 oll=8 omem=9 tot-mem=37658"
    " events=r cmd=get user=shop redir=-1 resp=2 lib-name= lib-ver="
)
NOW = 1795380000.7


def build(
    *lines: str, now: float = NOW, previous: PerClientSeries | None = None, include_port: bool = False
) -> PerClientSeries:
    series = PerClientSeries(now, previous, include_port=include_port)
    for line in lines:
        client = parse_client(line)
        assert client is not None
        series.add(client)
    return series


def values(items: Iterable[CollectorItem]) -> dict[str, float]:
    return {sample.metric.name: sample.value for sample in items if isinstance(sample, Sample)}


def test_client_has_the_series_of_redis_exporter() -> None:
    items = build(LINE).samples()
    assert values(items) == {
        "connected_client_info": 1,
        "connected_client_output_buffer_memory_usage_bytes": 9,
        "connected_client_total_memory_consumed_bytes": 37658,
        "connected_client_channel_subscriptions_count": 1,
        "connected_client_pattern_matching_subscriptions_count": 2,
        "connected_client_shard_channel_subscriptions_count": 3,
        "connected_client_shard_channel_watched_keys": 4,
        "connected_client_query_buffer_length_bytes": 26,
        "connected_client_query_buffer_free_space_bytes": 20448,
        "connected_client_output_buffer_length_bytes": 7,
        "connected_client_output_list_length": 8,
        "connected_client_created_at_timestamp": 1795379930,
        "connected_client_idle_since_timestamp": 1795379995,
    }
    assert {sample.labels for sample in items if isinstance(sample, Sample) and sample.metric is not INFO} == {
        ("6", "cart")
    }


@pytest.mark.parametrize(("include_port", "port"), [(False, ""), (True, "53196")])
def test_port_is_published_on_request(include_port: bool, port: str) -> None:
    info = build(LINE, include_port=include_port).samples()[0]
    assert isinstance(info, Sample)
    assert dict(zip(INFO.labels, info.labels, strict=True)) == {
        "id": "6",
        "name": "cart",
        "flags": "bP",
        "db": "3",
        "host": "10.0.0.7",
        "port": port,
        "user": "shop",
        "resp": "2",
    }


@pytest.mark.parametrize("server", recorded.SERVERS)
def test_real_lists_are_read_completely(server: str) -> None:
    series = PerClientSeries(NOW)
    for client in parse_client_list(recorded.replies(server)["CLIENT LIST"].decode()):
        assert client is not None
        series.add(client)
    items = series.samples()
    assert all(isinstance(item, Sample) for item in items)
    assert len(items) == 9 * (12 if server.startswith("redis-7.0") else 13)  # Redis 7.0 has no watch


def test_times_do_not_change_when_ages_are_rounded_differently() -> None:
    first = build(LINE)
    second = build(LINE.replace("age=70 idle=5", "age=85 idle=20"), now=NOW + 15.4, previous=first)
    assert values(first.samples())["connected_client_created_at_timestamp"] == 1795379930
    assert second.times == first.times


def test_id_reused_after_a_restart_gets_new_times() -> None:
    second = build(LINE.replace("age=70 idle=5", "age=2 idle=2"), now=NOW + 15, previous=build(LINE))
    assert second.times == {(CREATED, "6"): 1795380013, (IDLE_SINCE, "6"): 1795380013}


def test_disconnected_clients_are_forgotten() -> None:
    assert build(previous=build(LINE)).times == {}


def test_missing_fields_are_left_out_and_unreadable_ones_counted() -> None:
    items = build("id=6 addr=? name=a age=old idle= sub=x psub=1").samples()
    assert values(items) == {
        "connected_client_info": 1,
        "connected_client_pattern_matching_subscriptions_count": 1,
    }
    assert [item.location for item in items if isinstance(item, UnreadableField)] == [
        "CLIENT LIST/sub",
        "CLIENT LIST/age",
    ]


def test_duplicate_id_makes_one_series() -> None:
    items = build(LINE, LINE).samples()
    assert [item for item in items if not isinstance(item, Sample)] == [UnreadableField("CLIENT LIST/id")]


def test_clients_above_the_limit_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(per_client, "MAX_CLIENTS", 2)
    items = build(*(f"id={number}" for number in range(5))).samples()
    assert [item for item in items if not isinstance(item, Sample)] == [OverflowCount("CLIENT LIST/id", 3)]
    assert len(items) == 3
