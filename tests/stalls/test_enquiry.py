"""Questions to a server: what it refuses is missing evidence that is remembered, and odd replies never raise."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.commands import Args
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.stalls.enquiry import (
    BURST,
    DENIED_FOR,
    ENQUIRIES_PER_SECOND,
    Answers,
    EnquirySlots,
    PolledReplies,
    Questioner,
    new_entries,
    newest_number,
    shown_commands,
)
from redis_pulse.stalls.evidence import MAX_LATENCY_SPIKES, SlowEntry, parse_latency
from redis_pulse.stalls.snapshots import INFO_EVERYTHING, RawSnapshot
from tests.fakes import ManualClock

INFO = b"# Server\r\nrun_id:a\r\n"
ENTRY = [3, 1000, 250_000, [b"KEYS", b"secret:*"], b"10.0.0.1:99", b"cart"]


class FakeAsk:
    """Replies by the first word of a command."""

    def __init__(self, **replies: Any) -> None:
        self.replies = {"INFO": INFO, "SLOWLOG": [ENTRY], "LATENCY": [], "CONFIG": [], "COMMANDLOG": [], **replies}
        self.histories: dict[str, Any] = {}
        self.sent: list[Args] = []

    async def __call__(self, commands: Sequence[Args], within: float) -> list[Any]:
        assert within > 0
        self.sent += commands
        return [
            self.histories.get(str(args[2]), []) if args[1] == "HISTORY" else self.replies[str(args[0])]
            for args in commands
        ]

    @property
    def names(self) -> list[str]:
        return [str(args[0]) for args in self.sent]


async def test_everything_is_sent_at_once() -> None:
    ask = FakeAsk()
    answers = await Questioner(ask, ManualClock(5.0)).enquire(1.0)
    assert ask.names == ["INFO", "SLOWLOG", "LATENCY", "CONFIG"]
    assert answers.info is not None
    assert (answers.info.at, answers.info.raw, answers.missing) == (5.0, INFO, {})


async def test_denied_command_is_remembered_for_a_while() -> None:
    ask = FakeAsk(SLOWLOG=PermissionDeniedError("NOPERM"), LATENCY=UnknownCommandError("ERR unknown"))
    clock = ManualClock()
    questioner = Questioner(ask, clock)
    first = await questioner.enquire(1.0)
    ask.sent.clear()
    second = await questioner.enquire(1.0)
    assert first.missing == {"slowlog": "denied", "latency": "unknown command"}
    assert second.missing == first.missing
    assert ask.names == ["INFO", "COMMANDLOG", "CONFIG"]
    ask.sent.clear()
    clock.advance(DENIED_FOR)
    await questioner.enquire(1.0)
    assert "SLOWLOG" in ask.names


async def test_old_server_gets_the_old_form_of_info() -> None:
    ask = FakeAsk(INFO=TargetError("ERR syntax error"))
    questioner = Questioner(ask, ManualClock())
    assert await questioner.snapshot(1.0) is None
    ask.replies["INFO"] = INFO
    assert await questioner.snapshot(1.0) is not None
    assert INFO_EVERYTHING in ask.sent


async def test_snapshot_has_the_newest_number_of_the_slow_log() -> None:
    """The first INFO shows whether the server has a slow log at all."""
    questioner = Questioner(FakeAsk(), ManualClock())
    first, second = await questioner.snapshot(1.0), await questioner.snapshot(1.0)
    assert first is not None
    assert second is not None
    assert (first.slow_number, second.slow_number) == (None, 3)


async def test_sentinel_is_asked_for_nothing_but_info() -> None:
    """Its other replies would be errors, and for a user with few permissions entries of its ACL LOG."""
    ask = FakeAsk(INFO=b"# Server\r\nredis_mode:sentinel\r\n")
    questioner = Questioner(ask, ManualClock())
    for _ in range(2):
        await questioner.snapshot(1.0)
    answers = await questioner.enquire(1.0)
    assert set(ask.names) == {"INFO"}
    assert answers.missing["slowlog"] == "a Sentinel has none"


def test_new_entries_are_those_above_the_number_before() -> None:
    reply = [[5, 1000, 9, [b"GET"]], [4, 1000, 7, [b"KEYS"]], [3, 1000, 8, [b"SET"]]]
    assert [one.id for one in new_entries(reply, 3, 0.0, "me") or ()] == [5, 4]
    assert [one.id for one in new_entries(reply, 9, 1001.5, "me") or ()] == [], "the numbers went back: times decide"
    assert [one.id for one in new_entries(reply, None, 1000.5, "me") or ()] == [5, 4, 3]
    assert new_entries(None, 3, 0.0, "me") is None


def test_own_entries_are_left_out() -> None:
    assert new_entries([ENTRY], -1, 0.0, "cart") == ()


def test_arguments_are_shown_only_by_request_and_cut() -> None:
    entry = SlowEntry(3, 1000.0, 0.25, "keys")
    assert shown_commands([ENTRY], [entry]) == ["KEYS secret:*"]
    assert len(shown_commands([[3, 1, 1, [b"x" * 9999]]], [entry])[0]) <= 128


ODD = st.recursive(st.none() | st.integers() | st.binary(max_size=8) | st.text(max_size=8), st.lists, max_leaves=12)


@given(ODD)
def test_odd_replies_never_raise(reply: object) -> None:
    newest_number(reply)
    entries = new_entries(reply, 3, 0.0, "me") or ()
    assert isinstance(shown_commands(reply, entries), list)


def test_slots_are_limited() -> None:
    slots = EnquirySlots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take()


def test_flood_of_stalls_is_limited_per_second() -> None:
    clock = ManualClock()
    slots = EnquirySlots(2, clock)

    def taken() -> int:
        count = 0
        while slots.take():
            slots.give_back()
            count += 1
        return count

    assert taken() == BURST
    clock.advance(2.0)
    assert taken() == 2 * ENQUIRIES_PER_SECOND
    clock.advance(1e6)
    assert taken() == BURST


async def test_earlier_spikes_of_an_event_are_read_too() -> None:
    """LATENCY LATEST has only the newest spike, which may be a small one after the stall."""
    ask = FakeAsk(LATENCY=[[b"aof-fsync-always", 1005, 120, 900], [b"fork", 1000, 50, 50]])
    ask.histories["aof-fsync-always"] = [[900, 1], [1000, 900], [1005, 120]]
    answers = await Questioner(ask, ManualClock()).enquire(1.0)
    events = {(event.name, event.at, event.milliseconds) for event in parse_latency(answers.replies["latency"])}
    assert ("aof-fsync-always", 1000.0, 900.0) in events
    assert ("fork", 1000.0, 50.0) in events
    assert ask.sent[-1] == ("LATENCY", "HISTORY", "aof-fsync-always")


async def test_long_histories_leave_the_newest_spike_of_each_event() -> None:
    """Three histories of 16 spikes are more than LATENCY LATEST has. A limit of 32 rows cut the newest spikes."""
    names = ("command", "aof-write", "fork", "aof-fsync-always")
    ask = FakeAsk(LATENCY=[[name.encode(), 2000, 500 + n, 900] for n, name in enumerate(names)])
    for name in names:
        ask.histories[name] = [[1000 + n, 900] for n in range(40)]
    answers = await Questioner(ask, ManualClock()).enquire(1.0)
    events = {(event.name, event.at, event.milliseconds) for event in parse_latency(answers.replies["latency"])}
    assert {(name, 2000.0, 500.0 + n) for n, name in enumerate(names)} <= events
    assert len([event for event in events if event[2] == 900]) == MAX_LATENCY_SPIKES


async def test_denied_history_is_missing_evidence_and_costs_nothing_else() -> None:
    ask = FakeAsk(LATENCY=[[b"fork", 1005, 1, 900]])
    ask.histories["fork"] = PermissionDeniedError("NOPERM")
    questioner = Questioner(ask, ManualClock())
    for _ in range(2):
        answers = await questioner.enquire(1.0)
        assert answers.missing == {"latency_history": "denied"}
        assert parse_latency(answers.replies["latency"])[0].milliseconds == 1
    assert ask.sent.count(("LATENCY", "HISTORY", "fork")) == 1


@given(st.recursive(st.none() | st.integers() | st.binary(max_size=8), st.lists, max_leaves=20))
async def test_odd_latency_events_never_raise(reply: object) -> None:
    answers = await Questioner(FakeAsk(LATENCY=reply), ManualClock()).enquire(1.0)
    assert isinstance(parse_latency(answers.replies["latency"]), tuple)


WHOLE_INFO = b"# Server\r\nrun_id:a\r\nused_cpu_user:1\r\ncmdstat_get:calls=1,usec=1\r\n"


def test_reply_of_a_poll_in_flight_is_evidence() -> None:
    polled = PolledReplies()
    polled.add(("INFO", "all"), WHOLE_INFO, 5.0)
    polled.add(("INFO", "all"), WHOLE_INFO, 7.0)
    polled.add(("SLOWLOG", "GET", 1), [ENTRY], 7.0)
    polled.add(("LATENCY", "LATEST"), [], 7.0)
    polled.add(("CONFIG", "GET", "*"), [], 7.0)
    answers = polled.complete(Answers(missing={"slowlog": "timeout"}), 6.0, number=2)
    assert answers.info is not None
    assert (answers.info.at, answers.missing) == (7.0, {})
    assert answers.replies == {"slowlog": [ENTRY], "latency": []}


def test_polled_reply_completes_an_answer_that_came_too_early() -> None:
    polled = PolledReplies()
    polled.add(("INFO",), WHOLE_INFO, 7.0)
    early = Answers(RawSnapshot(5.0, INFO), {"slowlog": []})
    assert polled.complete(early, 6.0, None).info == RawSnapshot(7.0, WHOLE_INFO)
    assert polled.complete(early, 4.0, None).info == early.info


def test_part_of_the_slow_log_is_no_evidence() -> None:
    """The newest entry alone would hide the one that explains the stall."""
    polled = PolledReplies()
    polled.add(("SLOWLOG", "GET", 1), [ENTRY], 7.0)
    assert "slowlog" not in polled.complete(Answers(), 6.0, number=1).replies
    assert "slowlog" not in polled.complete(Answers(), 6.0, number=None).replies
    polled.add(("SLOWLOG", "GET", 10), [ENTRY], 7.0)
    assert "slowlog" in polled.complete(Answers(), 6.0, number=None).replies


@given(st.lists(st.tuples(st.sampled_from([("SLOWLOG", "GET"), ("INFO",), ("LATENCY", "LATEST")]), ODD)))
def test_odd_polled_replies_never_raise(replies: list[tuple[Args, object]]) -> None:
    polled = PolledReplies()
    for args, reply in replies:
        polled.add(args, reply, 1.0)
    polled.complete(Answers(), 0.0, 3)
