from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.sentinel import COLLECTOR, SentinelOptions
from redis_pulse.errors import BusyError, PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.metric import OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import topology

Values = dict[tuple[str, ...], float]
EVERYTHING = SentinelOptions(include_config_metrics=True, include_peer_info=True)
MASTER = ("cart", "10.0.0.7:6379")
LINE = "# Sentinel\r\nmaster0:name=cart,status={},address=10.0.0.7:6379,slaves=2,sentinels=3\r\n"
OK = b"OK 3 usable Sentinels. Quorum and failover authorization can be reached"
LOST = "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master"
DENIED = PermissionDeniedError("no permission")
ODD = st.recursive(
    st.none()
    | st.integers()
    | st.binary(max_size=9)
    | st.sampled_from([b"name", b"cart", b"flags", b"s_down", b"quorum"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
) | st.sampled_from([DENIED, UnknownCommandError("?"), TargetError(LOST), BusyError("BUSY")])


def flat(**fields: object) -> list[bytes]:
    """Return the fields as a flat list, as RESP2 sends a map."""
    return [str(part).encode() for name, value in fields.items() for part in (name.replace("_", "-"), value)]


def sentinel(**changed: Any) -> FakeCommands:
    """Return a Sentinel of one healthy master. Arguments replace replies; ``_`` in their names stands for a space."""
    replies: dict[str | tuple[str | int | bytes, ...], Any] = {
        "INFO EVERYTHING": LINE.format("ok").encode(),
        "SENTINEL MASTERS": [flat(name="cart", ip="10.0.0.7", port=6379, flags="master", quorum=2, config_epoch=4)],
        "SENTINEL CKQUORUM CART": OK,
        "SENTINEL SENTINELS CART": [flat(name="a", flags="sentinel"), flat(name="b", flags="s_down,sentinel")],
        "SENTINEL SLAVES CART": [flat(name="c", flags="slave"), flat(name="d", flags="s_down,o_down,slave")],
        "SENTINEL CONFIG GET *": flat(announce_port=0, sentinel_pass="hunter2"),
    }
    return FakeCommands(replies | {name.replace("_", " "): reply for name, reply in changed.items()})


async def read(commands: FakeCommands, options: SentinelOptions | None = None) -> tuple[Values, list[str], list[Any]]:
    items = list(await COLLECTOR.collect(Server(), commands, options or SentinelOptions()))
    samples = [sample for sample in items if isinstance(sample, Sample)]
    values = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "duplicate series"
    unreadable = [part.location for part in items if isinstance(part, UnreadableField)]
    return values, unreadable, [item for item in items if isinstance(item, OverflowCount)]


@pytest.mark.parametrize("server", topology.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    values, unreadable, overflow = await read(topology.commands(server), EVERYTHING)
    assert (unreadable, overflow) == ([], [])
    ((_, *master),) = [series for series in values if series[0] == "sentinel_master_ok_slaves"]
    assert master[0] == "mymaster"
    assert master[1].startswith("127.0.0.1:")
    expected = {
        ("sentinel_masters",): 1,
        ("sentinel_tilt",): 0,
        ("sentinel_running_scripts",): 0,
        ("sentinel_scripts_queue_length",): 0,
        ("sentinel_simulate_failure_flags",): 0,
        ("sentinel_master_status", *master, "ok"): 1,
        ("sentinel_master_slaves", *master): 1,
        ("sentinel_master_sentinels", *master): 2,
        ("sentinel_master_ok_slaves", *master): 1,
        ("sentinel_master_ok_sentinels", *master): 2,
        ("sentinel_master_setting_ckquorum", *master): 2,
        ("sentinel_master_setting_failover_timeout", *master): 180000,
        ("sentinel_master_failover_timeout_seconds", *master): 180,
        ("sentinel_master_setting_parallel_syncs", *master): 1,
        ("sentinel_master_setting_down_after_milliseconds", *master): 30000,
        ("sentinel_master_down_after_seconds", *master): 30,
        ("sentinel_master_config_epoch", *master): 0,
        ("sentinel_failover_epoch", "mymaster"): 0,
        ("sentinel_master_ckquorum_status", "mymaster", "OK"): 1,
        ("sentinel_master_usable_sentinels", *master): 2,
        ("sentinel_config_key_value", "sentinel-pass", "***"): 1,
        ("sentinel_config_key_value", "resolve-hostnames", "no"): 1,
        ("sentinel_config_value", "announce-port"): 0,
    }
    assert values.items() >= expected.items()
    assert 0 <= values["sentinel_master_last_ok_ping_reply_seconds", *master] < 10
    ((_, *peer),) = [series for series in values if series[0] == "sentinel_peer_info"]
    assert peer[:2] == master
    assert peer[2] == peer[5] != ""  # the name of a Sentinel is its run id
    assert peer[3] == "127.0.0.1"
    assert peer[6].startswith("sentinel")
    assert not [series for series in values if topology.PLANTED in series]


@pytest.mark.parametrize("server", topology.SERVERS)
async def test_lost_quorum_is_zero_and_names_what_is_missing(server: str) -> None:
    commands = topology.commands(server, SENTINEL_CKQUORUM_mymaster=topology.lost_quorum(server))
    values, unreadable, _ = await read(commands)
    assert values["sentinel_master_ckquorum_status", "mymaster", "NOQUORUM no quorum"] == 0
    assert not unreadable


async def test_own_sentinel_counts_and_instances_that_are_down_do_not() -> None:
    values, unreadable, _ = await read(sentinel())
    assert values["sentinel_master_ok_sentinels", *MASTER] == 2
    assert values["sentinel_master_ok_slaves", *MASTER] == 1
    assert not unreadable


async def test_settings_and_peers_are_read_only_on_request() -> None:
    commands = sentinel()
    values, _, _ = await read(commands)
    assert not [series for series in values if "config_key" in series[0] or "peer" in series[0]]
    assert "SENTINEL CONFIG GET *" not in commands.requests


@pytest.mark.parametrize(("status", "label"), [("sdown", "sdown"), ("odown", "odown"), ("unknown", "other")])
async def test_unknown_status_is_published_as_other(status: str, label: str) -> None:
    values, _, _ = await read(sentinel(INFO_EVERYTHING=LINE.format(status).encode()))
    assert values["sentinel_master_status", *MASTER, label] == 1


async def test_unknown_flags_of_a_peer_are_left_out() -> None:
    peers = [flat(name="a", ip="::1", port=26379, runid="r", flags="s_down,sentinel,vote-4711,disconnected")]
    values, _, _ = await read(sentinel(SENTINEL_SENTINELS_CART=peers), EVERYTHING)
    assert ("sentinel_peer_info", *MASTER, "a", "::1", "26379", "r", "s_down,sentinel,disconnected") in values


async def test_other_parts_are_read_if_masters_are_denied() -> None:
    values, unreadable, _ = await read(sentinel(SENTINEL_MASTERS=DENIED))
    assert values["sentinel_master_sentinels", *MASTER] == 3
    assert values["sentinel_master_ckquorum_status", "cart", "OK"] == 1
    assert ("sentinel_master_setting_ckquorum", *MASTER) not in values
    assert not unreadable


async def test_denied_parts_are_left_out_and_not_unreadable() -> None:
    words = ("CKQUORUM_CART", "SENTINELS_CART", "SLAVES_CART", "CONFIG_GET_*")
    values, unreadable, _ = await read(sentinel(**{f"SENTINEL_{word}": DENIED for word in words}), EVERYTHING)
    assert values["sentinel_master_setting_ckquorum", *MASTER] == 2
    assert not [
        series
        for series in values
        if "ok_s" in series[0] or "ckquorum_status" in series[0] or "config_key" in series[0]
    ]
    assert not unreadable


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable, _ = await read(
        sentinel(
            INFO_EVERYTHING=b"# Sentinel\nsentinel_tilt:x\nmaster0:junk\nmaster1:name=cart,status=ok,slaves=many\n",
            SENTINEL_MASTERS=[b"?", flat(name="cart", ip="10.0.0.7", port=6379, quorum="two", parallel_syncs=1)],
            SENTINEL_CKQUORUM_CART=TargetError("ERR No such master with that name"),
            SENTINEL_SENTINELS_CART=[flat(name="a"), flat(name="b", flags="sentinel")],
            SENTINEL_SLAVES_CART=b"OK",
        )
    )
    assert values == {
        ("sentinel_master_status", *MASTER, "ok"): 1,
        ("sentinel_master_setting_parallel_syncs", *MASTER): 1,
        ("sentinel_master_ok_sentinels", *MASTER): 2,
    }
    assert unreadable == [
        "Sentinel/sentinel_tilt",
        "Sentinel/masterN",
        "SENTINEL MASTERS",
        "Sentinel/masterN:slaves",
        "SENTINEL MASTERS/quorum",
        "SENTINEL CKQUORUM/reply",
        "SENTINEL SENTINELS/flags",
        "SENTINEL SLAVES/flags",
    ]


async def test_masters_beyond_the_limit_are_counted_and_not_requested() -> None:
    masters = [flat(name=name, ip="10.0.0.7", port=6379) for name in ("cart", "queue", "users")]
    commands = sentinel(SENTINEL_MASTERS=masters)
    values, _, overflow = await read(commands, SentinelOptions(max_masters=1))
    assert [item.values for item in overflow] == [2]
    assert not [command for command in commands.requests if "queue" in command]
    assert values["sentinel_master_usable_sentinels", *MASTER] == 3


async def test_peers_beyond_the_limit_are_counted() -> None:
    peers = [flat(name=f"s{number}", flags="sentinel") for number in range(5)]
    options = SentinelOptions(include_peer_info=True, max_peers=3)
    values, _, overflow = await read(sentinel(SENTINEL_SENTINELS_CART=peers), options)
    assert sum(series[0] == "sentinel_peer_info" for series in values) == 3
    assert [item.values for item in overflow] == [2]
    assert values["sentinel_master_ok_sentinels", *MASTER] == 6


class AnyMaster(FakeCommands):
    """A Sentinel with the same replies for all masters, by the subcommand."""

    def _reply(self, args: tuple[str | int | bytes, ...], db: int | None) -> Any:
        return self.replies.get(str(args[1]).upper(), b"")


@given(ODD, ODD, ODD, ODD, ODD)
async def test_any_reply_is_read_without_an_exception(
    masters: Any, ckquorum: Any, sentinels: Any, slaves: Any, config: Any
) -> None:
    replies: dict[str | tuple[str | int | bytes, ...], Any]
    replies = {"MASTERS": masters, "CKQUORUM": ckquorum, "SENTINELS": sentinels, "SLAVES": slaves, "CONFIG": config}
    replies["EVERYTHING"] = LINE.format("ok").encode()
    try:
        await read(AnyMaster(replies), EVERYTHING)
    except TargetError as error:
        assert error in (masters, config)  # noqa: PT017  # raised unchanged


@given(st.lists(st.text(alphabet="master0:name=cart,status=\n# Senil", max_size=40), max_size=6).map("\n".join))
async def test_any_info_is_read_without_an_exception(lines: str) -> None:
    await read(AnyMaster({"EVERYTHING": f"# Sentinel\nsentinel_tilt:0\n{lines}".encode(), "MASTERS": []}))


def test_only_sentinels_have_it() -> None:
    assert COLLECTOR.applies(Server(mode="sentinel"))
    assert not COLLECTOR.applies(Server(mode="standalone"))
