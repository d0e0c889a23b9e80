"""Turn a log record into the text of one line: order the fields, hide secrets, and render logfmt or JSON.

``order_fields`` formats an exception, ``redact`` hides secrets, and ``logfmt`` renders. structlog renders JSON.
Callers keep secrets out of their events. ``redact`` is the second defence, so in doubt it hides a value.
It runs directly before the rendering, so no field is added after it.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from itertools import islice
from traceback import TracebackException
from typing import Any

from redis_pulse.masking import HIDDEN, SENSITIVE_NAME, mask

#: Maximum characters of one value.
_MAX_LENGTH = 4000
#: Maximum items of a list or a dict.
_MAX_ITEMS = 50
#: Maximum depth of values inside values.
_MAX_DEPTH = 4


def redact(_logger: object, _method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without secrets: values of secret names, and secrets in texts, also inside other values.

    The result has only texts, numbers, booleans, None, lists and dicts, which every renderer can write.
    """
    return {_text(key): _value(key, value, _MAX_DEPTH) for key, value in fields.items()}


def _value(name: object, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if SENSITIVE_NAME.search(str(name)):
        return HIDDEN
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth and isinstance(value, Mapping):
        pairs = islice(value.items(), _MAX_ITEMS)
        shown: dict[str, object] = {_text(key): _value(key, inner, depth - 1) for key, inner in pairs}
        return shown if len(value) <= _MAX_ITEMS else shown | {"…": len(value) - _MAX_ITEMS}
    if depth and isinstance(value, list | tuple | set | frozenset):
        items = [_value("", inner, depth - 1) for inner in islice(value, _MAX_ITEMS)]
        return items if len(value) <= _MAX_ITEMS else [*items, f"… and {len(value) - _MAX_ITEMS} more"]
    return _text(value)


def _text(value: object) -> str:
    try:
        text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception as error:  # noqa: BLE001  a value that cannot be shown must not lose the event
        return f"<{type(value).__name__}: {type(error).__name__}>"
    text = mask(text[: 4 * _MAX_LENGTH])
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


#: Maximum frames of one traceback. The innermost are kept.
_MAX_FRAMES = 12
#: Maximum causes of one exception, and maximum members of a group.
_MAX_CAUSES = 5
_FIRST_FIELDS = ("timestamp", "level", "logger", "event")
_INVALID_IN_KEY = re.compile(r"[^\w.-]+")
_UNQUOTED = re.compile(r"[^\s\"=\\\x00-\x1f]+")
#: Characters that JSON allows. Some readers take them for the end of a line, or a terminal for a command.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def order_fields(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Return the fields with time, level, logger and event first. The exception is last, as a text of one line."""
    record: logging.LogRecord = fields.pop("_record")
    exc_info = fields.pop("exc_info", None)
    timestamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line = {
        "timestamp": timestamp.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": fields.get("event", ""),
    }
    skipped = (*_FIRST_FIELDS, "_from_structlog", "stack_info")
    line.update((key, value) for key, value in fields.items() if key not in skipped)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        line["exception"] = _format_exception(
            TracebackException.from_exception(error, limit=-_MAX_FRAMES, lookup_lines=False), _MAX_CAUSES
        )
    return line


def _format_exception(error: TracebackException, max_causes: int) -> str:
    """Return an exception and its causes in one line: ``KeyError: 'x' (app.py:12 main > info.py:40 collect)``."""
    text = " ".join("".join(error.format_exception_only()).split())
    if error.stack:
        frames = (f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in error.stack)
        text += f" ({' > '.join(frames)})"
    if error.exceptions:
        text += f" [{'; '.join(_format_exception(member, 1) for member in error.exceptions[:_MAX_CAUSES])}]"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause and max_causes > 1:
        text += f" caused by {_format_exception(cause, max_causes - 1)}"
    return text


def logfmt(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
    """Return ``key=value`` pairs. A value with blanks, quotes or control characters is quoted as in JSON."""
    return " ".join(f"{_INVALID_IN_KEY.sub('_', key)}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not _UNQUOTED.fullmatch(text) or _BREAKS.search(text):
        text = json.dumps(text, ensure_ascii=False)
    return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
