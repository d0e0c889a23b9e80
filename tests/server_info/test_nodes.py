"""Several nodes at one address are recognised by a run_id that returns. A restart and a failover are not mistaken."""

import pytest

from redis_pulse.server_info import Server
from redis_pulse.server_info.nodes import REPLIES, AnsweringNodes


def nodes(run_ids: str) -> AnsweringNodes:
    found = AnsweringNodes()
    for run_id in run_ids.split():
        found.replied(run_id)
    return found


@pytest.mark.parametrize("run_ids", ["", "a a a a", "a a b b", "a b c d", "a a b b a a", "0 0 0 0"])
def test_restart_upgrade_and_one_failback_are_one_node(run_ids: str) -> None:
    assert not nodes(run_ids).are_several


@pytest.mark.parametrize("run_ids", ["a b a b", "a a b c a b", "a b b b a b"])
def test_node_that_returns_twice_is_one_of_several(run_ids: str) -> None:
    assert nodes(run_ids).are_several


def test_old_returns_are_forgotten() -> None:
    """Two failbacks in a month are no proxy."""
    assert not nodes(f"a b a {'a ' * REPLIES} b a").are_several


def test_several_nodes_stay_several() -> None:
    found = nodes("a b a b")
    for _ in range(2 * REPLIES):
        found.replied("a")
    assert (found.are_several, found.count) == (True, 1)


def test_capabilities_and_start_time_stay_when_another_node_answers() -> None:
    """Otherwise each switch would query all capabilities again, and would look like a restart."""
    server = Server()
    for number, run_id in enumerate("abab"):
        server.update({"redis_version": "7.1.0", "run_id": run_id})
        server.stable_start_time(1000.0 + 500 * (run_id == "b") + number / 10)
    identity, started = server.identity, server.start_time
    server.update({"redis_version": "7.1.0", "run_id": "a"})
    assert server.stable_start_time(1000.0) == started
    assert server.identity == identity


def test_service_with_many_nodes_needs_no_proof() -> None:
    server = Server(host="cart-ab12cd.serverless.use1.cache.amazonaws.com")
    server.update({"redis_version": "7.1", "run_id": "a"})
    assert server.stable_start_time(1000.0) == 1000.0
    server.update({"redis_version": "7.1", "run_id": "b"})
    assert server.stable_start_time(1700.0) == 1000.0
