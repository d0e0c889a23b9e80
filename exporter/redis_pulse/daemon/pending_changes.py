"""Changes of the targets that failed and are tried again: counted, logged once a cause, and shown in ``/health``."""

from collections.abc import Callable, Iterator
from typing import Literal

from redis_pulse import log
from redis_pulse.errors import TargetError
from redis_pulse.web import PendingChange

Step = Literal["open", "move", "close"]


class PendingChanges:
    """What is still to be done. ``count(step)`` is told of every failure."""

    def __init__(self, count: Callable[[Step], None]) -> None:
        self._count = count
        self._changes: dict[tuple[str, Step], str] = {}
        self._log = log.get("fleet")
        self._noted = log.StateChangeFilter()

    def __iter__(self) -> Iterator[PendingChange]:
        for (target, step), error in tuple(self._changes.items()):
            yield PendingChange(target, step, error)

    def has(self, *steps: Step) -> bool:
        """Whether one of these steps is still to be done for some target."""
        return any(step in steps for _, step in self._changes)

    def failed(self, target: str, step: Step, error: Exception) -> None:
        """Take note of a step that failed."""
        self._count(step)
        why = _in_words(error)
        self._changes[target, step] = why
        if not self._noted.changed((target, step), why):
            return
        fields = {"target": target, "step": step, "error": why}
        if isinstance(error, TargetError | OSError):
            self._log.warning("a change of a target failed", **fields)
        else:
            self._log.error("a change of a target failed", exc_info=error, **fields)

    def done(self, target: str, *steps: Step) -> None:
        """Take note of steps that are done, or not wanted any more."""
        for step in steps:
            if self._changes.pop((target, step), None) is not None:
                self._log.info("a change of a target is done", target=target, step=step)
            self._noted.forget((target, step))


def _in_words(error: Exception) -> str:
    """Return a text that holds no secret: an exception of another library may hold anything."""
    if isinstance(error, TargetError):
        return f"{error.reason}: {error}"
    if isinstance(error, TimeoutError):
        return "not done in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
