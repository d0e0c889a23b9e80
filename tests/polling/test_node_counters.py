"""Counters of a target at whose address several nodes answer never fall, and grow by what each node counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.metric import Sample, counter, gauge
from redis_pulse.polling.node_counters import MAX_NODES, NodeCounters

CALLS = counter("Stats", "calls", "calls_total", "Calls.", labels=("cmd",))
UPTIME = gauge("Server", "uptime_in_seconds", "uptime_in_seconds", "Uptime.")
CLIENTS = gauge("Clients", "clients", "clients", "Clients.")


def published(counters: NodeCounters, node: str, value: float, cmd: str = "get") -> float:
    [sample] = counters.continued([CALLS.sample(value, cmd)], node)
    return sample.value


def test_each_node_adds_what_it_counted_since_its_own_last_reply() -> None:
    counters = NodeCounters()
    replies = [("a", 1000), ("b", 50), ("a", 1010), ("b", 57), ("b", 58), ("a", 1010)]
    assert [published(counters, *reply) for reply in replies] == [1000, 1000, 1010, 1017, 1018, 1018]


def test_restarted_node_is_a_new_node() -> None:
    counters = NodeCounters()
    replies = [("a", 1000), ("b", 50), ("new", 3), ("b", 60), ("new", 5)]
    assert [published(counters, *reply) for reply in replies] == [1000, 1000, 1000, 1010, 1012]


def test_nodes_without_identity_count_as_the_highest_one() -> None:
    """Two nodes that cannot be told apart must not make an increase out of each switch."""
    counters = NodeCounters()
    assert [published(counters, "", value) for value in (1000, 50, 1001, 51, 1003)] == [1000, 1000, 1001, 1001, 1003]


def test_series_are_continued_apart() -> None:
    counters = NodeCounters()
    assert published(counters, "a", 10, "get") == 10
    assert published(counters, "b", 500, "set") == 500
    assert published(counters, "b", 501, "set") == 501


def test_uptime_is_continued_and_other_gauges_are_not() -> None:
    """The alert of a restart compares the uptime."""
    counters = NodeCounters()
    both = [UPTIME.sample(900.0), CLIENTS.sample(7.0)], [UPTIME.sample(15.0), CLIENTS.sample(2.0)]
    list(counters.continued(both[0], "a"))
    assert list(counters.continued(both[1], "b")) == [Sample(UPTIME, (), 900.0), Sample(CLIENTS, (), 2.0)]


def test_remembered_nodes_are_limited() -> None:
    counters = NodeCounters()
    for number in range(3 * MAX_NODES):
        published(counters, f"n{number}", 10)
    assert len(counters._by_node) == MAX_NODES
    assert published(counters, "n0", 25) == 10
    assert published(counters, f"n{3 * MAX_NODES - 1}", 12) == 12


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 10**9)), max_size=40))
def test_counter_never_falls(replies: list[tuple[str, int]]) -> None:
    counters = NodeCounters()
    values = [published(counters, node, value) for node, value in replies]
    assert values == sorted(values)


@pytest.mark.parametrize("polls", [1, 5])
def test_one_node_is_published_as_it_is(polls: int) -> None:
    counters = NodeCounters()
    assert [published(counters, "a", 100 + poll) for poll in range(polls)] == [100 + poll for poll in range(polls)]
