"""The busiest slots of a node: which they are, and that the sums never fall."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.slot_stats import COLLECTOR, SlotStatsCollector, SlotStatsOptions, parse_slot
from redis_pulse.errors import TargetError
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server

Values = dict[tuple[str, ...], float]
Items = dict[str, int]


class SlotServer:
    """Implements ``Commands`` for a node with these slots. It returns only slots that it has, as real servers do."""

    def __init__(self, slots: dict[int, Items]) -> None:
        self.slots = slots
        self.sent = 0

    async def execute(self, *args: Any, db: int | None = None) -> Any:
        raise AssertionError("execute keeps each reply until the poll ends")

    async def pipeline(self, commands: Sequence[tuple[Any, ...]], *, db: int | None = None) -> list[Any]:
        self.sent += len(commands)
        return [self._reply(*args) for args in commands]

    def _reply(self, cluster: str, stats: str, by: str, first: int, last: int) -> Any:
        assert (cluster, stats, by) == ("CLUSTER", "SLOT-STATS", "SLOTSRANGE")
        return [
            [slot, [part for name, value in items.items() for part in (name.encode(), value)]]
            for slot, items in self.slots.items()
            if first <= slot <= last
        ]


def used(cpu: int, received: int = 0, sent: int = 0, keys: int = 1) -> Items:
    return {"key-count": keys, "cpu-usec": cpu, "network-bytes-in": received, "network-bytes-out": sent}


async def poll(collector: SlotStatsCollector, slots: dict[int, Items], run_id: str = "one", top: int = 1) -> Values:
    """Poll once and return the values by name and labels."""
    items = await collector.collect(Server(run_id=run_id), SlotServer(slots), SlotStatsOptions(top=top))
    values = {(one.metric.name, *one.labels): one.value for one in items if isinstance(one, Sample)}
    assert len(values) == len(list(items)), "duplicate series or unreadable slots"
    return values


def shown(values: Values) -> set[str]:
    """Return the slots with series of their own."""
    return {labels[0] for name, *labels in values if labels}


async def test_busiest_slots_by_cpu_and_by_bytes_have_series() -> None:
    slots = {7: used(3_000_000, 1, 1), 8: used(5, 100, 900), 16383: used(6, 1, 2)}
    values = await poll(COLLECTOR.for_target(), slots)
    assert shown(values) == {"7", "8"}
    assert {name: value for (name, *labels), value in values.items() if labels == ["7"]} == {
        "slot_keys": 1,
        "slot_cpu_seconds_total": 3,
        "slot_net_input_bytes_total": 1,
        "slot_net_output_bytes_total": 1,
    }
    assert values["slots",] == values["slots_keys",] == 3


async def test_slot_that_is_busy_now_replaces_one_that_was_busy() -> None:
    """A ranking by totals would show a slot that was busy last month."""
    collector = COLLECTOR.for_target()
    assert shown(await poll(collector, {1: used(10_000), 2: used(10)})) == {"1"}
    for number in range(1, 6):
        values = await poll(collector, {1: used(10_000), 2: used(10 + 5_000 * number)})
    assert shown(values) == {"2"}
    assert values["slot_cpu_seconds_total", "2"] == pytest.approx(0.02501)


async def test_slots_without_use_have_no_series() -> None:
    values = await poll(COLLECTOR.for_target(), {1: used(0), 2: used(0)}, top=5)
    assert shown(values) == set()


async def test_sums_begin_with_the_first_poll_and_never_fall() -> None:
    """A plain sum falls when a slot leaves. ``rate()`` would take each fall for a restart."""
    collector = COLLECTOR.for_target()
    sums = [
        (await poll(collector, slots))["slots_cpu_seconds_total",]
        for slots in (
            {1: used(1_000_000), 2: used(2_000_000)},
            {1: used(1_500_000), 2: used(2_000_000)},
            {2: used(3_000_000)},  # slot 1 has left
            {1: used(250_000), 2: used(3_000_000)},  # slot 1 is back, and began at 0
            {1: used(0), 2: used(0)},  # CONFIG RESETSTAT
        )
    ]
    assert sums == [0, 0.5, 1.5, 1.75, 1.75]


async def test_restarted_server_begins_again() -> None:
    collector = COLLECTOR.for_target()
    await poll(collector, {1: used(1_000_000)})
    await poll(collector, {1: used(2_000_000)})
    assert (await poll(collector, {1: used(500)}, run_id="two"))["slots_cpu_seconds_total",] == 0


async def test_server_that_counts_keys_only_has_only_keys() -> None:
    """This is the default: ``cluster-slot-stats-enabled no``."""
    values = await poll(COLLECTOR.for_target(), {1: {"key-count": 4}, 2: {"key-count": 5}})
    assert values == {("slots",): 2, ("slots_keys",): 9}


async def test_memory_of_redis_8_6_is_read() -> None:
    values = await poll(COLLECTOR.for_target(), {1: used(5) | {"memory-bytes": 70}, 2: used(1) | {"memory-bytes": 30}})
    assert values["slot_memory_bytes", "1"] == 70
    assert values["slots_memory_bytes",] == 100


async def test_targets_have_separate_histories() -> None:
    one, other = COLLECTOR.for_target(), COLLECTOR.for_target()
    await poll(one, {1: used(1_000_000)})
    await poll(one, {1: used(3_000_000)})
    assert (await poll(other, {1: used(3_000_000)}))["slots_cpu_seconds_total",] == 0


async def test_all_slots_are_requested_in_parts() -> None:
    """The whole reply would have more elements than the client accepts, and would block the event loop."""
    server = SlotServer({slot: used(slot) for slot in range(16384)})
    items = list(await COLLECTOR.for_target().collect(Server(), server, SlotStatsOptions(top=3)))
    assert server.sent == 64
    assert {item.labels[0] for item in items if isinstance(item, Sample) and item.labels} == {"16381", "16382", "16383"}


async def test_error_of_the_server_is_raised() -> None:
    class Failing(SlotServer):
        async def pipeline(self, commands: Sequence[tuple[Any, ...]], *, db: int | None = None) -> list[Any]:
            return [TargetError("unknown subcommand")]

    with pytest.raises(TargetError):
        await COLLECTOR.for_target().collect(Server(), Failing({}), SlotStatsOptions())


@pytest.mark.parametrize(
    "entry",
    [None, [], [1], [1, None], [b"1", []], [16384, []], [-1, []], [1, [b"cpu-usec", -5]], [1, [b"cpu-usec", b"x"]]],
)
async def test_malformed_slot_is_counted(entry: Any) -> None:
    class Malformed(SlotServer):
        def _reply(self, cluster: str, stats: str, by: str, first: int, last: int) -> Any:
            return [entry] if first == 0 else []

    items = list(await COLLECTOR.for_target().collect(Server(), Malformed({}), SlotStatsOptions()))
    assert [item for item in items if isinstance(item, UnreadableField)] == [
        UnreadableField("CLUSTER SLOT-STATS/SLOTSRANGE")
    ]


def test_only_cluster_nodes_have_slots() -> None:
    assert COLLECTOR.applies(Server(fields={"cluster_enabled": "1"}))
    assert not COLLECTOR.applies(Server(fields={"cluster_enabled": "0"}))


@given(st.recursive(st.none() | st.integers() | st.binary(max_size=8), lambda inner: st.lists(inner, max_size=6)))
def test_any_entry_is_read_without_an_exception(entry: Any) -> None:
    parse_slot(entry)
