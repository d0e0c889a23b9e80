"""The collector publishes what the sampler learned, with the error of each estimate."""

import pytest
from pydantic import ValidationError

from redis_pulse.collectors.keyspace_sample import COLLECTOR, KeyspaceSampleCollector, KeyspaceSampleOptions
from redis_pulse.errors import PermissionDeniedError, UnknownCommandError
from redis_pulse.keyspace import Draw
from redis_pulse.metric import CollectorFault, CollectorItem, Sample
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands, ManualClock

OPTIONS = KeyspaceSampleOptions()


def server(**fields: str) -> Server:
    found = Server()
    found.update({"redis_version": "7.2.4", "run_id": "a", "role": "master", "db0": "keys=100,expires=0"} | fields)
    return found


async def collect(collector: KeyspaceSampleCollector, **fields: str) -> list[CollectorItem]:
    return list(await collector.collect(server(**fields), FakeCommands({}), OPTIONS))


def values(items: list[CollectorItem], name: str) -> dict[tuple[str, ...], float]:
    return {
        item.labels: item.value
        for item in items
        if isinstance(item, Sample) and item.metric.name == f"keyspace_sample_{name}"
    }


async def test_nothing_is_known_before_the_first_draw() -> None:
    items = await collect(KeyspaceSampleCollector(ManualClock()))
    assert values(items, "draws_total") == {(): 0}
    assert values(items, "walk_progress_ratio") == {(): 0}
    assert values(items, "memory_bytes") == {}


async def test_draws_become_values_with_their_errors() -> None:
    clock = ManualClock()
    collector = KeyspaceSampleCollector(clock)
    await collect(collector)
    assert collector.state is not None
    for number in range(60):
        collector.state.add_draws(0, [Draw(b"user:%d" % number, "hash", 150, -1, 9)])
    clock.advance(60)
    items = await collect(collector, used_memory_dataset="20000")
    labels = ("db0", "user:*", "hash")
    assert values(items, "memory_bytes") == {labels: pytest.approx(15_000)}
    assert 0 < values(items, "memory_error_bytes")[labels] < 3000
    assert values(items, "keys") == {labels: pytest.approx(100)}
    assert values(items, "without_expiry_ratio") == {labels: 1.0}
    assert values(items, "idle_seconds")[labels] == pytest.approx(9, rel=0.5)
    assert values(items, "frequency") == {}
    assert values(items, "draws_total") == {(): 60}
    assert values(items, "unexplained_bytes") == {(): pytest.approx(5000)}


async def test_largest_key_that_was_measured_lately_has_the_one_series() -> None:
    """The alert RedisKeyTooLarge must end when the key is deleted, although nothing reports the deletion."""
    clock = ManualClock()
    collector = KeyspaceSampleCollector(clock)
    await collect(collector)
    assert collector.state is not None
    collector.state.add_found(0, Draw(b"cart:1", "hash", 20_000_000, -1, None))
    collector.state.add_found(0, Draw(b"cart:2", "hash", 3_000_000, -1, None))
    clock.advance(1000)
    collector.state.add_found(0, Draw(b"queue", "list", 900_000, -1, None))
    items = await collect(collector)
    assert list(values(items, "largest_key_bytes").values()) == [20_000_000]
    clock.advance(400)  # 20 minutes after the first two were measured: twice the time of the next measurement
    items = await collect(collector)
    [((db, _, kind), size)] = values(items, "largest_key_bytes").items()
    assert (db, kind, size) == ("db0", "list", 900_000)


async def test_largest_key_has_no_series_where_sizes_are_lengths() -> None:
    collector = KeyspaceSampleCollector(ManualClock())
    await collect(collector)
    assert collector.state is not None
    collector.state.add_found(0, Draw(b"queue", "list", 900_000, -1, None))
    collector.state.capabilities.memory = False
    assert values(await collect(collector), "largest_key_bytes") == {}


async def test_name_of_the_largest_key_is_no_label() -> None:
    """A name that exists once may be that of a person."""
    collector = KeyspaceSampleCollector(ManualClock())
    await collect(collector)
    assert collector.state is not None
    collector.state.add_found(0, Draw(b"profile:jane.doe", "hash", 20_000_000, -1, None))
    [(_, pattern, _)] = values(await collect(collector), "largest_key_bytes")
    assert "jane" not in pattern
    assert "profile" not in pattern


async def test_server_without_both_commands_is_not_supported() -> None:
    collector = KeyspaceSampleCollector(ManualClock())
    await collect(collector)
    assert collector.state is not None
    collector.state.capabilities.randomkey = collector.state.capabilities.scan = False
    with pytest.raises(UnknownCommandError):
        await collect(collector)
    collector.state.capabilities.denied.update({"randomkey", "scan"})
    with pytest.raises(PermissionDeniedError) as denied:
        await collect(collector)
    assert denied.value.command == "randomkey"


async def test_denied_command_is_reported_while_the_rest_works() -> None:
    collector = KeyspaceSampleCollector(ManualClock())
    await collect(collector)
    assert collector.state is not None
    collector.state.capabilities.memory = False
    collector.state.capabilities.denied.add("memory|usage")
    (fault,) = [item for item in await collect(collector) if isinstance(item, CollectorFault)]
    assert fault.part == "memory|usage"
    assert "only keys are counted" in fault.text


async def test_targets_share_no_state() -> None:
    one, other = COLLECTOR.for_target(), COLLECTOR.for_target()
    await collect(one)
    assert one.state is not None
    assert other.state is None
    assert COLLECTOR.state is None


def test_replica_is_not_read_by_default() -> None:
    assert not OPTIONS.reads("slave", is_grouped=False)
    assert OPTIONS.reads("master", is_grouped=True)
    assert KeyspaceSampleOptions(roles="all").reads("slave", is_grouped=True)


@pytest.mark.parametrize(
    "bad", [{"keys_per_second": 0}, {"server_share": 0.5}, {"window": 1}, {"patterns": ["x"] * 41}]
)
def test_bad_option_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KeyspaceSampleOptions(**bad)


def test_it_is_off_by_default() -> None:
    assert not COLLECTOR.default
