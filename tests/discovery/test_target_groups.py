"""Each entry of a list becomes a target by itself: an invalid entry is rejected, and all others stay.

A list can make a connection safer than its source, and never less safe.
"""

import asyncio
from dataclasses import replace

import pytest

from redis_pulse.config import FileSourceSettings, HttpSourceSettings, SourceSettings, TargetGroup, TargetSettings
from redis_pulse.config.discovery_models import Kind
from redis_pulse.discovery import target_groups
from redis_pulse.discovery.target_groups import targets_of
from redis_pulse.slices import ITEMS_PER_SLICE
from tests.discovery.context import RecordingContext, names_and_addresses, source_of

FILE = source_of("file", "x", FileSourceSettings(path="x", sockets=True))
TLS_FILE = source_of("file", "x", FileSourceSettings(path="x", scheme="rediss", sockets=True), "rediss://placeholder")


async def found(
    groups: list[TargetGroup], source: SourceSettings = FILE, context: RecordingContext | None = None
) -> list[TargetSettings]:
    return await targets_of(groups, source, "x.yaml", (context or RecordingContext()).build())


async def test_address_becomes_a_target_with_the_address_as_its_name() -> None:
    context = RecordingContext()
    targets = await found([TargetGroup(("10.0.0.1:6379", "cache"), {"team": "web"})], context=context)
    assert names_and_addresses(targets) == [("10.0.0.1:6379", "10.0.0.1:6379"), ("cache:6379", "cache:6379")]
    assert [target.labels for target in targets] == [{"team": "web"}, {"team": "web"}]
    assert context.rejected == []


async def test_url_sets_tls_database_and_socket() -> None:
    targets = await found([TargetGroup(("rediss://a/3", "unix:///run/redis.sock", "/run/b.sock"), {})])
    assert [(target.address, target.endpoint.tls, target.db) for target in targets] == [
        ("a:6379", True, 3),
        ("/run/redis.sock", False, 0),
        ("/run/b.sock", False, 0),
    ]


