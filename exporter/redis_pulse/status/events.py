"""What happened: a bounded log of events for each target, and all of them in order."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from redis_pulse.status.states import TargetState

#: Events that are kept: of one target, and of all targets and the exporter itself.
MAX_EVENTS_PER_TARGET, MAX_EVENTS = 40, 5000
#: Characters of the text of an event.
MAX_TEXT = 120


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One event. ``target`` is empty for an event of the exporter. ``at`` is Unix time."""

    at: float
    target: str
    #: ``state``, ``breaker``, ``stall``, ``server`` or ``reload``
    kind: str
    #: safe to show
    text: str
    #: the state that begins, or None
    state: TargetState | None = None


@dataclass(slots=True)
class TargetEvents:
    """The numbers of the events of one target, the oldest first."""

    name: str
    numbers: list[int] = field(default_factory=list)  # a deque would take 700 bytes more


class EventLog:
    """All events. A target that changes all the time displaces only its own."""

    def __init__(self, *, most: int = MAX_EVENTS, most_per_target: int = MAX_EVENTS_PER_TARGET) -> None:
        self._most, self._most_per_target = most, most_per_target
        self._events: OrderedDict[int, tuple[StatusEvent, TargetEvents]] = OrderedDict()
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, owner: TargetEvents, at: float, kind: str, text: str, state: TargetState | None = None) -> None:
        """Keep an event of a target. Its oldest event goes if it has too many."""
        event = StatusEvent(at, owner.name, kind, text[:MAX_TEXT], state)
        if len(owner.numbers) >= self._most_per_target:
            del self._events[owner.numbers.pop(0)]
        elif len(self._events) >= self._most:
            _, (_, oldest) = self._events.popitem(last=False)
            oldest.numbers.pop(0)
        number = next(self._numbers)
        owner.numbers.append(number)
        self._events[number] = (event, owner)

    def of(self, owner: TargetEvents) -> list[StatusEvent]:
        """Return the events of a target, the newest first."""
        return [self._events[number][0] for number in reversed(owner.numbers)]

    def newest(self, since: float) -> Iterator[StatusEvent]:
        """Yield the events of all targets, the newest first, down to a time."""
        for event, _ in reversed(self._events.values()):
            if event.at < since:
                return
            yield event

    def forget(self, owner: TargetEvents) -> None:
        """Drop the events of a target that is not monitored any more."""
        for number in owner.numbers:
            del self._events[number]
        owner.numbers.clear()
