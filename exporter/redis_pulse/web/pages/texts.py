"""How pages write times, numbers, and the texts of others. Nothing of others can change a page.

``visible`` escapes a text, and shows characters that cannot be seen as their number in a box.
"""

import re
import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup, escape

MAX_TEXT, MAX_NAME = 200, 64
#: An en dash: there is no value.
NONE = "\u2013"
#: Categories of characters that cannot be seen, or that change the text around them.
_HIDDEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs"))
_COMMAND = re.compile(r"``(.+?)``")
_CODE = re.compile(r"`(.+?)`")


def own(template: str, *values: object) -> Markup:
    """Return HTML of our own text. `x` is a name or a value. ``x`` is a command to copy. ``{}`` are escaped values.

    The template is always a literal. ``tests/web/pages/test_texts.py`` checks each call.
    """
    html = _CODE.sub(r"<code>\1</code>", _COMMAND.sub(r'<code class="cmd">\1</code>', template))
    return Markup(html).format(*(value if hasattr(value, "__html__") else visible(value) for value in values))  # noqa: S704  # a literal


def visible(value: object) -> Markup:
    """Return a text of others as HTML: escaped, of at most 200 characters, with a box for each hidden character."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    if text.isascii() and text.isprintable():
        return escape(text)
    return Markup("").join(_shown(character) for character in text)


def _shown(character: str) -> Markup:
    if is_hidden(character):
        return Markup('<span class="esc">{:04X}</span>').format(ord(character))
    return escape(character)


def is_hidden(character: str) -> bool:
    """Return whether a character cannot be seen, or changes the text around it."""
    return unicodedata.category(character) in _HIDDEN or (character.isspace() and character not in " \u202f")


def plain(value: object) -> str:
    """Return a text for ``<title>`` and for attributes, where no markup can be: hidden characters as ``[202E]``."""
    text = str(value)
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return "".join(f"[{ord(one):04X}]" if is_hidden(one) else one for one in text)


def short(text: str, most: int = MAX_NAME) -> str:
    """Return a name for a list. A long one keeps its beginning and its end."""
    return text if len(text) <= most else text[: most - 21] + "…" + text[-20:]


def clock(at: float) -> str:
    """Return a time of the day: ``03:12:41``."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def hour_minute(at: float) -> str:
    """Return a time of the day without seconds: ``03:12``."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def iso(at: float) -> str:
    """Return a time for programs: ``2026-11-24T03:12:41Z``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(at: float) -> str:
    """Return a date: ``24 Nov 2026``."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%b %Y}"


def span(seconds: float) -> str:
    """Return a time in units that are easy to read: ``4 s``, ``4 min 14 s``, ``12 min``, ``3 h 5 min``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def number(count: float) -> str:
    """Return a whole number in groups of three digits."""
    return f"{count:,.0f}".replace(",", "\u202f")


def latency(seconds: float | None) -> str:
    """Return a latency in milliseconds without its unit, or a dash without a latency."""
    if seconds is None:
        return NONE
    value = seconds * 1000
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else number(value)


def milliseconds(seconds: float | None) -> str:
    """Return a latency with its unit."""
    if seconds is None:
        return NONE
    return f"{seconds:.2f} s" if seconds >= 1 else f"{latency(seconds)} ms"


def duration(seconds: float) -> str:
    """Return how long something took."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else span(seconds)


def share(part: float, whole: float) -> str:
    """Return a share in percent with at most two digits: ``0``, ``0.11 %``, ``24 %``."""
    if not part or not whole:
        return "0"
    percent = 100 * part / whole
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"


def plural(count: int, word: str) -> str:
    """Return a count with its noun: ``1 target``, ``12 targets``."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"
