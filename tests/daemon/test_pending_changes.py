"""A failed change is counted each time, logged once for each reason, and listed until it is done."""

import pytest

from redis_pulse.daemon.pending_changes import PendingChanges, Step
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.web import PendingChange


def test_failed_change_is_listed_until_done_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    counted: list[Step] = []
    pending = PendingChanges(counted.append)
    assert list(pending) == []
    for _ in range(3):
        pending.failed("a", "open", OperationTimeoutError("no answer in time"))
    pending.failed("a", "close", TimeoutError())
    assert counted == ["open", "open", "open", "close"]
    assert list(pending) == [
        PendingChange("a", "open", "timeout: no answer in time"),
        PendingChange("a", "close", "not done in time"),
    ]
    assert pending.has("open", "move")
    pending.done("a", "open", "move")
    assert not pending.has("open", "move")
    assert [change.step for change in pending] == ["close"]
    events = [record.msg["event"] for record in caplog.records]  # type: ignore[index]
    assert events == ["a change of a target failed"] * 2 + ["a change of a target is done"]


def test_new_reason_and_reason_after_a_success_are_new_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pending = PendingChanges(lambda _: None)
    pending.failed("a", "open", OSError(24, "Too many open files"))
    pending.failed("a", "open", RuntimeError("a fault"))
    pending.failed("a", "open", RuntimeError("a fault"))
    pending.done("a", "open")
    pending.failed("a", "open", RuntimeError("a fault"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "INFO", "ERROR"]


def test_text_of_a_foreign_exception_is_not_shown() -> None:
    """It may hold anything, even a password."""
    pending = PendingChanges(lambda _: None)
    pending.failed("a", "open", ValueError("redis://:hunter2@server"))
    assert [change.error for change in pending] == ["ValueError"]
