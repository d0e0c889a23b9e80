"""Tests of the page of many targets in protobuf, whose samples are kept compressed in groups."""

import gzip

from redis_pulse.exposition.sample_groups import GROUP_SIZE, MIN_FLEET
from tests.exposition.test_protobuf_page import Pages
from tests.protobuf_reader import Family, families

FLEET = [f"t{number}" for number in range(MIN_FLEET + GROUP_SIZE)]


async def read(pages: Pages) -> dict[str, Family]:
    pages.protobuf.stop()
    page = gzip.decompress(bytes(await pages.protobuf.full(gzip=True)))
    return {family.name: family for family in families(page)}


def values(family: Family) -> dict[str, float]:
    return {one.labels["target"]: one.value for one in family.series}


def fleet() -> Pages:
    pages = Pages(*FLEET)
    for number, target in enumerate(FLEET):
        pages.poll(target, number)
    return pages


async def test_groups_have_the_samples_of_the_text_page() -> None:
    pages = fleet()
    assert await pages.assert_same_samples() > 50 * len(FLEET)
    assert len(pages.text.groups) > 0
    assert await pages.assert_same_samples() > 50 * len(FLEET)


async def test_target_that_was_polled_again_has_its_new_value_once() -> None:
    pages = fleet()
    before = values((await read(pages))["redis_memory_used_bytes"])
    assert before == {target: float(number) for number, target in enumerate(FLEET)}
    pages.poll(FLEET[3], 777)
    pages.protobuf = pages.new_protobuf()
    assert values((await read(pages))["redis_memory_used_bytes"]) == before | {FLEET[3]: 777.0}


async def test_removed_target_leaves_its_group_at_once() -> None:
    pages = fleet()
    await read(pages)
    pages.store.forget(FLEET[3])
    pages.metrics.remove_target(FLEET[3])
    pages.protobuf = pages.new_protobuf()
    found = await read(pages)
    for name in ("redis_memory_used_bytes", "redis_up", "redis_operations_total"):
        assert {one.labels["target"] for one in found[name].series} == set(FLEET) - {FLEET[3]}, name


async def test_own_metrics_of_a_group_are_the_newest() -> None:
    """A connect changes what no ping changes."""
    pages = fleet()
    await read(pages)
    target = pages.targets[FLEET[3]]
    target.operation("connect").succeeded(0.05)
    for _ in range(3):
        target.operation("ping").succeeded(0.05)
    for groups in (pages.protobuf, pages.new_protobuf()):
        pages.protobuf = groups
        steps = list(pages.protobuf.prepare())
        assert steps
    native = [
        family
        for family in families(bytes(await pages.protobuf.full(gzip=False)))
        if family.name == "redis_operation_duration_seconds" and 5 in family.series[0].content
    ]
    counts = {
        (one.labels["target"], one.labels["operation"]): one.number(1) for family in native for one in family.series
    }
    assert counts[FLEET[3], "ping"] == 3
    assert counts[FLEET[3], "connect"] == 1
    assert sum(counts.values()) == 4
    pages.protobuf.stop()
