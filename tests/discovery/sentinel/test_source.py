"""A source follows a Sentinel set by queries and messages to several Sentinels; the names of targets stay."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.sentinel.source import MAX_FAST_CHECK
from tests.discovery.sentinel.fake_sentinels import FakeMaster, FakeSentinel, SentinelSetup
from tests.harness import eventually, target_settings
from tests.patience import at_most

A, B, C = "10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"


@pytest.fixture(autouse=True)
def long_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reply on a busy machine must not look like a hanging Sentinel."""
    monkeypatch.setattr("redis_pulse.discovery.sentinel.sentinel_pool.STRAGGLER_GRACE", 10.0)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def three(stack: AsyncExitStack) -> list[FakeSentinel]:
    """Three Sentinels that agree and know each other."""
    sentinels = [
        await stack.enter_async_context(FakeSentinel(f"id{number}", cart=FakeMaster(A, B, C, epoch=1)))
        for number in range(3)
    ]
    for one in sentinels:
        one.masters["cart"].sentinels = {other.run_id: other.address for other in sentinels if other is not one}
    return sentinels


def make_setup(stack: AsyncExitStack, seeds: list[FakeSentinel], **options: object) -> SentinelSetup:
    setup = SentinelSetup(*(one.address for one in seeds), **options)  # type: ignore[arg-type]
    stack.push_async_callback(setup.source.aclose)
    return setup


def fail_over(sentinels: list[FakeSentinel], epoch: int = 2) -> None:
    """Let these Sentinels report that B is the master."""
    for one in sentinels:
        master = one.masters["cart"]
        master.address, master.replicas, master.epoch = B, [A, C], epoch


async def test_master_and_replicas_are_targets(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three)
    targets = await setup.source.refresh()
    assert {one.name: one.address for one in targets} == {
        "queue/master": A,
        "queue/replica-1": B,
        "queue/replica-2": C,
    }
    assert targets[0].labels == {"team": "web", "sentinel": "queue", "master": "cart"}
    assert setup.value("failovers_total", master="cart") == 0
    assert setup.value("quorum_ok", master="cart") == 1
    assert setup.value("disagreeing", master="cart") == 0
    assert [setup.value("watch_up", address=one.address) for one in three] == [1, 1, 1]


async def test_options_exclude_replicas_and_include_sentinels(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three[:1], replicas=False, sentinels=True, credentials={"username": "watcher"})
    await setup.source.refresh()
    targets = {one.name: one for one in await setup.source.refresh()}
    assert targets.keys() == {"queue/master", *(f"queue/sentinel/{one.address}" for one in three)}
    one = targets[f"queue/sentinel/{three[2].address}"]
    assert (one.username, one.labels, one.canary.enabled) == ("watcher", {"sentinel": "queue"}, False)
    assert targets["queue/master"].username is None


