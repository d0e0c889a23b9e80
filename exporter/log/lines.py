"""From a log record to one line of text: the order of the fields, exceptions, logfmt; JSON is structlog's."""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from traceback import TracebackException
from typing import Any

_FRAMES = 12  # of one traceback, the innermost
_CAUSES = 5  # of one exception, and members of a group
_FIRST = ("timestamp", "level", "logger", "event")
_NO_KEY = re.compile(r"[^\w.-]+")
_BARE = re.compile(r"[^\s\"=\\\x00-\x1f]+")
#: What some readers take for the end of a line, or a terminal for a command, and JSON lets pass.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def line_up(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Put time, level, logger and event first, and the exception last, in one line."""
    record: logging.LogRecord = fields.pop("_record")
    exc_info = fields.pop("exc_info", None)
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line = {
        "timestamp": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": fields.get("event", ""),
    }
    line.update((key, value) for key, value in fields.items() if key not in (*_FIRST, "_from_structlog", "stack_info"))
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        line["exception"] = _told(TracebackException.from_exception(error, limit=-_FRAMES, lookup_lines=False), _CAUSES)
    return line


def _told(error: TracebackException, causes: int) -> str:
    """Tell an exception with its causes in one line: ``KeyError: 'x' (app.py:12 main > info.py:40 collect)``."""
    text = " ".join("".join(error.format_exception_only()).split())
    if error.stack:
        frames = (f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in error.stack)
        text += f" ({' > '.join(frames)})"
    if error.exceptions:
        text += f" [{'; '.join(_told(member, 1) for member in error.exceptions[:_CAUSES])}]"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause and causes > 1:
        text += f" caused by {_told(cause, causes - 1)}"
    return text


def logfmt(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
    """Render ``key=value`` pairs; a value with blanks, quotes or control characters is quoted as in JSON."""
    return " ".join(f"{_NO_KEY.sub('_', key)}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not _BARE.fullmatch(text) or _BREAKS.search(text):
        text = json.dumps(text, ensure_ascii=False)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
