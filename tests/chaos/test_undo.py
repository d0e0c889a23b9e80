"""Every event of chaos that was begun is undone exactly once."""

from collections.abc import Callable, Generator

import pytest

from chaos.events import NotPossibleError
from chaos.plan import Step
from chaos.run import Undo

Begin = Callable[[Step], Generator[None, None, None]]


def step(kind: str = "kill", on: str = "redis") -> Step:
    return Step(kind, on, "", 0.0, 1.0, stays=False, pick=0)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def begin(told: list[str]) -> Begin:
    def event(one: Step) -> Generator[None, None, None]:
        if one.kind == "impossible":
            raise NotPossibleError("there is no such thing here")
        told.append(f"begin {one.on}")
        yield
        if one.kind == "broken":
            raise RuntimeError("cannot be undone")
        told.append(f"undo {one.on}")

    return event


def test_an_event_is_undone_once(begin: Begin, told: list[str]) -> None:
    undo = Undo(begin)
    undo.begin(step())
    assert undo.pending() == [step()]
    undo.end(step())
    undo.end(step())
    undo.everything()
    assert told == ["begin redis", "undo redis"]
    assert undo.begun == [step()]


def test_what_is_left_is_undone_at_the_end_though_one_of_it_fails(begin: Begin, told: list[str]) -> None:
    undo = Undo(begin)
    undo.begin(step("broken", "a"))
    undo.begin(step("kill", "b"))
    undo.everything()
    assert told == ["begin a", "begin b", "undo b"]
    assert undo.pending() == []


def test_an_event_that_cannot_be_done_is_told_and_not_undone(begin: Begin, told: list[str]) -> None:
    undo = Undo(begin)
    undo.begin(step("impossible"))
    undo.end(step("impossible"))
    assert told == []
    assert undo.begun == []
    assert undo.not_now == [(step("impossible"), "there is no such thing here")]
