"""What a Sentinel says is read as it is meant, and what is no answer is no address, no vote and no crash."""

from typing import Any

import pytest

from redis_pulse.discovery.sentinel.replies import (
    FIRST,
    MasterReport,
    address_of,
    commands_for,
    master_in_message,
    parse_replies,
)
from redis_pulse.errors import PermissionDeniedError, TargetError
from tests.discovery.sentinel.fake_sentinels import fields

NO_MASTER = TargetError("No such master with that name")


def asked(
    master: Any, where: Any = None, slaves: Any = None, sentinels: Any = None, quorum: Any = None
) -> MasterReport | None:
    view = parse_replies([b"id1", [master], where, slaves, sentinels, quorum], ["cart"])
    return view.masters.get("cart")


def test_one_round_of_questions_is_one_flight_of_commands() -> None:
    assert [*FIRST, *commands_for(["cart"])] == [
        ("SENTINEL", "MYID"),
        ("SENTINEL", "MASTERS"),
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "cart"),
        ("SENTINEL", "SLAVES", "cart"),
        ("SENTINEL", "SENTINELS", "cart"),
        ("SENTINEL", "CKQUORUM", "cart"),
    ]


def test_everything_that_is_told_is_read() -> None:
    told = asked(
        fields("cart", "10.0.0.1:6379", flags="master,s_down", config_epoch="3", last_ok_ping_reply="2500"),
        [b"10.0.0.1", b"6379"],
        [fields("r", "10.0.0.2:6379", runid="id-r"), fields("r6", "[fd00::7]:6380")],
        [fields("s", "10.0.0.9:26379", runid="abc")],
        b"OK 3 usable Sentinels. Quorum and failover authorization can be reached",
    )
    assert told == MasterReport(
        "10.0.0.1:6379", 3, {"10.0.0.2:6379": "id-r", "[fd00::7]:6380": ""}, {"abc": "10.0.0.9:26379"}, True, 2.5
    )


def test_clients_are_sent_to_the_promoted_replica_before_the_list_of_masters_names_it() -> None:
    """The Sentinel that leads a failover lists the old master until all replicas follow the new one."""
    told = asked(fields("cart", "10.0.0.1:6379"), [b"10.0.0.2", b"6379"], [fields("r", "10.0.0.2:6379")])
    assert told == MasterReport("10.0.0.2:6379", 0)


def test_where_clients_are_sent_may_be_denied_us() -> None:
    told = asked(fields("cart", "10.0.0.1:6379"), PermissionDeniedError("NOPERM"))
    assert told is not None
    assert told.address == "10.0.0.1:6379"


def test_a_quorum_that_is_lost_is_an_error_reply() -> None:
    lost = TargetError("NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum")
    told = asked(fields("cart", "10.0.0.1:6379"), quorum=lost)
    assert told is not None
    assert told.quorum is False
    told = asked(fields("cart", "10.0.0.1:6379"), quorum=PermissionDeniedError("NOPERM"))
    assert told is not None
    assert told.quorum is None


def test_a_master_that_this_sentinel_does_not_watch_has_no_vote_of_it() -> None:
    view = parse_replies([b"id1", [fields("other", "10.0.0.1:6379")], None, NO_MASTER, NO_MASTER, NO_MASTER], ["cart"])
    assert view.masters == {}
    assert view.names == ("other",)


def test_a_denied_list_of_replicas_is_said() -> None:
    denied = PermissionDeniedError("NOPERM")
    view = parse_replies([b"id1", [fields("cart", "10.0.0.1:6379")], None, denied, denied, None], ["cart"])
    assert view.denied
    assert view.masters["cart"].address == "10.0.0.1:6379"


def test_without_the_list_of_masters_it_is_no_answer() -> None:
    with pytest.raises(PermissionDeniedError):
        parse_replies([b"id1", PermissionDeniedError("NOPERM")], [])


@pytest.mark.parametrize("nonsense", [None, 7, b"x", [], [None], [[b"name"]], [[b"name", b"cart", b"ip", None]]])
def test_nonsense_is_no_address_and_no_crash(nonsense: Any) -> None:
    assert parse_replies([nonsense, nonsense, *[nonsense] * 4], ["cart"]).masters == {}
    told = asked(fields("cart", "10.0.0.1:6379", config_epoch="-3", flags="s_down"), *[nonsense] * 4)
    assert told is None or told.address == "10.0.0.1:6379"


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        (b"10.0.0.1", b"6379", "10.0.0.1:6379"),
        (b"Redis-1.Internal", b"6380", "redis-1.internal:6380"),
        (b"fd00::1", b"6379", "[fd00::1]:6379"),
        *((b"", b"6379", None), (b"a b", b"6379", None), (b"a", b"0", None), (b"a", b"99999", None), (b"a", b"", None)),
        *(
            (b"user:secret@evil", b"6379", None),
            (b"a/../b", b"1", None),
            (None, None, None),
            (b"unix:///x", b"1", None),
        ),
    ],
)
def test_only_what_is_an_address_is_one(host: Any, port: Any, address: str | None) -> None:
    assert address_of(host, port) == address


@pytest.mark.parametrize(
    ("channel", "text", "master"),
    [
        ("+switch-master", "cart 10.0.0.1 6379 10.0.0.2 6379", "cart"),
        ("+sdown", "master cart 10.0.0.1 6379", "cart"),
        ("+odown", "master cart 10.0.0.1 6379 #quorum 2/2", "cart"),
        ("+slave", "slave 10.0.0.2:6379 10.0.0.2 6379 @ cart 10.0.0.1 6379", "cart"),
        ("+sdown", "sentinel abc 10.0.0.9 26379 @ cart 10.0.0.1 6379", "cart"),
        *(("+x", "", None), ("+switch-master", "", None), ("+x", "@", None), ("+x", "slave x y", None)),
    ],
)
def test_a_message_says_which_master_it_is_about(channel: str, text: str, master: str | None) -> None:
    assert master_in_message(channel, text) == master
