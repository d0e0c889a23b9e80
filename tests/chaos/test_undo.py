"""Chaos undoes every event exactly once."""

from collections.abc import Callable, Generator

import pytest

from chaos.events import NotPossibleError
from chaos.plan import Step
from chaos.run import UndoLog

Begin = Callable[[Step], Generator[None, None, None]]


def step(kind: str = "kill", on: str = "redis") -> Step:
    return Step(kind, on, "", 0.0, 1.0, stays=False, pick=0)


@pytest.fixture
def actions() -> list[str]:
    return []


@pytest.fixture
def begin(actions: list[str]) -> Begin:
    def event(step: Step) -> Generator[None, None, None]:
        if step.kind == "impossible":
            raise NotPossibleError("no such server")
        actions.append(f"begin {step.subject}")
        yield
        if step.kind == "broken":
            raise RuntimeError("cannot be undone")
        actions.append(f"undo {step.subject}")

    return event


def test_event_is_undone_once(begin: Begin, actions: list[str]) -> None:
    undo = UndoLog(begin)
    undo.begin(step())
    assert undo.pending() == [step()]
    undo.end(step())
    undo.end(step())
    undo.undo_all()
    assert actions == ["begin redis", "undo redis"]
    assert undo.begun == [step()]


def test_remaining_events_are_undone_even_if_one_of_them_fails(begin: Begin, actions: list[str]) -> None:
    undo = UndoLog(begin)
    undo.begin(step("broken", "a"))
    undo.begin(step("kill", "b"))
    undo.undo_all()
    assert actions == ["begin a", "begin b", "undo b"]
    assert undo.pending() == []


def test_impossible_event_is_recorded_and_not_undone(begin: Begin, actions: list[str]) -> None:
    undo = UndoLog(begin)
    undo.begin(step("impossible"))
    undo.end(step("impossible"))
    assert actions == []
    assert undo.begun == []
    assert undo.not_done == [(step("impossible"), "no such server")]
