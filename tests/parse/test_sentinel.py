import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse import sentinel
from redis_pulse.parse.sentinel import MAX_NAME_LENGTH, as_instances, parse_ckquorum, parse_masters
from tests.recordings import topology

QUORUM = "Not enough available Sentinels to reach the specified quorum for this master"
MAJORITY = "Not enough available Sentinels to reach the majority and authorize a failover"
PART = st.none() | st.integers() | st.binary(max_size=9) | st.sampled_from([b"name", b"flags", b"s_down"])
INSTANCE = st.lists(PART, max_size=8)


@pytest.mark.parametrize(
    ("reply", "message", "usable"),
    [
        ("OK 3 usable Sentinels. Quorum and failover authorization can be reached", "OK", 3),
        (f"NOQUORUM 1 usable Sentinels. {QUORUM}", "NOQUORUM no quorum", 1),
        (f"NOQUORUM 2 usable Sentinels. {MAJORITY}", "NOQUORUM no majority", 2),
        (f"NOQUORUM 1 usable Sentinels. {QUORUM}. {MAJORITY}", "NOQUORUM no quorum, no majority", 1),
        ("NOQUORUM 1 usable Sentinels. ", "NOQUORUM no quorum, no majority", 1),
    ],
)
def test_result_is_one_of_four_messages(reply: str, message: str, usable: int) -> None:
    result = parse_ckquorum(reply)
    assert result == (message, usable)
    assert result is not None
    assert result.reached == (message == "OK")


@pytest.mark.parametrize(
    "reply", ["", "OK", "ERR No such master with that name", "OK -1 usable Sentinels", "OK ٣ usable"]
)
def test_other_sentences_are_none(reply: str) -> None:
    assert parse_ckquorum(reply) is None


@given(
    st.text()
    | st.builds("{} {} usable Sentinels{}".format, st.sampled_from(["OK", "NOQUORUM"]), st.integers(), st.text())
)
def test_message_is_always_one_of_four(reply: str) -> None:
    result = parse_ckquorum(reply)
    messages = (sentinel.OK, sentinel.NO_QUORUM, sentinel.NO_MAJORITY, sentinel.NEITHER)
    assert result is None or result.message in messages


def test_masters_of_info_are_read_by_name() -> None:
    line = "name=cart,status=odown,address=::1:6379,slaves=2,sentinels=3"
    masters = parse_masters({"sentinel_masters": "2", "master0": line, "master1": "status=ok", "master": line})
    assert masters.named["cart"]["address"] == "::1:6379"
    assert list(masters.named) == ["cart"]
    assert masters.bad == 1


@pytest.mark.parametrize("server", topology.SERVERS)
def test_real_replies_are_read_completely(server: str) -> None:
    for what in ("MASTERS", "SENTINELS mymaster", "SLAVES mymaster"):
        instances = as_instances(topology.reply(server, f"SENTINEL {what}"))
        assert instances is not None
        ((_, fields),) = instances.named.items()
        assert {"ip", "port", "flags", "last-ok-ping-reply"} <= fields.keys()
        assert instances.bad == 0


def test_instance_without_a_usable_name_is_counted() -> None:
    assert as_instances([[b"flags", b"master"], [b"name", b"x" * (MAX_NAME_LENGTH + 1)], b"OK", [b"name", b""]]) == (
        {},
        4,
    )


def test_repeated_instance_is_kept_once() -> None:
    assert as_instances([[b"name", b"a"], [b"name", b"a"]]) == ({"a": {"name": "a"}}, 1)


@given(st.lists(INSTANCE | PART, max_size=5) | PART)
def test_any_reply_raises_nothing(reply: Any) -> None:
    instances = as_instances(reply)
    assert (instances is None) == (not isinstance(reply, list))
    if instances is not None:
        assert all(fields["name"] == name for name, fields in instances.named.items())


@given(
    st.dictionaries(st.sampled_from(["master0", "master1", "masters"]), st.text(alphabet="name=,\x00é", max_size=20))
)
def test_any_line_raises_nothing(section: dict[str, str]) -> None:
    masters = parse_masters(section)
    assert len(masters.named) + masters.bad == len(section.keys() - {"masters"})


def test_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(sentinel).failed == 0
