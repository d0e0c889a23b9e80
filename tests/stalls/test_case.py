"""How replies of a server become the evidence of one stall."""

import pytest

from redis_pulse.stalls.case import StallCase
from redis_pulse.stalls.detector import Episode
from redis_pulse.stalls.enquiry import Answers
from redis_pulse.stalls.evidence import Evidence
from redis_pulse.stalls.snapshots import RawSnapshot

OFFSET = 1_700_000_000


def snapshot(at: float, server_time: float) -> RawSnapshot:
    raw = f"# Server\r\nrun_id:{'a' * 40}\r\nserver_time_usec:{round((OFFSET + server_time) * 1e6)}\r\n"
    return RawSnapshot(at, raw.encode(), -1)


def case(answers: Answers | None, seconds: float = 1.0) -> StallCase:
    episode = Episode(100.0, seconds, 100.0, slow=1, ended=101.5, ended_by="reply")
    return StallCase(1, episode, float(OFFSET), snapshot(99.5, 99.5), None, 0, answers=answers)


@pytest.mark.parametrize(
    ("reply", "milliseconds"),
    [
        ([b"latency-monitor-threshold", b"100"], 100),
        ([b"latency-monitor-threshold", b"0"], 0),
        ([b"latency-monitor-threshold", b"x"], None),
        ([], None),
        (None, None),
    ],
)
def test_threshold_of_the_latency_monitor_is_read(reply: object, milliseconds: int | None) -> None:
    """Servers send numbers of CONFIG GET as text."""
    answers = Answers(snapshot(101.0, 101.0), {"latency_threshold": reply})
    evidence = case(answers).evidence(0.1, lambda _begin, _end: 0.0, 102.0)
    assert evidence.latency_threshold == milliseconds


@pytest.mark.parametrize(
    ("at", "server_time", "seconds", "early"),
    [
        (101.0, 101.0, 1.0, False),
        (101.0, 100.95, 1.0, False),
        (101.0, 100.6, 1.0, True),
        (104.0, 103.8, 4.0, False),
    ],
    ids=["at once", "a little", "0.4 s of 1 s", "0.2 s of 4 s"],
)
def test_answer_is_early_if_something_ran_before_its_reply_was_sent(
    at: float, server_time: float, seconds: float, early: bool
) -> None:
    """Replies of one turn of the event loop leave together. A script of another client may run in between."""
    assert case(Answers(snapshot(at, server_time)), seconds).was_answered_early() is early


def test_evidence_is_what_a_record_keeps_of_it() -> None:
    """A cause that follows from more than the record holds could not be checked again."""
    rows = [[number, OFFSET + 101, 50_000, [b"SMEMBERS", b"key"], b"", b""] for number in range(200)]
    evidence = case(Answers(snapshot(101.0, 101.0), {"slowlog": rows})).evidence(0.1, lambda _begin, _end: 0.0, 102.0)
    assert len(evidence.slow_entries or ()) == 32
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_missing_answer_is_not_early() -> None:
    assert not case(None).was_answered_early()
    assert not case(Answers(RawSnapshot(101.0, b"run_id:x\r\n"))).was_answered_early()