async def test_all_masters_are_followed_until_no_sentinel_watches_them(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    for one in three:
        one.masters["jobs"] = FakeMaster("10.0.1.1:6379")
    setup = make_setup(stack, three, master=())
    assert await setup.refresh_addresses() == {
        "queue/cart/master": A,
        "queue/cart/replica-1": B,
        "queue/cart/replica-2": C,
        "queue/jobs/master": "10.0.1.1:6379",
    }
    assert setup.value("failovers_total", master="jobs") == 0
    for one in three[:2]:
        del one.masters["jobs"]
    assert "queue/jobs/master" in await setup.refresh_addresses()  # one still watches it
    del three[2].masters["jobs"]
    assert "queue/jobs/master" not in await setup.refresh_addresses()
    assert setup.value("failovers_total", master="jobs") is None
    assert setup.value("quorum_ok", master="jobs") is None


async def test_several_configured_masters_have_their_names_in_targets(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    three[0].masters["jobs"] = FakeMaster("10.0.1.1:6379")
    three[0].masters["else"] = FakeMaster("10.0.1.2:6379")
    setup = make_setup(stack, three, master=("cart", "jobs"), replicas=False)
    assert await setup.refresh_addresses() == {"queue/cart/master": A, "queue/jobs/master": "10.0.1.1:6379"}


async def test_failover_swaps_two_names_and_counts_once(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three)
    await setup.source.refresh()
    fail_over(three[2:])
    after = {"queue/master": B, "queue/replica-1": A, "queue/replica-2": C}
    assert await setup.refresh_addresses() == after
    assert setup.value("disagreeing", master="cart") == 2
    fail_over(three[:2])
    assert await setup.refresh_addresses() == after
    assert setup.value("failovers_total", master="cart") == 1
    assert setup.value("disagreeing", master="cart") == 0


async def test_restart_does_not_count_an_earlier_failover(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    fail_over(three, epoch=9)
    setup = make_setup(stack, three)
    await setup.source.refresh()
    assert setup.value("failovers_total", master="cart") == 0


async def test_only_messages_about_followed_masters_request_a_refresh(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three[:1], allowed=())
    await setup.source.refresh()
    await eventually(lambda: setup.refresh_requests == 1)  # subscribed: earlier events may have been missed
    three[0].publish("+switch-master", "jobs 10.0.1.1 6379 10.0.1.2 6379")
    three[0].publish("+switch-master", "cart 10.0.0.1 6379 10.0.0.2 6379")
    await eventually(lambda: setup.refresh_requests == 2)
    fail_over(three)
    assert (await setup.refresh_addresses())["queue/master"] == B


async def test_lost_subscription_is_renewed(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three[:1], allowed=())
    await setup.source.refresh()
    await eventually(lambda: setup.refresh_requests == 1)
    await three[0].drop()
    await eventually(lambda: setup.refresh_requests == 2)
    assert three[0].count("SUBSCRIBE") == 2


async def test_queries_alone_suffice_if_subscriptions_are_denied(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    for one in three:
        one.denied = {"SUBSCRIBE"}
    setup = make_setup(stack, three)
    await setup.source.refresh()
    await three[0].arrived("SUBSCRIBE")
    fail_over(three)
    assert (await setup.refresh_addresses())["queue/master"] == B
    assert setup.value("failovers_total", master="cart") == 1
    assert setup.refresh_requests == 0


async def test_lost_sentinels_are_down_and_the_others_suffice(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three)
    await setup.source.refresh()
    await three[0].stop()
    await three[1].stop()
    three[2].masters[
        "cart"
    ].quorum = "-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority"
    assert (await setup.refresh_addresses())["queue/master"] == A
    assert [setup.value("watch_up", address=one.address) for one in three] == [0, 0, 1]
    assert setup.value("quorum_ok", master="cart") == 0
    await three[2].stop()
    with pytest.raises(DiscoveryError, match=rf"no Sentinel replies: {three[0].address}: refused"):
        await setup.source.refresh()
    assert setup.value("watch_up", address=three[2].address) == 0
    assert setup.value("quorum_ok", master="cart") == 0
    assert setup.value("disagreeing", master="cart") is None
    await three[1].start()
    setup.clock.advance(60)
    assert (await setup.refresh_addresses())["queue/master"] == A
    assert setup.value("quorum_ok", master="cart") == 1


async def test_hanging_sentinel_does_not_delay_a_majority(
    stack: AsyncExitStack, three: list[FakeSentinel], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(stack, three)
    await setup.source.refresh()
    three[0].hold()
    monkeypatch.setattr("redis_pulse.discovery.sentinel.sentinel_pool.STRAGGLER_GRACE", 0.2)
    fail_over(three[1:])
    async with at_most(4):  # the deadline of the query is 5 s
        assert (await setup.refresh_addresses())["queue/master"] == B
    three[0].release()
    fail_over(three)
    await setup.source.refresh()
    assert setup.value("watch_up", address=three[0].address) == 1


async def test_sentinels_known_to_others_are_queried_once_each(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three[:1])
    await setup.source.refresh()
    await setup.source.refresh()
    assert [setup.value("watch_up", address=one.address) for one in three] == [1, 1, 1]
    await three[0].stop()
    for one in three[1:]:
        one.masters["cart"].sentinels = {}
    for _ in range(2):
        # Without the seed, the pool can only rely on the others.
        assert (await setup.refresh_addresses())["queue/master"] == A
    assert [setup.value("watch_up", address=one.address) for one in three] == [0, 1, 1]
    await three[0].start()
    setup.clock.advance(60)
    three[0].masters["cart"].sentinels = {"id1": three[1].address}
    for _ in range(2):
        await setup.source.refresh()
    assert [setup.value("watch_up", address=one.address) for one in three] == [1, 1, None]


async def test_foreign_sentinel_adds_no_other_sentinels(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """The other Sentinels of the foreign set would win every vote."""
    stranger = await stack.enter_async_context(FakeSentinel("id9", cart=FakeMaster("10.0.9.1:6379", epoch=9)))
    three[2].masters["cart"] = FakeMaster("10.0.9.1:6379", epoch=9)
    three[2].masters["cart"].sentinels = {"id9": stranger.address}
    setup = make_setup(stack, three)
    for _ in range(2):
        assert (await setup.refresh_addresses())["queue/master"] == A
    assert setup.value("disagreeing", master="cart") == 1
    assert stranger.accepted == 0


async def test_no_sentinel_is_dropped_during_a_failover(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """The first Sentinel with the new master is not in its own list."""
    setup = make_setup(stack, three[:1])
    for _ in range(2):
        await setup.source.refresh()
    fail_over(three[2:])
    assert (await setup.refresh_addresses())["queue/master"] == B
    assert [setup.value("watch_up", address=one.address) for one in three] == [1, 1, 1]
    await setup.source.refresh()
    assert three[2].count("SUBSCRIBE") == 1


async def test_sentinel_with_two_addresses_has_one_vote(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """It is configured by its name, and the others report its IP address."""
    setup = SentinelSetup(f"localhost:{three[0].port}", three[1].address)
    stack.push_async_callback(setup.source.aclose)
    for _ in range(3):
        await setup.source.refresh()
    addresses = {f"localhost:{three[0].port}", three[1].address, three[2].address}
    assert {one for one in addresses if setup.value("watch_up", address=one) == 1} == addresses
    assert setup.value("watch_up", address=three[0].address) is None


async def test_seed_without_run_id_prevents_queries_to_reported_sentinels(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    three[0].run_id = ""
    setup = make_setup(stack, three[:2])
    for _ in range(2):
        assert (await setup.refresh_addresses())["queue/master"] == A
    assert three[2].accepted == 0


async def test_reported_sentinel_outside_the_allow_list_gets_no_connection(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three[:1], allowed=[three[1].address])
    for _ in range(2):
        await setup.source.refresh()
    assert (three[1].accepted > 0, three[2].accepted) == (True, 0)


async def test_unknown_master_is_an_error_that_lists_the_known_ones(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three, master="crat")
    with pytest.raises(DiscoveryError, match="the Sentinels do not watch crat: they watch cart"):
        await setup.source.refresh()


async def test_unknown_one_of_several_masters_is_rejected(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three, master=("cart", "jbos"), replicas=False)
    assert await setup.refresh_addresses() == {"queue/cart/master": A}
    assert setup.rejected == [("unknown", "the Sentinels do not watch jbos")]


async def test_configured_master_stays_when_sentinels_forget_it(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three)
    before = await setup.refresh_addresses()
    for one in three:
        one.masters.clear()
    assert await setup.refresh_addresses() == before


async def test_denied_list_of_replicas_is_rejected(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    three[0].denied = {"SENTINEL|SLAVES"}
    setup = make_setup(stack, three[:1], allowed=())
    assert await setup.refresh_addresses() == {"queue/master": A}
    assert [text for reason, text in setup.rejected if reason == "denied"]
    assert {reason for reason, _ in setup.rejected} == {"denied", "not_allowed"}, "other Sentinels are not allowed"


async def test_denied_list_of_masters_is_an_error(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    three[0].denied = {"SENTINEL|MASTERS"}
    setup = make_setup(stack, three[:1])
    with pytest.raises(DiscoveryError, match="permission: NOPERM this user"):
        await setup.source.refresh()


async def test_time_without_a_master_is_published(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three)
    setup.set_probe_status(A)
    await setup.source.refresh()
    assert setup.source.check_masters() is False
    assert setup.value("master_missing_seconds_total", master="cart") == 0
    assert setup.value("last_failover_seconds", master="cart") is None
    since = setup.clock()
    setup.clock.advance(2)
    setup.set_probe_status(A, silent_since=since)
    requests = setup.refresh_requests
    assert setup.source.check_masters() is True
    assert setup.refresh_requests == requests + 1  # the Sentinels are queried more often during an outage
    assert setup.source.check_masters() is True
    assert setup.refresh_requests == requests + 1
    assert setup.value("master_missing_seconds_total", master="cart") == 2
    fail_over(three)
    await setup.source.refresh()
    setup.clock.advance(1)
    setup.set_probe_status(B)
    assert setup.source.check_masters() is False
    assert setup.value("master_missing_seconds_total", master="cart") == 3
    assert setup.value("last_failover_seconds", master="cart") == 3


async def test_long_outage_requests_no_more_refreshes(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    setup = make_setup(stack, three)
    setup.set_probe_status(A, silent_since=setup.clock())
    await setup.source.refresh()
    assert setup.source.check_masters() is True
    setup.clock.advance(MAX_FAST_CHECK)
    requests = setup.refresh_requests
    assert setup.source.check_masters() is False
    assert setup.refresh_requests == requests
    assert setup.value("master_missing_seconds_total", master="cart") == MAX_FAST_CHECK


async def test_master_that_is_no_target_has_no_outage_time(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """For example, its address is declared under another name."""
    setup = make_setup(stack, three)
    await setup.source.refresh()
    setup.source.check_masters()
    assert setup.value("master_missing_seconds_total", master="cart") is None


async def test_set_of_another_shard_is_neither_queried_nor_published(
    stack: AsyncExitStack, three: list[FakeSentinel]
) -> None:
    setup = make_setup(stack, three, owner=False)
    assert await setup.refresh_addresses() == {}
    assert three[0].accepted == 0
    assert setup.value("watch_up", address=three[0].address) is None


async def test_changed_settings_keep_the_numbers_of_replicas(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """A new source with the same name starts, and receives the targets of the old one."""
    setup = make_setup(stack, three)
    before = {"queue/master": A, "queue/replica-1": "10.0.0.9:6379", "queue/replica-3": B, "queue/replicated": C}
    known = [target_settings(address, name=name) for name, address in before.items()]
    setup.source._context = replace(setup.source._context, known_targets=lambda: known)
    assert await setup.refresh_addresses() == {"queue/master": A, "queue/replica-1": C, "queue/replica-3": B}


async def test_new_master_is_checked_at_once_after_a_move(stack: AsyncExitStack, three: list[FakeSentinel]) -> None:
    """A check at the next interval would add the wait to the duration of the failover."""
    setup = make_setup(stack, three, probe_interval=3600)
    setup.set_probe_status(A)
    await setup.source.refresh()
    await eventually(lambda: setup.value("master_missing_seconds_total", master="cart") == 0)
    fail_over(three)
    await setup.source.refresh()
    setup.clock.advance(0.5)
    setup.set_probe_status(B)
    await eventually(lambda: setup.value("last_failover_seconds", master="cart") == 0.5)


async def test_check_loop_runs_from_the_first_refresh_until_close(
    three: list[FakeSentinel],
) -> None:
    setup = SentinelSetup(*(one.address for one in three))
    setup.set_probe_status(A)
    await setup.source.refresh()
    await eventually(lambda: setup.value("master_missing_seconds_total", master="cart") == 0)
    await setup.source.aclose()
    assert setup.value("watch_up", address=three[0].address) is None
    assert setup.value("quorum_ok", master="cart") is None
    assert setup.value("failovers_total", master="cart") == 0  # a source with the same name continues to count
    await eventually(lambda: not any(one.connected for one in three))


async def test_source_without_a_refresh_can_be_closed(three: list[FakeSentinel]) -> None:
    await SentinelSetup(three[0].address).source.aclose()
    assert three[0].accepted == 0
