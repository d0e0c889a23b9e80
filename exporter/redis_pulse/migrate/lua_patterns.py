"""Translate patterns of Lua to regular expressions of RE2, which the collectors use.

https://www.lua.org/manual/5.1/manual.html#5.4.1
"""

import re

from redis_pulse.config.regular_expressions import ExpressionError, compile_expression

_CLASSES = {
    "a": "A-Za-z",
    "c": r"\x00-\x1f\x7f",
    "d": "0-9",
    "l": "a-z",
    "p": r"!-/:-@\[-`{-~",
    "s": r" \t-\r",
    "u": "A-Z",
    "w": "A-Za-z0-9",
    "x": "A-Fa-f0-9",
    "z": r"\x00",
}
_REPETITIONS = {"*": "*", "+": "+", "-": "*?", "?": "?"}


def translate(pattern: str) -> str:
    """Return the regular expression of a Lua pattern.

    Raises ValueError if there is no equivalent: for ``%b``, ``%f``, a back reference, or an invalid pattern.
    """
    regex, position = "", 0
    while position < len(pattern):
        character, end = pattern[position], position + 1
        if (character == "^" and position == 0) or character in "()":
            if pattern.startswith("()", position):
                raise ValueError("captures a position")
            regex += character
        elif character == "$" and end == len(pattern):
            regex += r"\z"
        else:
            item, end = _translate_item(pattern, position)
            repetition = _REPETITIONS.get(pattern[end : end + 1], "")
            regex += item + repetition
            end += bool(repetition)
        position = end
    try:
        compile_expression(regex)
    except ExpressionError:
        raise ValueError("is not a pattern of Lua") from None
    return regex


def _translate_item(pattern: str, position: int) -> tuple[str, int]:
    """Return the regular expression of one character class, and the position after it."""
    character = pattern[position]
    if character == ".":
        return r"[\s\S]", position + 1
    if character == "[":
        return _translate_set(pattern, position)
    if character == "%":
        members, end = _translate_escape(pattern, position)
        return f"[{members}]", end
    return re.escape(character), position + 1


def _translate_escape(pattern: str, position: int) -> tuple[str, int]:
    """Return the characters of ``%x`` as they are written inside brackets, and the position after it."""
    letter = pattern[position + 1 : position + 2]
    if not letter.isalnum() and letter:
        return _in_brackets(letter), position + 2
    if letter.lower() not in _CLASSES:
        raise ValueError("has no equivalent")
    members = _CLASSES[letter.lower()]
    return (_complement(members) if letter.isupper() else members), position + 2


def _translate_set(pattern: str, position: int) -> tuple[str, int]:
    """Return a set in brackets, and the position after it."""
    start = position + 1
    negated = pattern.startswith("^", start)
    at = start + negated
    first, members = at, ""
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern[at] == "%":
            escaped, at = _translate_escape(pattern, at)
            members += escaped
        elif pattern[at + 1 : at + 2] == "-" and pattern[at + 2 : at + 3] not in ("", "]"):
            members += f"{_in_brackets(pattern[at])}-{_in_brackets(pattern[at + 2])}"
            at += 3
        else:
            members += _in_brackets(pattern[at])
            at += 1
    if at >= len(pattern):
        raise ValueError("has a bracket that is not closed")
    return f"[{'^' if negated else ''}{members}]", at + 1


def _in_brackets(character: str) -> str:
    return "\\" + character if character in "\\]^-[&~|" else character


def _complement(members: str) -> str:
    """Return all characters except these, as they are written inside brackets.

    RE2 has no negated class inside of another set, so the code points are listed as ranges.
    """
    pattern = re.compile(f"[{members}]")
    others = [code for code in range(128) if not pattern.fullmatch(chr(code))]
    ranges: list[list[int]] = []
    for code in others:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\x{first:02x}-\\x{last:02x}" for first, last in ranges) + r"\x80-\x{10ffff}"
