"""One series a client: the established names, and times that do not wobble."""

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


def listed(
    *lines: str, now: float = NOW, before: PerClientSeries | None = None, include_port: bool = False
) -> PerClientSeries:
    listing = PerClientSeries(now, before, include_port=include_port)
    for line in lines:
        client = parse_client(line)
        assert client is not None
        listing.add(client)
    return listing


def values(found: Iterable[CollectorItem]) -> dict[str, float]:
    return {sample.metric.name: sample.value for sample in found if isinstance(sample, Sample)}


def test_a_client_has_the_established_series() -> None:
    found = listed(LINE).samples()
    assert values(found) == {
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
    assert {sample.labels for sample in found if isinstance(sample, Sample) and sample.metric is not INFO} == {
        ("6", "cart")
    }


@pytest.mark.parametrize(("include_port", "port"), [(False, ""), (True, "53196")])
def test_the_port_is_told_on_request(include_port: bool, port: str) -> None:
    info = listed(LINE, include_port=include_port).samples()[0]
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
def test_real_lists_are_read_without_a_rest(server: str) -> None:
    listing = PerClientSeries(NOW)
    for client in parse_client_list(recorded.replies(server)["CLIENT LIST"].decode()):
        assert client is not None
        listing.add(client)
    found = listing.samples()
    assert all(isinstance(item, Sample) for item in found)
    assert len(found) == 9 * (12 if server.startswith("redis-7.0") else 13)  # watch came later


def test_times_stay_as_they_were_while_the_seconds_are_rounded_this_way_and_that() -> None:
    first = listed(LINE)
    second = listed(LINE.replace("age=70 idle=5", "age=85 idle=20"), now=NOW + 15.4, before=first)
    assert values(first.samples())["connected_client_created_at_timestamp"] == 1795379930
    assert second.times == first.times


def test_an_id_that_is_given_to_another_client_after_a_restart_has_other_times() -> None:
    second = listed(LINE.replace("age=70 idle=5", "age=2 idle=2"), now=NOW + 15, before=listed(LINE))
    assert second.times == {(CREATED, "6"): 1795380013, (IDLE_SINCE, "6"): 1795380013}


def test_clients_that_are_gone_are_forgotten() -> None:
    assert listed(before=listed(LINE)).times == {}


def test_what_an_old_server_does_not_say_is_left_out_and_what_makes_no_sense_is_counted() -> None:
    found = listed("id=6 addr=? name=a age=old idle= sub=x psub=1").samples()
    assert values(found) == {
        "connected_client_info": 1,
        "connected_client_pattern_matching_subscriptions_count": 1,
    }
    assert [item.location for item in found if isinstance(item, UnreadableField)] == [
        "CLIENT LIST/sub",
        "CLIENT LIST/age",
    ]


def test_an_id_that_comes_twice_makes_one_series() -> None:
    found = listed(LINE, LINE).samples()
    assert [item for item in found if not isinstance(item, Sample)] == [UnreadableField("CLIENT LIST/id")]


def test_there_is_an_end_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(per_client, "MOST", 2)
    found = listed(*(f"id={number}" for number in range(5))).samples()
    assert [item for item in found if not isinstance(item, Sample)] == [OverflowCount("CLIENT LIST/id", 3)]
    assert len(found) == 3
