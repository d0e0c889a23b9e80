"""A metric that an operator names must not have the name of one that there is."""

from redis_pulse import collectors
from redis_pulse.exposition import reserved_names


def test_the_names_of_servers_and_our_own_are_taken_with_their_endings() -> None:
    names = reserved_names(collectors.load().values())
    for name in ("redis_up", "redis_memory_used_bytes", "redis_operation_duration_seconds_bucket"):
        assert name in names
    assert "shop_orders" not in names
