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

#: Replaces a secret.
HIDDEN = "***"
#: Words in the names of secrets, as alternatives of a regular expression. The settings of servers use them too.
SENSITIVE_WORDS = "pass|pwd|phrase|auth|secret|token|cred|private|licen[cs]e|seed|salt|aclfile"
#: Names whose values are secret. User names are not hidden in logs: an event about permissions shows the user.
SENSITIVE_NAME = re.compile(rf"{SENSITIVE_WORDS}|key(?!space|s\b)|api[_-]?key", re.IGNORECASE)
#: Maximum characters of one value.
_MAX_LENGTH = 4000
#: Maximum items of a list or a dict.
_MAX_ITEMS = 50
#: Maximum depth of values inside values.
_MAX_DEPTH = 4
#: Everything before the last @ of a URL. Passwords can hold any characters, and in our own schemes even blanks.
_USERINFO = re.compile(r"((?:rediss?|valkeys?|unix)://)(?:(?!://).)+@|(://)(?:(?!://)\S)+@", re.IGNORECASE | re.DOTALL)
#: What stands before a secret in a text: ``password: x``, ``'token': 'x'``, ``auth=x``, ``api_key=x``.
#: But not ``auth: x`` and ``key: x``, as in "auth: timeout" and "KeyError: 'x'".
_BEFORE_SECRET = re.compile(
    rf"""(?:(?!auth)(?:{SENSITIVE_WORDS})[\w-]{{0,20}}["']?\s*[=:]|(?:auth|key(?!space|s\b))[\w-]{{0,20}}=)\s*""",
    re.IGNORECASE,
)
_SECRET = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&)\]}]+""")
#: A shorter secret can be a part of many words. Only whole words are compared with it.
_MIN_LENGTH = 8
#: Replaces a text in which even three stars would give the secret away.
WITHHELD = "the text of the server is not shown, because the password is a word in it"


def hide(text: str, secret: str | None) -> str:
    """Return a text of a server without ``secret``.

    A short secret is replaced only if it is a whole word: ``m`` is a letter of many words.
    Such a secret may be a normal word (``info``) or number. Then stars in the message would show which one,
    so the whole text is withheld. It is also withheld if an unusual secret is a part of another word.
    """
    if not secret or secret not in text:
        return text
    if len(secret) >= _MIN_LENGTH:
        return text.replace(secret, HIDDEN)
    is_common = secret.isalpha() or secret.isdigit()
    redacted, count = re.subn(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    if count and is_common:
        return WITHHELD
    return WITHHELD if secret in redacted.replace(HIDDEN, "") and not is_common else redacted


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
    if "@" in text:
        text = _USERINFO.sub(lambda match: f"{match[1] or match[2]}{HIDDEN}@", text)
    text = _hide_assigned(text)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


def _hide_assigned(text: str) -> str:
    """Return a text without the secrets that are assigned in it, also in ``key=password: x``."""
    parts: list[str] = []
    done = 0
    for prefix in _BEFORE_SECRET.finditer(text):
        start = prefix.end()
        if start >= done and (secret := _SECRET.match(text, start)):
            parts += (text[done:start], HIDDEN)
            done = secret.end()
    return "".join((*parts, text[done:]))


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
