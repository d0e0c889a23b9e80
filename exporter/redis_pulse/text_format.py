"""Spelling of the text format: numbers, labels, lines and headers. Text format 0.0.4 and OpenMetrics 1.0 spell alike.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

#: Whole numbers below this limit are written without a decimal point.
_MAX_WHOLE = 10**15
#: Bytes of a written label value, with its escapes. No line has more than ``MAX_LINE_BYTES``.
MAX_VALUE_BYTES, MAX_LINE_BYTES = 256, 4096
#: Bytes of the labels of one line apart from ``target``. The rest is for the name, the target, the edge and the number.
_MAX_LABELS_BYTES = 3300
#: Labels of a target that are shown. Further ones are left out.
_MAX_LABELS = 30
#: Characters that are not shown: control characters apart from the line feed, and marks of direction. Also separators
#: of lines, and surrogates, which have no encoding.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_DIGEST_BYTES = 4
#: Characters of a help text. An operator writes those of the metrics of scripts.
_MAX_HELP_LENGTH = 1000


class ChangedValues:
    """Counts the label values that were cut or cleaned, since the start of the process."""

    count = 0


def escape_label_value(text: str, limit: int = MAX_VALUE_BYTES) -> str:
    """Return a label value with backslashes, line feeds and quotes escaped.

    Every label on the page passes through here. Control characters and marks of direction become U+FFFD. A value of
    more than ``limit`` bytes is cut. Then ``…`` and a digest of the whole value are its end, so different values stay
    different.
    """
    if len(text) <= limit // 4 or (len(text) <= limit and text.isascii()):
        if text.isprintable() and "\\" not in text and '"' not in text:
            return text  # nearly all values
    elif len(text) > limit:
        ChangedValues.count += 1
        return _cut(_escape(_UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text[:limit])), limit, text)
    cleaned, changes = _UNSAFE.subn("\N{REPLACEMENT CHARACTER}", text)
    escaped = _escape(cleaned)
    is_cut = len(escaped.encode()) > limit
    ChangedValues.count += bool(changes) or is_cut
    return _cut(escaped, limit, text) if is_cut else escaped


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _cut(escaped: str, limit: int, whole: str) -> str:
    """Return the beginning of an escaped value, then ``…`` and the digest of the whole value: at most ``limit`` bytes.

    Neither a character nor an escape is cut into two parts.
    """
    digest = blake2b(whole.encode("utf-8", errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    start = escaped.encode()[: limit - len("…".encode()) - len(digest)].decode(errors="ignore")
    if (len(start) - len(start.rstrip("\\"))) % 2:
        start = start[:-1]
    return f"{start}…{digest}"


@lru_cache(maxsize=1000)
def max_value_bytes(names: tuple[str, ...]) -> int:
    """Return how many bytes each value of these labels may have, so that a line stays within its limit."""
    if not names:
        return MAX_VALUE_BYTES
    return min(MAX_VALUE_BYTES, (_MAX_LABELS_BYTES - sum(len(name) + 4 for name in names)) // len(names))


def render_label(name: str, value: str) -> str:
    """Return one label, such as ``target="cart"``."""
    return f'{name}="{escape_label_value(value)}"'


def render_labels(labels: Mapping[str, str]) -> list[str]:
    """Return labels whose names an operator or an inventory chose. What does not fit into a line is left out."""
    names = [name for name in labels if len(name) <= _MAX_LABELS_BYTES // _MAX_LABELS - 40][:_MAX_LABELS]
    ChangedValues.count += len(labels) - len(names)
    limit = max_value_bytes(tuple(names))
    return [f'{name}="{escape_label_value(labels[name], limit)}"' for name in names]


def format_number(value: float) -> str:
    """Return the shortest text that reads back as the same float."""
    if type(value) is int and -_MAX_WHOLE < value < _MAX_WHOLE:
        return str(value)  # most numbers of the exporter itself
    value = float(value)
    text = repr(value)
    if text[-2:] == ".0":
        return (text[:-2] if value else "0") if -_MAX_WHOLE < value < _MAX_WHOLE else text
    if text[-1] in "fn":
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return text


def clean_help(text: str) -> str:
    """Return a help text of limited length without control characters. Nothing is escaped."""
    return _UNSAFE.sub(" ", text[:_MAX_HELP_LENGTH])


def family_header(name: str, kind: str, text: str, *, openmetrics: bool) -> bytes:
    """Return the HELP and TYPE lines of a family. ``name`` is the name that its samples have.

    OpenMetrics names a counter family without the suffix ``_total``, and every counter must have that suffix.
    An established name without the suffix (``redis_total_error_replies``) gets type ``unknown`` there.
    """
    text = clean_help(text).replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        text = text.replace('"', r"\"")
        if kind == "counter":
            name, kind = (name[:-6], kind) if name.endswith("_total") else (name, "unknown")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()
