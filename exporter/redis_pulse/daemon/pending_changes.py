"""Changes of targets that failed and will be retried. They are counted, logged, and shown on ``/health``."""

from collections.abc import Callable, Iterator
from typing import Literal

from redis_pulse import log
from redis_pulse.errors import TargetError
from redis_pulse.web import PendingChange

Step = Literal["open", "move", "close"]


class PendingChanges:
    """The steps that are still to be done. ``on_failure(step)`` is called for every failure."""

    def __init__(self, on_failure: Callable[[Step], None]) -> None:
        self._on_failure = on_failure
        self._changes: dict[tuple[str, Step], str] = {}
        self._log = log.get("fleet")
        self._logged = log.StateChangeFilter()

    def __iter__(self) -> Iterator[PendingChange]:
        for (target, step), error in tuple(self._changes.items()):
            yield PendingChange(target, step, error)

    def has(self, *steps: Step) -> bool:
        """Return whether one of these steps is still to be done for any target."""
        return any(step in steps for _, step in self._changes)

    def failed(self, target: str, step: Step, error: Exception) -> None:
        """Record a step that failed. Log it if it failed for another reason before, or never."""
        self._on_failure(step)
        reason = _describe(error)
        self._changes[target, step] = reason
        if not self._logged.changed((target, step), reason):
            return
        fields = {"target": target, "step": step, "error": reason}
        if isinstance(error, TargetError | OSError):
            self._log.warning("a change of a target failed", **fields)
        else:
            self._log.error("a change of a target failed", exc_info=error, **fields)

    def done(self, target: str, *steps: Step) -> None:
        """Record steps that are done or no longer wanted."""
        for step in steps:
            if self._changes.pop((target, step), None) is not None:
                self._log.info("a change of a target is done", target=target, step=step)
            self._logged.forget((target, step))


def _describe(error: Exception) -> str:
    """Return a text without secrets. The text of a foreign exception may hold one, so only its type is shown."""
    if isinstance(error, TargetError):
        return f"{error.reason}: {error}"
    if isinstance(error, TimeoutError):
        return "not done in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
