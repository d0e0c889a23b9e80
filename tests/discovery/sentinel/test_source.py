"""A Sentinel set is followed: by several Sentinels, by questions and messages, with names that stay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.sentinel.source import MAX_FAST_CHECK
from tests.discovery.sentinel.fake_sentinels import FakeMaster, FakeSentinel, SentinelSetup
from tests.harness import eventually, target_settings

A, B, C = "10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy must not look like a Sentinel that hangs."""
    monkeypatch.setattr("redis_pulse.discovery.sentinel.sentinel_pool.GRACE", 10.0)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as everything:
        yield everything


@pytest.fixture
async def three(stack: AsyncExitStack) -> list[FakeSentinel]:
    """Three Sentinels that agree, and know each other."""
    sentinels = [
        await stack.enter_async_context(FakeSentinel(f"id{number}", cart=FakeMaster(A, B, C, epoch=1)))
        for number in range(3)
    ]
    for one in sentinels:
        one.masters["cart"].sentinels = {other.number: other.address for other in sentinels if other is not one}
    return sentinels


def room_of(stack: AsyncExitStack, asked: list[FakeSentinel], **options: object) -> SentinelSetup:
    room = SentinelSetup(*(one.address for one in asked), **options)  # type: ignore[arg-type]
    stack.push_async_callback(room.source.aclose)
    return room


def fail_over(sentinels: list[FakeSentinel], epoch: int = 2) -> None:
    """Let these tell that B is the master."""
    for one in sentinels:
        master = one.masters["cart"]
        master.address, master.replicas, master.epoch = B, [A, C], epoch


