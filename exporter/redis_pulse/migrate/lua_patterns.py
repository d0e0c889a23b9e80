"""Patterns of Lua as regular expressions of Python.

https://www.lua.org/manual/5.1/manual.html#5.4.1
"""

import re

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


def translated(pattern: str) -> str:
    """Translate a pattern. Raises ValueError for one that has no like: ``%b``, ``%f``, a back reference, a mistake."""
    found, position = "", 0
    while position < len(pattern):
        character, after = pattern[position], position + 1
        if (character == "^" and position == 0) or character in "()":
            if pattern.startswith("()", position):
                raise ValueError("captures a position")
            found += character
        elif character == "$" and after == len(pattern):
            found += r"\Z"
        else:
            item, after = _item(pattern, position)
            repetition = _REPETITIONS.get(pattern[after : after + 1], "")
            found += item + repetition
            after += bool(repetition)
        position = after
    try:
        re.compile(found)
    except re.error:
        raise ValueError("no pattern of Lua") from None
    return found


def _item(pattern: str, position: int) -> tuple[str, int]:
    """Return what stands for one character, and the position after it."""
    character = pattern[position]
    if character == ".":
        return r"[\s\S]", position + 1
    if character == "[":
        return _set(pattern, position)
    if character == "%":
        inside, after = _escaped(pattern, position)
        return f"[{inside}]", after
    return re.escape(character), position + 1


def _escaped(pattern: str, position: int) -> tuple[str, int]:
    """Return what ``%x`` is inside brackets, and the position after it."""
    letter = pattern[position + 1 : position + 2]
    if not letter.isalnum() and letter:
        return _inside(letter), position + 2
    if letter.lower() not in _CLASSES:
        raise ValueError("has no like in Python")
    members = _CLASSES[letter.lower()]
    return (_complement(members) if letter.isupper() else members), position + 2


def _set(pattern: str, position: int) -> tuple[str, int]:
    """Return a set in brackets, and the position after it."""
    start = position + 1
    negated = pattern.startswith("^", start)
    at = start + negated
    first, found = at, ""
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern[at] == "%":
            inside, at = _escaped(pattern, at)
            found += inside
        elif pattern[at + 1 : at + 2] == "-" and pattern[at + 2 : at + 3] not in ("", "]"):
            found += f"{_inside(pattern[at])}-{_inside(pattern[at + 2])}"
            at += 3
        else:
            found += _inside(pattern[at])
            at += 1
    if at >= len(pattern):
        raise ValueError("has a bracket that is not closed")
    return f"[{'^' if negated else ''}{found}]", at + 1


def _inside(character: str) -> str:
    return "\\" + character if character in "\\]^-[&~|" else character


def _complement(members: str) -> str:
    """Return the characters that are none of these, to stand inside brackets: a code point is in or out."""
    inside = re.compile(f"[{members}]")
    out = [code for code in range(128) if not inside.fullmatch(chr(code))]
    runs: list[list[int]] = []
    for code in out:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"\\x{first:02x}-\\x{last:02x}" for first, last in runs) + r"\x80-\U0010ffff"
