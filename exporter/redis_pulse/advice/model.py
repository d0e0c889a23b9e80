"""One row of the table of advice, and how its placeholders are filled."""

import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Severity = Literal["note", "warning", "error"]
#: From the least to the most severe.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

#: What a placeholder is filled with: one word, or several words of a command.
Value = str | int | float | Sequence[str]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
#: Categories of characters that could change how a terminal or a page shows the text around them.
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_MAX_VALUE = 200


class FilledAdvice(NamedTuple):
    """Advice for one case, with all placeholders filled. Its texts are printable; they are not escaped for HTML."""

    code: str
    severity: Severity
    title: str
    why: str
    do: str
    #: a command to paste into a shell or into redis-cli, or an empty text
    command: str
    #: path of the page of the code, below ``docs/``
    link: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What is true about one kind of problem. ``{…}`` in its texts are placeholders.

    ``key`` is a stable name for code: a reason (``refused``), ``stall.`` and a cause, or a name of its own.
    """

    code: str
    key: str
    severity: Severity
    title: str
    why: str
    do: str
    command: str = ""
    #: alerts of ``grafana/rules/`` that fire for this problem; their runbooks say more
    alerts: tuple[str, ...] = ()
    #: a page below ``docs/`` with more, or an empty text
    more: str = ""

    @property
    def link(self) -> str:
        """Path of the page of this code, below ``docs/``."""
        return f"findings/{self.code}.md"

    def fill(self, values: Mapping[str, Value] | None = None) -> FilledAdvice:
        """Return the texts with ``values`` for their placeholders.

        A placeholder without a value becomes its own name in capitals. Values are made printable. In the command they
        are also quoted for a shell, because a server or a name may contain anything.
        """
        known = values or {}
        return FilledAdvice(
            self.code,
            self.severity,
            _fill(self.title, known),
            _fill(self.why, known),
            _fill(self.do, known),
            _fill(self.command, known, quote=True),
            self.link,
        )


def placeholders(advice: Advice) -> frozenset[str]:
    """Return the names of all placeholders in the texts of a row."""
    return frozenset(_PLACEHOLDER.findall(f"{advice.title} {advice.why} {advice.do} {advice.command}"))


def printable(text: str, limit: int = _MAX_VALUE) -> str:
    """Return a text in one line of at most ``limit`` characters, safe to print on a terminal.

    Control, format and direction characters become their number in brackets: ``[1B]``.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(f"[{ord(char):02X}]" if unicodedata.category(char) in _HIDDEN else char for char in cut)


def _fill(template: str, values: Mapping[str, Value], *, quote: bool = False) -> str:
    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            return name.upper()
        value = values[name]
        words = [str(value)] if isinstance(value, str | int | float) else [str(word) for word in value]
        words = [printable(word) for word in words]
        return " ".join(map(_quoted, words) if quote else words)

    return _PLACEHOLDER.sub(value_of, template)


def _quoted(word: str) -> str:
    """Return a word of a command, quoted if a shell would read it in another way."""
    return shlex.quote(word)
