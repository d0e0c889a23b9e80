"""Connections of redis-py share one dispatcher that ignores events. Otherwise each would cost 1.5 KB more."""

from redis_pulse.client.no_events import NO_EVENTS
from tests.client.helpers import request
from tests.fakes import FakeServer
from tests.harness import TargetHarness


async def test_pool_and_connection_share_the_dispatcher_of_all_targets(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    await request(harness, "INFO")
    (pool,) = harness.client._pools.values()
    (connection,) = pool._available_connections
    assert pool._event_dispatcher is connection._event_dispatcher is NO_EVENTS
    await harness.close()
    assert not vars(NO_EVENTS), "it keeps nothing"


async def test_released_connection_is_given_to_the_next_one_that_waits(server: FakeServer) -> None:
    """redis-py dispatches an event when a connection is released while others wait."""
    harness = TargetHarness(server.url)
    await request(harness, "INFO")
    (pool,) = harness.client._pools.values()
    connection = await pool.take()
    await pool.release(connection)
    assert await pool.take() is connection
    await pool.give_back(connection)
    await harness.close()
