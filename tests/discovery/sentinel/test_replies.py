"""The replies of a Sentinel are parsed; an invalid reply yields no address, no vote and no exception."""

from typing import Any

import pytest

from redis_pulse.discovery.sentinel.replies import (
    COMMON_COMMANDS,
    MasterReport,
    address_of,
    commands_for,
    master_in_message,
    parse_replies,
)
from redis_pulse.errors import PermissionDeniedError, TargetError
from tests.discovery.sentinel.fake_sentinels import fields

NO_MASTER = TargetError("No such master with that name")


def report_of(
    master: Any, address: Any = None, replicas: Any = None, sentinels: Any = None, quorum: Any = None
) -> MasterReport | None:
    """Return the report about ``cart`` in these replies."""
    return parse_replies([b"id1", [master], address, replicas, sentinels, quorum], ["cart"]).masters.get("cart")


def test_commands_of_one_round() -> None:
    assert [*COMMON_COMMANDS, *commands_for(["cart"])] == [
        ("SENTINEL", "MYID"),
        ("SENTINEL", "MASTERS"),
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "cart"),
        ("SENTINEL", "SLAVES", "cart"),
        ("SENTINEL", "SENTINELS", "cart"),
        ("SENTINEL", "CKQUORUM", "cart"),
    ]


def test_report_contains_all_parts_of_the_replies() -> None:
    report = report_of(
        fields("cart", "10.0.0.1:6379", flags="master,s_down", config_epoch="3", last_ok_ping_reply="2500"),
        [b"10.0.0.1", b"6379"],
        [fields("r", "10.0.0.2:6379", runid="id-r"), fields("r6", "[fd00::7]:6380")],
        [fields("s", "10.0.0.9:26379", runid="abc")],
        b"OK 3 usable Sentinels. Quorum and failover authorization can be reached",
    )
    assert report == MasterReport(
        "10.0.0.1:6379", 3, {"10.0.0.2:6379": "id-r", "[fd00::7]:6380": ""}, {"abc": "10.0.0.9:26379"}, True, 2.5
    )


def test_address_for_clients_is_newer_than_the_list_of_masters() -> None:
    """The Sentinel that leads a failover lists the former master until all replicas follow the new one."""
    report = report_of(fields("cart", "10.0.0.1:6379"), [b"10.0.0.2", b"6379"], [fields("r", "10.0.0.2:6379")])
    assert report == MasterReport("10.0.0.2:6379", 0)


def test_denied_address_for_clients_is_replaced_by_the_listed_one() -> None:
    report = report_of(fields("cart", "10.0.0.1:6379"), PermissionDeniedError("NOPERM"))
    assert report is not None
    assert report.address == "10.0.0.1:6379"


def test_lost_quorum_is_an_error_reply() -> None:
    lost = TargetError("NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum")
    report = report_of(fields("cart", "10.0.0.1:6379"), quorum=lost)
    assert report is not None
    assert report.quorum is False
    report = report_of(fields("cart", "10.0.0.1:6379"), quorum=PermissionDeniedError("NOPERM"))
    assert report is not None
    assert report.quorum is None


def test_unwatched_master_has_no_report() -> None:
    reply = parse_replies([b"id1", [fields("other", "10.0.0.1:6379")], None, NO_MASTER, NO_MASTER, NO_MASTER], ["cart"])
    assert reply.masters == {}
    assert reply.names == ("other",)


def test_denied_list_of_replicas_is_marked() -> None:
    denied = PermissionDeniedError("NOPERM")
    reply = parse_replies([b"id1", [fields("cart", "10.0.0.1:6379")], None, denied, denied, None], ["cart"])
    assert reply.replicas_denied
    assert reply.masters["cart"].address == "10.0.0.1:6379"


def test_denied_list_of_masters_is_an_error() -> None:
    with pytest.raises(PermissionDeniedError):
        parse_replies([b"id1", PermissionDeniedError("NOPERM")], [])


@pytest.mark.parametrize("invalid", [None, 7, b"x", [], [None], [[b"name"]], [[b"name", b"cart", b"ip", None]]])
def test_invalid_reply_is_no_report_and_no_exception(invalid: Any) -> None:
    assert parse_replies([invalid, invalid, *[invalid] * 4], ["cart"]).masters == {}
    report = report_of(fields("cart", "10.0.0.1:6379", config_epoch="-3", flags="s_down"), *[invalid] * 4)
    assert report is None or report.address == "10.0.0.1:6379"


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
def test_address_is_normalized_and_checked(host: Any, port: Any, address: str | None) -> None:
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
def test_message_names_the_master_that_it_concerns(channel: str, text: str, master: str | None) -> None:
    assert master_in_message(channel, text) == master
