"""Hiding what must not be read. The last step before a line is rendered, so that nothing comes in behind it.

Secrets are kept out of events in the first place; this is the second wall, and rather hides too much than too little.

From a log record to one line of text: the order of the fields, exceptions, logfmt; JSON is structlog's.
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

HIDDEN = "***"
_LONGEST = 4000  # characters of one value
_MOST_ITEMS = 50  # of a list
_DEPTH = 4  # of a value inside a value
_NAME = re.compile(r"pass|pwd|auth|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
#: What stands before the last @ of a URL: passwords hold all sorts of characters, those of our own schemes even blanks.
_USERINFO = re.compile(r"((?:rediss?|valkeys?|unix)://)(?:(?!://).)+@|(://)(?:(?!://)\S)+@", re.IGNORECASE | re.DOTALL)
#: ``password: x``, ``'token': 'x'``, ``auth=x``; not ``auth: x``, as in "auth: timeout".
_ASSIGNED = re.compile(
    r"""((?:(?:pass|pwd|secret|token|credential)\w{0,20}["']?\s*[=:]|auth\w{0,20}=)\s*)("[^"]*"|'[^']*'|[^\s,;&)\]}]+)""",
    re.IGNORECASE,
)
#: A secret of fewer characters may be a part of any word: it is looked for as a whole word only.
_SHORT = 8
#: What is said instead of a text in which not even three stars are safe.
WITHHELD = "the text of the server is not shown, for the password is a word of it"


def hide(text: str, secret: str | None) -> str:
    """Return a text of a server without ``secret``.

    A short secret is blanked as a whole word only: ``m`` is a letter of many words. Where such a secret could itself be
    a word of the message (``info``) or a number in it, the stars would tell which one: then the text is withheld. It is
    also withheld where an uncommon secret is a part of another word.
    """
    if not secret or secret not in text:
        return text
    if len(secret) >= _SHORT:
        return text.replace(secret, HIDDEN)
    is_common = secret.isalpha() or secret.isdigit()
    blanked, words = re.subn(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    if words and is_common:
        return WITHHELD
    return WITHHELD if secret in blanked.replace(HIDDEN, "") and not is_common else blanked


def redact(_logger: object, _method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Hide values under a name that sounds like a secret, and secrets inside of text, as deep as values go.

    What is left consists of text, numbers, truth values, None, lists and dicts: any renderer can write it.
    """
    return {_text(key): _value(key, value, _DEPTH) for key, value in fields.items()}


def _value(name: object, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _NAME.search(str(name)):
        return HIDDEN
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth and isinstance(value, Mapping):
        pairs = islice(value.items(), _MOST_ITEMS)
        shown: dict[str, object] = {_text(key): _value(key, inner, depth - 1) for key, inner in pairs}
        return shown if len(value) <= _MOST_ITEMS else shown | {"…": len(value) - _MOST_ITEMS}
    if depth and isinstance(value, list | tuple | set | frozenset):
        items = [_value("", inner, depth - 1) for inner in islice(value, _MOST_ITEMS)]
        return items if len(value) <= _MOST_ITEMS else [*items, f"… and {len(value) - _MOST_ITEMS} more"]
    return _text(value)


def _text(value: object) -> str:
    try:
        text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception as error:  # noqa: BLE001  an event must not get lost because of what it tells
        return f"<{type(value).__name__}: {type(error).__name__}>"
    if "@" in text:
        text = _USERINFO.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}@", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_FRAMES = 12  # of one traceback, the innermost
_CAUSES = 5  # of one exception, and members of a group
_FIRST = ("timestamp", "level", "logger", "event")
_NO_KEY = re.compile(r"[^\w.-]+")
_BARE = re.compile(r"[^\s\"=\\\x00-\x1f]+")
#: What some readers take for the end of a line, or a terminal for a command, and JSON lets pass.
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def order_fields(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> dict[str, Any]:
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
        line["exception"] = _format_exception(
            TracebackException.from_exception(error, limit=-_FRAMES, lookup_lines=False), _CAUSES
        )
    return line


def _format_exception(error: TracebackException, causes: int) -> str:
    """Tell an exception with its causes in one line: ``KeyError: 'x' (app.py:12 main > info.py:40 collect)``."""
    text = " ".join("".join(error.format_exception_only()).split())
    if error.stack:
        frames = (f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in error.stack)
        text += f" ({' > '.join(frames)})"
    if error.exceptions:
        text += f" [{'; '.join(_format_exception(member, 1) for member in error.exceptions[:_CAUSES])}]"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause and causes > 1:
        text += f" caused by {_format_exception(cause, causes - 1)}"
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