async def test_the_master_and_its_replicas_are_targets(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    room = room_of(stack, three)
    targets = await room.source.refresh()
    assert {one.name: one.address for one in targets} == {
        "queue/master": A,
        "queue/replica-1": B,
        "queue/replica-2": C,
    }
    assert targets[0].labels == {"team": "web", "sentinel": "queue", "master": "cart"}
    assert room.value("failovers_total", master="cart") == 0
    assert room.value("quorum_ok", master="cart") == 1
    assert room.value("disagreeing", master="cart") == 0
    assert [room.value("watch_up", address=one.address) for one in three] == [1, 1, 1]


async def test_replicas_may_be_left_out_and_sentinels_be_targets_too(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three[:1], replicas=False, sentinels=True, credentials={"username": "watcher"})
    await room.source.refresh()
    targets = {one.name: one for one in await room.source.refresh()}
    assert targets.keys() == {"queue/master", *(f"queue/sentinel/{one.address}" for one in three)}
    one = targets[f"queue/sentinel/{three[2].address}"]
    assert (one.username, one.labels, one.canary.enabled) == ("watcher", {"sentinel": "queue"}, False)
    assert targets["queue/master"].username is None


async def test_all_masters_bear_their_names_and_one_that_is_watched_no_more_goes(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    for one in three:
        one.masters["jobs"] = FakeMaster("10.0.1.1:6379")
    room = room_of(stack, three, master=())
    assert await room.places() == {
        "queue/cart/master": A,
        "queue/cart/replica-1": B,
        "queue/cart/replica-2": C,
        "queue/jobs/master": "10.0.1.1:6379",
    }
    assert room.value("failovers_total", master="jobs") == 0
    for one in three[:2]:
        del one.masters["jobs"]
    assert "queue/jobs/master" in await room.places()  # one still watches it
    del three[2].masters["jobs"]
    assert "queue/jobs/master" not in await room.places()
    assert room.value("failovers_total", master="jobs") is None
    assert room.value("quorum_ok", master="jobs") is None


async def test_several_masters_by_name_bear_their_names_too(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    three[0].masters["jobs"] = FakeMaster("10.0.1.1:6379")
    three[0].masters["else"] = FakeMaster("10.0.1.2:6379")
    room = room_of(stack, three, master=("cart", "jobs"), replicas=False)
    assert await room.places() == {"queue/cart/master": A, "queue/jobs/master": "10.0.1.1:6379"}


async def test_a_failover_swaps_two_names_and_is_counted_once(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    room = room_of(stack, three)
    await room.source.refresh()
    fail_over(three[2:])
    after = {"queue/master": B, "queue/replica-1": A, "queue/replica-2": C}
    assert await room.places() == after
    assert room.value("disagreeing", master="cart") == 2
    fail_over(three[:2])
    assert await room.places() == after
    assert room.value("failovers_total", master="cart") == 1
    assert room.value("disagreeing", master="cart") == 0


async def test_another_start_counts_no_failover_that_was_before(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    fail_over(three, epoch=9)
    room = room_of(stack, three)
    await room.source.refresh()
    assert room.value("failovers_total", master="cart") == 0


async def test_a_message_brings_the_next_round_forward_and_one_about_another_master_does_not(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three[:1], allowed=())
    await room.source.refresh()
    await eventually(lambda: room.hints == 1)  # it listens now: what was told before is asked for
    three[0].publish("+switch-master", "jobs 10.0.1.1 6379 10.0.1.2 6379")
    three[0].publish("+switch-master", "cart 10.0.0.1 6379 10.0.0.2 6379")
    await eventually(lambda: room.hints == 2)
    fail_over(three)
    assert (await room.places())["queue/master"] == B


async def test_listening_begins_again_after_a_loss(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    room = room_of(stack, three[:1], allowed=())
    await room.source.refresh()
    await eventually(lambda: room.hints == 1)
    await three[0].drop()
    await eventually(lambda: room.hints == 2)
    assert three[0].count("SUBSCRIBE") == 2


async def test_questions_alone_do_when_listening_is_denied(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    for one in three:
        one.denied = {"SUBSCRIBE"}
    room = room_of(stack, three)
    await room.source.refresh()
    await three[0].arrived("SUBSCRIBE")
    fail_over(three)
    assert (await room.places())["queue/master"] == B
    assert room.value("failovers_total", master="cart") == 1
    assert room.hints == 0


async def test_sentinels_that_are_gone_are_down_and_the_others_suffice(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three)
    await room.source.refresh()
    await three[0].stop()
    await three[1].stop()
    three[2].masters[
        "cart"
    ].quorum = "-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority"
    assert (await room.places())["queue/master"] == A
    assert [room.value("watch_up", address=one.address) for one in three] == [0, 0, 1]
    assert room.value("quorum_ok", master="cart") == 0
    await three[2].stop()
    with pytest.raises(DiscoveryError, match=rf"no Sentinel answers: {three[0].address}: refused"):
        await room.source.refresh()
    assert room.value("watch_up", address=three[2].address) == 0
    assert room.value("quorum_ok", master="cart") == 0
    assert room.value("disagreeing", master="cart") is None
    await three[1].start()
    room.clock.advance(60)
    assert (await room.places())["queue/master"] == A
    assert room.value("quorum_ok", master="cart") == 1


async def test_a_sentinel_that_hangs_does_not_hold_up_a_majority(
    stack: AsyncExitStack, three: list[FakeSentinel], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = room_of(stack, three)
    await room.source.refresh()
    three[0].hold()
    monkeypatch.setattr("redis_pulse.discovery.sentinel.sentinel_pool.GRACE", 0.2)
    fail_over(three[1:])
    async with asyncio.timeout(4):  # its own deadline is 5 s
        assert (await room.places())["queue/master"] == B
    three[0].release()
    fail_over(three)
    await room.source.refresh()
    assert room.value("watch_up", address=three[0].address) == 1


async def test_sentinels_that_others_know_of_are_asked_too_and_each_once(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three[:1])
    await room.source.refresh()
    await room.source.refresh()
    assert [room.value("watch_up", address=one.address) for one in three] == [1, 1, 1]
    await three[0].stop()
    for one in three[1:]:
        one.masters["cart"].sentinels = {}
    for _ in range(2):
        assert (await room.places())["queue/master"] == A  # those that were learned are all that there is
    assert [room.value("watch_up", address=one.address) for one in three] == [0, 1, 1]
    await three[0].start()
    room.clock.advance(60)
    three[0].masters["cart"].sentinels = {"id1": three[1].address}
    for _ in range(2):
        await room.source.refresh()
    assert [room.value("watch_up", address=one.address) for one in three] == [1, 1, None]


async def test_a_sentinel_that_watches_another_set_brings_nobody_along(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    """Else its fellows would outvote ours."""
    stranger = await stack.enter_async_context(FakeSentinel("id9", cart=FakeMaster("10.0.9.1:6379", epoch=9)))
    three[2].masters["cart"] = FakeMaster("10.0.9.1:6379", epoch=9)
    three[2].masters["cart"].sentinels = {"id9": stranger.address}
    room = room_of(stack, three)
    for _ in range(2):
        assert (await room.places())["queue/master"] == A
    assert room.value("disagreeing", master="cart") == 1
    assert stranger.accepted == 0


async def test_no_sentinel_is_forgotten_in_the_midst_of_a_failover(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    """The first to know the new master is in no list of its own."""
    room = room_of(stack, three[:1])
    for _ in range(2):
        await room.source.refresh()
    fail_over(three[2:])
    assert (await room.places())["queue/master"] == B
    assert [room.value("watch_up", address=one.address) for one in three] == [1, 1, 1]
    await room.source.refresh()
    assert three[2].count("SUBSCRIBE") == 1


async def test_a_sentinel_under_two_addresses_has_one_vote(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """One is configured by its name, and the others tell of its IP address."""
    room = SentinelSetup(f"localhost:{three[0].port}", three[1].address)
    stack.push_async_callback(room.source.aclose)
    for _ in range(3):
        await room.source.refresh()
    addresses = {f"localhost:{three[0].port}", three[1].address, three[2].address}
    assert {one for one in addresses if room.value("watch_up", address=one) == 1} == addresses
    assert room.value("watch_up", address=three[0].address) is None


async def test_a_sentinel_that_does_not_tell_its_id_is_asked_and_nobody_that_others_know_of(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    three[0].number = ""
    room = room_of(stack, three[:2])
    for _ in range(2):
        assert (await room.places())["queue/master"] == A
    assert three[2].accepted == 0


async def test_nobody_is_connected_to_who_is_neither_configured_nor_allowed(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three[:1], allowed=[three[1].address])
    for _ in range(2):
        await room.source.refresh()
    assert (three[1].accepted > 0, three[2].accepted) == (True, 0)


async def test_a_master_that_no_sentinel_watches_is_said_with_those_that_they_do(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three, master="crat")
    with pytest.raises(DiscoveryError, match="the Sentinels do not watch crat: they watch cart"):
        await room.source.refresh()


async def test_of_several_masters_one_that_nobody_watches_is_refused_and_the_others_are_followed(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three, master=("cart", "jbos"), replicas=False)
    assert await room.places() == {"queue/cart/master": A}
    assert room.refused == [("unknown", "the Sentinels do not watch jbos")]


async def test_a_master_by_name_that_the_sentinels_forget_stays_where_it_was(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three)
    before = await room.places()
    for one in three:
        one.masters.clear()
    assert await room.places() == before


async def test_replicas_that_may_not_be_asked_for_are_said(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    three[0].denied = {"SENTINEL|SLAVES"}
    room = room_of(stack, three[:1], allowed=())
    assert await room.places() == {"queue/master": A}
    assert [why for why, _ in room.refused] == ["denied"]


async def test_who_may_not_list_the_masters_is_of_no_use(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    three[0].denied = {"SENTINEL|MASTERS"}
    room = room_of(stack, three[:1])
    with pytest.raises(DiscoveryError, match="permission: NOPERM this user"):
        await room.source.refresh()


async def test_time_without_a_master_is_counted_and_told(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    room = room_of(stack, three)
    room.set_probe_status(A)
    await room.source.refresh()
    assert room.source.check_masters() is False
    assert room.value("master_missing_seconds_total", master="cart") == 0
    assert room.value("last_failover_seconds", master="cart") is None
    since = room.clock()
    room.clock.advance(2)
    room.set_probe_status(A, silent_since=since)
    hints = room.hints
    assert room.source.check_masters() is True
    assert room.hints == hints + 1  # Sentinels are asked more often meanwhile
    assert room.source.check_masters() is True
    assert room.hints == hints + 1
    assert room.value("master_missing_seconds_total", master="cart") == 2
    fail_over(three)
    await room.source.refresh()
    room.clock.advance(1)
    room.set_probe_status(B)
    assert room.source.check_masters() is False
    assert room.value("master_missing_seconds_total", master="cart") == 3
    assert room.value("last_failover_seconds", master="cart") == 3


async def test_a_master_that_is_missing_for_long_is_not_asked_for_all_the_time(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three)
    room.set_probe_status(A, silent_since=room.clock())
    await room.source.refresh()
    assert room.source.check_masters() is True
    room.clock.advance(MAX_FAST_CHECK)
    hints = room.hints
    assert room.source.check_masters() is False
    assert room.hints == hints
    assert room.value("master_missing_seconds_total", master="cart") == MAX_FAST_CHECK


async def test_of_a_master_that_is_no_target_no_time_is_told(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """As when its address is declared under another name."""
    room = room_of(stack, three)
    await room.source.refresh()
    room.source.check_masters()
    assert room.value("master_missing_seconds_total", master="cart") is None


async def test_a_set_of_another_shard_is_neither_asked_nor_told_of(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    room = room_of(stack, three, owner=False)
    assert await room.places() == {}
    assert three[0].accepted == 0
    assert room.value("watch_up", address=three[0].address) is None


async def test_replicas_keep_their_numbers_when_the_settings_of_the_source_change(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    """Another source of the same name begins, and is told what the one before has named."""
    room = room_of(stack, three)
    before = {"queue/master": A, "queue/replica-1": "10.0.0.9:6379", "queue/replica-3": B, "queue/replicated": C}
    known = [target_settings(address, name=name) for name, address in before.items()]
    room.source._context = replace(room.source._context, known=lambda: known)
    assert await room.places() == {"queue/master": A, "queue/replica-1": C, "queue/replica-3": B}


async def test_after_a_move_the_new_master_is_looked_at_at_once(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    """Not when the next look would be due: that much longer the failover would seem to have taken."""
    room = room_of(stack, three, probe_interval=3600)
    room.set_probe_status(A)
    await room.source.refresh()
    await eventually(lambda: room.value("master_missing_seconds_total", master="cart") == 0)
    fail_over(three)
    await room.source.refresh()
    room.clock.advance(0.5)
    room.set_probe_status(B)
    await eventually(lambda: room.value("last_failover_seconds", master="cart") == 0.5)


async def test_masters_are_looked_after_from_the_first_answer_until_the_source_is_closed(
    three: list[FakeSentinel],
) -> None:
    room = SentinelSetup(*(one.address for one in three))
    room.set_probe_status(A)
    await room.source.refresh()
    await eventually(lambda: room.value("master_missing_seconds_total", master="cart") == 0)
    await room.source.aclose()
    assert room.value("watch_up", address=three[0].address) is None
    assert room.value("quorum_ok", master="cart") is None
    assert room.value("failovers_total", master="cart") == 0  # a source of the same name goes on counting
    await eventually(lambda: not any(one.connected for one in three))


async def test_closing_a_source_that_never_asked_is_nothing(three: list[FakeSentinel]) -> None:
    await SentinelSetup(three[0].address).source.aclose()
    assert three[0].accepted == 0
