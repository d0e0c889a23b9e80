"""Split the name of a key into segments, and replace what varies by ``*``: ``user:17:cart``, ``user:*:cart``.

The strongest separator that a name contains splits it. Colon, slash, bar and hash are the strongest, then comes the
dot, then ``-`` and ``_``. Numbers, UUIDs, hashes, dates, addresses and random words become ``*``. So do bytes that
are not readable text. What varies but looks like words (names of people) is found by counting; see ``PatternTree``.
"""

import re
import sys

#: What stands for any text.
ANY = "*"
#: Bytes of a name that are read, segments that are kept apart, and characters of a segment that is shown.
MAX_NAME, MAX_SEGMENTS, MAX_SEGMENT = 256, 8, 40

_SEPARATORS = (re.compile(r"(?<=[:/|#])"), re.compile(r"(?<=\.)"), re.compile(r"(?<=[-_])"))
_STRONGEST = (re.compile(r"[:/|#]"), re.compile(r"\."), re.compile(r"[-_]"))
_SEPARATOR_CHARACTERS = ":/|#.-_"
#: What contains separators itself, and is therefore replaced before the name is split.
_WHOLE = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # UUID
    r"|\d{4}([-/:.])\d{2}\1\d{2}(?:[T_ ]\d{2}[:-]?\d{2}(?:[:-]?\d{2})?(?:\.\d{1,9})?Z?)?"  # date, and time
    r"|\d{1,3}(?:\.\d{1,3}){3}"  # address of a host
    r"|[^\s:/|#@]{1,64}@[^\s:/|#@]{1,255}",  # e-mail
    re.IGNORECASE,
)
_HASH = re.compile(
    r"(?<![a-z0-9])(?=[0-9a-f]{0,63}\d)[0-9a-f]{8,}(?![a-z0-9])|(?<![a-z0-9])[0-9a-f]{16,}", re.IGNORECASE
)
_DIGITS = re.compile(r"\d+(?:[.,-]\d+)*")
_STARS = re.compile(r"\*(?:[-_.+=*]*\*)+")
_WORD = re.compile(r"[A-Za-z0-9+=_-]{8,}")
_CHANGES = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=\d)|(?<=\d)(?=[A-Z])")


def segments_of(name: bytes) -> tuple[str, ...]:
    """Return the segments of a name, each with the separator at its end. The last one has none.

    >>> segments_of(b"user:17:profile"), segments_of(b"cart-9f86d081884c7d65"), segments_of(b"a.b@example.org/x")
    (('user:', '*:', 'profile'), ('cart-', '*'), ('*/', 'x'))
    """
    text = name[:MAX_NAME].decode("utf-8", errors="replace")
    text = _WHOLE.sub(ANY, text)
    kind = next((number for number, found in enumerate(_STRONGEST) if found.search(text)), None)
    parts = [text] if kind is None else _SEPARATORS[kind].split(text, maxsplit=MAX_SEGMENTS)
    if len(parts) > MAX_SEGMENTS or len(name) > MAX_NAME:
        parts = [*parts[: MAX_SEGMENTS - 1], ANY]
    # Many nodes and candidates of a tree hold the same few texts, so each text is stored once.
    return tuple(sys.intern(_general(part)) for part in parts if part) or (ANY,)


def separator_of(segment: str) -> str:
    """Return the separator at the end of a segment, or an empty text."""
    return segment[-1] if segment[-1] in _SEPARATOR_CHARACTERS else ""


def any_like(segment: str) -> str:
    """Return the segment that stands for any text with the same separator."""
    return ANY + separator_of(segment)


def _general(segment: str) -> str:
    """Return a segment with ``*`` in place of what varies."""
    end = separator_of(segment)
    body = segment[: len(segment) - len(end)]
    if not body:
        return segment
    if "\ufffd" in body or not body.isprintable() or len(body) > MAX_SEGMENT or _is_random(body):
        return ANY + end
    body = _DIGITS.sub(ANY, _HASH.sub(ANY, body))
    return _STARS.sub(ANY, body) + end


def _is_random(text: str) -> bool:
    """Return whether a text looks drawn at random: it often changes between letters, capitals and digits."""
    return bool(_WORD.fullmatch(text)) and len(_CHANGES.findall(text)) >= 3 and any(map(str.isdigit, text))