async def test_plain_address_has_the_scheme_of_the_source() -> None:
    assert [target.endpoint.tls for target in await found([TargetGroup(("a", "rediss://b"), {})], TLS_FILE)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("entry", ["redis://b", "valkey://b", "unix:///run/redis.sock", "/run/redis.sock"])
async def test_entry_cannot_switch_tls_off(entry: str) -> None:
    """Attack H1: the password of the module would go out in the clear."""
    context = RecordingContext()
    targets = await found([TargetGroup((entry, "good"), {"__module": "prod"})], with_tls_modules(), context)
    assert names_and_addresses(targets) == [("good:6379", "good:6379")]
    assert context.rejected == [
        "not_allowed: x.yaml[0].targets[0] would switch TLS off, which the scheme of its source demands"
    ]


def with_tls_modules() -> SourceSettings:
    return replace(TLS_FILE, modules={"prod": TLS_FILE.template})


@pytest.mark.parametrize(
    "entry",
    [
        "rediss://b?ssl_cert_reqs=none",
        "b?ssl_cert_reqs=none",
        "rediss://b?username=me&password=hunter2",
        "b?password=hunter2",
    ],
)
async def test_entry_cannot_set_credentials_or_certificate_checks(entry: str) -> None:
    context = RecordingContext()
    assert await found([TargetGroup((entry,), {})], TLS_FILE, context) == []
    (rejected,) = context.rejected
    assert rejected.startswith("not_allowed: x.yaml[0].targets[0] must not set a user name, a password")
    assert "hunter2" not in rejected


@pytest.mark.parametrize("entry", ["unix:///run/some.sock", "/run/some.sock"])
@pytest.mark.parametrize(
    "options", [FileSourceSettings(path="x"), HttpSourceSettings(url="http://inventory/")], ids=["file", "http"]
)
async def test_socket_needs_a_switch(entry: str, options: FileSourceSettings | HttpSourceSettings) -> None:
    """Attack L3: any local service would receive the password, and its answer would be in the log."""
    context = RecordingContext()
    kind: Kind = "file" if isinstance(options, FileSourceSettings) else "http"
    assert await found([TargetGroup((entry,), {})], source_of(kind, "x", options), context) == []
    assert "is a socket: set sockets: true" in context.rejected[0]


async def test_labels_set_the_name_and_the_module_of_a_target() -> None:
    labels = {"__name": "sessions", "__module": "prod", "__meta_region": "eu", "team": "web"}
    (target,) = await found([TargetGroup(("10.0.0.1:6379",), labels)])
    assert (target.name, target.username, target.labels) == ("sessions", "exporter", {"team": "web"})


async def test_name_for_several_targets_is_ignored() -> None:
    targets = await found([TargetGroup(("a", "b"), {"__name": "sessions"})])
    assert names_and_addresses(targets) == [("a:6379", "a:6379"), ("b:6379", "b:6379")]


async def test_invalid_entry_is_rejected_with_location_and_hint() -> None:
    context = RecordingContext()
    groups = [
        TargetGroup(("redis://me:hunter2@a", "a:99999", "reids://a", "good"), {}),
        TargetGroup(("b",), {"__module": "prd"}),
        TargetGroup(("c",), {"instance": "x"}),
        TargetGroup(("d",), {"__name": "redis://d"}),
    ]
    assert names_and_addresses(await found(groups, context=context)) == [("good:6379", "good:6379")]
    assert context.rejected == [
        "unreadable: x.yaml[0].targets[0] must not contain a user name or password: name a module that has them",
        "unreadable: x.yaml[0].targets[1] must have a port between 1 and 65535",
        "unreadable: x.yaml[0].targets[2] has the unknown scheme reids://: did you mean redis://?",
        "unreadable: x.yaml[1].labels.__module is not the name of a module: did you mean prod?",
        "unreadable: x.yaml[2].labels must not have the label instance, which is reserved",
        "unreadable: x.yaml[3].labels.__name is not printable text of at most 200 characters",
    ]


@pytest.mark.parametrize(
    ("targets", "labels"),
    [
        (("a",), {"team": "\ud800"}),
        (("a",), {"__name": "\udfff"}),
        (("\ud800",), {}),
        (("redis://a\udc00:1",), {}),
        (("h" * 10_000,), {}),
        (("a",), {"team": "x" * 9_000_000}),
        (("a",), {"team": "é" * 129}),
        (("a",), {f"label_{number}": "x" for number in range(200_000)}),
    ],
)
async def test_text_that_no_page_can_show_costs_only_its_entry(
    targets: tuple[str, ...], labels: dict[str, str]
) -> None:
    """Attacks H2 and L5: half of a surrogate pair stopped all discovery, and a label had 9 MB."""
    context = RecordingContext()
    groups = [TargetGroup(targets, labels), TargetGroup(("good",), {})]
    (target,) = await found(groups, context=context)
    assert target.name == "good:6379"
    assert len(context.rejected) == 1
    assert len(context.rejected[0]) < 200
    context.rejected[0].encode()


async def test_entries_beyond_the_limit_are_counted_without_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack H3: entries are counted before they become targets."""
    monkeypatch.setattr(target_groups, "MAX_ENTRIES", 100)
    context = RecordingContext()
    context.max_targets = 3
    groups = [TargetGroup(tuple(f"10.0.0.{number}" for number in range(200)), {}), TargetGroup(("a",), {})]
    assert len(await found(groups, context=context)) == 3
    assert context.rejected == ["too_many: x.yaml lists 198 entries beyond the limit"]
    assert context.rejected_count == 198


async def test_entries_that_were_dropped_while_reading_are_counted() -> None:
    context = RecordingContext()
    groups = [TargetGroup(("a", "b"), {}, dropped=5), TargetGroup((), {}, dropped=7)]
    assert len(await found(groups, context=context)) == 2
    assert context.rejected == ["too_many: x.yaml lists 12 entries beyond the limit"]


async def test_entries_of_other_shards_do_not_count_towards_the_limit() -> None:
    context = RecordingContext()
    context.max_targets = 2
    context.owned = {"b:6379", "d:6379"}
    targets = await found([TargetGroup(("a", "b", "c", "d"), {})], context=context)
    assert [target.name for target in targets] == ["b:6379", "d:6379"]
    assert context.rejected == []


@pytest.mark.parametrize(
    "groups",
    [
        [TargetGroup(tuple("@1" for _ in range(2000)), {})],
        [TargetGroup(("a",), {"__module": "prd"}) for _ in range(2000)],
        [TargetGroup(tuple(f"10.0.{number // 250}.{number % 250}" for number in range(2000)), {})],
    ],
    ids=["bad entries", "bad groups", "targets"],
)
async def test_long_list_gives_way_to_other_tasks(groups: list[TargetGroup]) -> None:
    """Attack H3: 3 MB of refused entries held the event loop for 14 seconds."""
    turns = 0

    async def other_task() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other_task())
    await found(groups)
    task.cancel()
    assert turns >= 2000 / ITEMS_PER_SLICE
