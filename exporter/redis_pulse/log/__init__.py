"""Logs: one event is one line, in logfmt or JSON, and no secret is in it.

    log = get("client")                         # at the top of a module
    log.warning("lost", target=name, reason=error.reason)

    timestamp=2026-01-31T12:00:00.123Z level=warning logger=exporter.client event=lost target=cart reason=reset

Everything passes through one handler: our own events from the level that is set on, those of libraries from WARNING on.
The daemon writes them from a thread (``start``), so that a reader of the log that hangs harms nothing else.
"""

import logging
import sys
from collections.abc import Callable, Hashable
from typing import Any, Literal, Protocol, TextIO, cast

import structlog

from redis_pulse.log.processors import logfmt, order_fields, redact
from redis_pulse.log.writer import LogWriter, put

Format = Literal["logfmt", "json"]
FORMATS: tuple[Format, ...] = ("logfmt", "json")
LEVELS = ("debug", "info", "warning", "error", "critical")

_OURS = "exporter"
#: The scheduler warns of each firing that it missed or skipped, a line each: we count and publish them instead.
_QUIET = {"apscheduler": logging.ERROR}


class Logger(Protocol):
    """What ``get`` returns. ``exc_info=True`` or ``exc_info=error`` adds a field ``exception``."""

    def bind(self, **fields: object) -> "Logger":
        """Make a logger that adds these fields to every event."""
        ...

    def debug(self, event: str, **fields: object) -> None:
        """Log what only someone who looks for a fault wants to see."""
        ...

    def info(self, event: str, **fields: object) -> None:
        """Log a change for the good, or of ourselves."""
        ...

    def warning(self, event: str, **fields: object) -> None:
        """Log a change for the worse of a target, or a setting that is not right."""
        ...

    def error(self, event: str, **fields: object) -> None:
        """Log a fault of our own, or that we cannot go on."""
        ...

    def exception(self, event: str, **fields: object) -> None:
        """Log an error together with the exception that is being handled."""
        ...


def get(name: str) -> Logger:
    """Get the logger of a room, such as ``client``; works before ``setup`` and follows every later one."""
    logger = logging.getLogger(name if name.partition(".")[0] == _OURS else f"{_OURS}.{name}")
    chain: list[Any] = [structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    # Nothing of structlog's global configuration is used, so the logger can be cached for good: what changes with
    # setup() hangs on the standard library's loggers.
    return cast(
        "Logger",
        structlog.wrap_logger(
            logger,
            processors=chain,
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=True,
        ),
    )


def setup(level: str = "info", format: Format = "logfmt", stream: TextIO | None = None) -> None:  # noqa: A002
    """Send all logs of the process to ``stream`` (standard error unless given). May be called again.

    ``level`` is one of ``LEVELS``, in any case. Raises ValueError for another level or format.
    """
    level = level.lower()
    if level not in LEVELS:
        raise ValueError(f"log level {level!r}: allowed are {', '.join(LEVELS)}")
    if format not in FORMATS:
        raise ValueError(f"log format {format!r}: allowed are {', '.join(FORMATS)}")
    render = structlog.processors.JSONRenderer() if format == "json" else logfmt
    handler = _Handler(stream if stream is not None else sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[order_fields, redact, render]))
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    for library, least in _QUIET.items():
        logging.getLogger(library).setLevel(least)
    logging.captureWarnings(capture=True)


#: Seconds for which the end of the daemon waits for the reader of its log.
_FLUSH = 0.5
#: Seconds for which a line waits for the reader where there is no thread: before the daemon runs, and at its end.
_PATIENCE = 1.0
_writer: LogWriter | None = None


def start(on_dropped: Callable[[int], None]) -> Callable[[], None]:
    """Write from a thread from now on; ``on_dropped(count)`` is told of lines for which the reader was too slow.

    Returns what ends that: it waits for a short time until what is queued is written.
    """
    global _writer  # noqa: PLW0603  # there is one log in a process, as logging has it
    _writer = writer = LogWriter(on_dropped)

    def stop() -> None:
        global _writer  # noqa: PLW0603
        if _writer is writer:
            _writer = None
        writer.stop(_FLUSH)

    return stop


class _Handler(logging.StreamHandler[TextIO]):
    """A line that cannot be written must not bring its arguments to light, as the standard handler does."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  # whatever the arguments of an event raise
            line = f"level=error logger={_OURS}.log event=unwritable from={record.name} error={type(error).__name__}"
        if (writer := _writer) is not None:
            writer.write(self.stream, f"{line}\n")
        else:
            put(self.stream, f"{line}\n", _PATIENCE)

    def flush(self) -> None:
        """Nothing is held back: a flush of the stream could wait for its reader."""


class StateChangeFilter:
    """Says a state once: ``if changes.note((target, "breaker"), state): log.warning(…)``.

    The states of at most ``most`` keys are remembered; the one that was noted longest ago goes first.
    """

    __slots__ = ("_most", "_states")

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._states: dict[Hashable, Hashable] = {}

    def changed(self, key: Hashable, state: Hashable) -> bool:
        """Whether ``key`` is in another state than noted before; the first note of a key is a change too."""
        changed = key not in self._states or self._states[key] != state
        self._states.pop(key, None)
        self._states[key] = state
        if len(self._states) > self._most:
            del self._states[next(iter(self._states))]
        return changed

    def forget(self, key: Hashable) -> None:
        """Forget a key, because what it stands for is gone."""
        self._states.pop(key, None)
