"""Structured logs: one event is one line, in logfmt or JSON, without secrets.

    log = get("client")                         # at the top of a module
    log.warning("lost", target=name, reason=error.reason)

    timestamp=2026-01-31T12:00:00.123Z level=warning logger=exporter.client event=lost target=cart reason=reset

One handler writes our own events from the configured level on, and those of libraries from WARNING on.
In the daemon a thread writes the lines (``start``), so a stalled reader of the log stops nothing else.
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

#: The name of our root logger.
_ROOT = "exporter"
#: Levels of libraries. APScheduler warns of each run that it missed or skipped. We count and publish them instead.
#: Those of clouds warn at each renewal of a login that fails, with long texts. We log it once.
_LIBRARY_LEVELS = {
    "apscheduler": logging.ERROR,
    **dict.fromkeys(("azure", "botocore", "google", "msal", "urllib3"), logging.CRITICAL),
}


class Logger(Protocol):
    """A logger as ``get`` returns it. ``exc_info=True`` or ``exc_info=error`` adds a field ``exception``."""

    def bind(self, **fields: object) -> "Logger":
        """Return a logger that adds these fields to every event."""
        ...

    def debug(self, event: str, **fields: object) -> None:
        """Log a detail that helps to find a fault."""
        ...

    def info(self, event: str, **fields: object) -> None:
        """Log an improvement of a target, or a change of the daemon itself."""
        ...

    def warning(self, event: str, **fields: object) -> None:
        """Log a problem of a target, or a wrong setting."""
        ...

    def error(self, event: str, **fields: object) -> None:
        """Log a fault of the exporter, or a reason why it cannot continue."""
        ...

    def exception(self, event: str, **fields: object) -> None:
        """Log an error together with the exception that is being handled."""
        ...


def get(name: str) -> Logger:
    """Return the logger of a package, such as ``client``. It works before ``setup``, and follows every ``setup``."""
    logger = logging.getLogger(name if name.partition(".")[0] == _ROOT else f"{_ROOT}.{name}")
    chain: list[Any] = [structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    # The logger can be cached, because it uses nothing of structlog's global configuration.
    # setup() changes only the loggers of the standard library.
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
    """Send all logs of the process to ``stream``, by default standard error. May be called again.

    ``level`` is one of ``LEVELS``, in upper or lower case. Raises ValueError for another level or format.
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
    logging.getLogger(_ROOT).setLevel(level.upper())
    for library, library_level in _LIBRARY_LEVELS.items():
        logging.getLogger(library).setLevel(library_level)
    logging.captureWarnings(capture=True)


#: Seconds that the daemon waits for the reader of its log when it stops.
_FLUSH_TIMEOUT = 0.5
#: Seconds that a line waits for the reader without a thread, before the daemon runs and after it has stopped.
_WRITE_TIMEOUT = 1.0
_writer: LogWriter | None = None


def start(on_dropped: Callable[[int], None]) -> Callable[[], None]:
    """Write from a thread from now on. ``on_dropped(count)`` is called for lines that the reader was too slow for.

    Return a function that ends this. It waits a short time until the queued lines are written.
    """
    global _writer  # noqa: PLW0603  # a process has one log, as in the standard library
    _writer = writer = LogWriter(on_dropped)

    def stop() -> None:
        global _writer  # noqa: PLW0603
        if _writer is writer:
            _writer = None
        writer.stop(_FLUSH_TIMEOUT)

    return stop


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. If a line cannot be formatted, its arguments stay hidden; the standard handler prints them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  # the arguments of an event may raise anything
            line = f"level=error logger={_ROOT}.log event=unwritable from={record.name} error={type(error).__name__}"
        if (writer := _writer) is not None:
            writer.write(self.stream, f"{line}\n")
        else:
            put(self.stream, f"{line}\n", _WRITE_TIMEOUT)

    def flush(self) -> None:
        """Do nothing. No line is buffered, and a flush of the stream could wait for its reader."""


class StateChangeFilter:
    """Lets a state be logged once: ``if changes.changed((target, "breaker"), state): log.warning(…)``.

    It remembers the states of ``max_keys`` keys, and drops the key that was passed longest ago.
    """

    __slots__ = ("_max_keys", "_states")

    def __init__(self, max_keys: int = 10_000) -> None:
        self._max_keys = max_keys
        self._states: dict[Hashable, Hashable] = {}

    def changed(self, key: Hashable, state: Hashable) -> bool:
        """Return whether the state of ``key`` differs from the last call. The first call for a key is a change."""
        changed = key not in self._states or self._states[key] != state
        self._states.pop(key, None)
        self._states[key] = state
        if len(self._states) > self._max_keys:
            del self._states[next(iter(self._states))]
        return changed

    def forget(self, key: Hashable) -> None:
        """Drop the state of a key that is not used any more."""
        self._states.pop(key, None)
