from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.cluster import CLUSTER_METRICS, COLLECTOR, KINDS, MESSAGES, ClusterOptions
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import topology

Values = dict[tuple[str, ...], float]
LINE = st.builds(
    "{}:{}".format,
    st.sampled_from(
        [metric.field for metric in CLUSTER_METRICS]
        + ["cluster_stats_messages_x_sent", "cluster_stats_bytes_sent", "é", ""]
    ),
    st.sampled_from(["ok", "fail", "-1", "nan", "1e400", "", "x", "7", "18446744073709551616"]) | st.text(max_size=5),
)


async def read(reply: Any) -> tuple[Values, list[str]]:
    items = list(await COLLECTOR.collect(Server(), FakeCommands({"CLUSTER INFO": reply}), ClusterOptions()))
    samples = [sample for sample in items if isinstance(sample, Sample)]
    values = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


@pytest.mark.parametrize("server", topology.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    reply = topology.reply(server, "CLUSTER INFO")
    values, unreadable = await read(reply)
    assert not unreadable
    assert values["cluster_state",] == 1
    assert values["cluster_slots_assigned",] == values["cluster_slots_ok",] == 16384
    assert values["cluster_known_nodes",] == 2
    assert values["cluster_size",] == 1
    pings = values["cluster_stats_messages_ping_sent",]
    assert pings == values["cluster_bus_messages_total", "sent", "ping"] > 0
    fields = dict(line.split(":") for line in reply.decode().split())
    assert values["cluster_messages_received_total",] == float(fields["cluster_stats_messages_received"])
    received = [value for series, value in values.items() if series[:2] == ("cluster_bus_messages_total", "received")]
    assert sum(received) == values["cluster_messages_received_total",]
    if server == "valkey-9.1.2":
        assert values["cluster_bus_bytes_total", "sent"] == float(fields["cluster_stats_bytes_sent"])
        assert values["cluster_nodes_fail",] == 0
    assert ("cluster_links_buffer_limit_exceeded_total",) in values or server == "redis-6.2.14"


async def test_state_of_a_failing_cluster_is_zero() -> None:
    values, unreadable = await read(b"cluster_state:fail\r\ncluster_slots_fail:5461\r\n")
    assert (values, unreadable) == ({("cluster_state",): 0, ("cluster_slots_fail",): 5461}, [])


async def test_missing_kinds_are_zero_and_unknown_kinds_are_summed() -> None:
    """If a counter appeared with its first message, rate() would not see that message."""
    values, _ = await read(
        b"cluster_stats_messages_sent:9\r\ncluster_stats_messages_auth-req_sent:2\r\n"
        b"cluster_stats_messages_new_sent:3\r\ncluster_stats_messages_newer_kind_sent:4\r\n"
    )
    counts = {series[1:]: value for series, value in values.items() if series[0] == MESSAGES.name}
    assert len(counts) == 2 * (len(KINDS) + 1)
    assert {series: value for series, value in counts.items() if value} == {
        ("sent", "auth-req"): 2,
        ("sent", "other"): 7,
    }
    assert values["cluster_stats_messages_auth_req_sent",] == 2


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read(
        b"cluster_state:maybe\ncluster_size:3\ncluster_my_epoch:\njunk\n"
        b"cluster_stats_messages_sent:1\ncluster_stats_messages_ping_sent:x\n"
    )
    assert values["cluster_size",] == 3
    assert ("cluster_state",) not in values
    assert values["cluster_bus_messages_total", "sent", "ping"] == 0
    locations = ["CLUSTER INFO/cluster_state", "CLUSTER INFO/cluster_stats_messages_ping_sent"]
    assert unreadable == [*locations, MESSAGES.location]


@pytest.mark.parametrize("reply", [None, 7, [], b"", b"OK"])
async def test_reply_without_fields_is_unreadable(reply: Any) -> None:
    assert await read(reply) == ({}, ["CLUSTER INFO"])


@given(st.lists(LINE, max_size=12).map("\r\n".join) | st.text() | st.binary() | st.none() | st.integers())
async def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    await read(reply)


def test_only_cluster_nodes_have_it() -> None:
    assert COLLECTOR.applies(Server(fields={"cluster_enabled": "1"}))
    assert not COLLECTOR.applies(Server(fields={"cluster_enabled": "0"}))
    assert not COLLECTOR.applies(Server(mode="sentinel"))
