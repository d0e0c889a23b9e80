"""The regular expressions that users write, matched by RE2.

Python's ``re`` tries one way after another. For some expressions, a text of 1000 characters holds the event loop for
seconds. The author of a key chooses that text. RE2 reads each character once. Its price: lookaround and backreferences
do not exist. An expression with one of them is refused when the configuration is loaded.
"""

from typing import Any

__all__ = ["MAX_TEXT", "Expression", "ExpressionError", "compile_expression"]

#: A compiled expression, with ``search``, ``groups`` and so on as in ``re``.
Expression = Any
#: Characters of a text that is matched. With the slowest expression, that takes 4 ms.
MAX_TEXT = 500
#: Characters of an expression, and bytes of its program. Matching a text takes time in proportion to the program.
MAX_LENGTH, _MAX_MEMORY = 1000, 1 << 17

_NO_LOOKAROUND = "lookaround is not supported: list the wanted cases, in several expressions if needed"
_NO_BACKREFERENCE = "backreferences are not supported: write the alternatives out"
#: Start of the message of RE2 → what to write instead.
_HINTS = (
    *((f"invalid perl operator: (?{start}", _NO_LOOKAROUND) for start in ("=", "!", "<=", "<!", "<")),
    ("invalid perl operator: (?P", _NO_BACKREFERENCE),
    ("invalid perl operator: (?>", "atomic groups are not supported and not needed: write (?:…)"),
    ("invalid perl operator: (?#", "comments are not supported: leave them out"),
    ("invalid perl operator: (?(", "conditions are not supported: write the alternatives out"),
    ("invalid perl operator: (?x", "the flag x is not supported: write the expression without blanks"),
    *((f"invalid escape sequence: \\{digit}", _NO_BACKREFERENCE) for digit in range(1, 10)),
    ("invalid escape sequence: \\Z", r"write \z or $ for the end of the text"),
    ("invalid escape sequence: \\u", r"write the character itself, or \x{20ac}"),
    ("invalid escape sequence: \\U", r"write the character itself, or \x{20ac}"),
    ("invalid escape sequence: \\N", r"write the character itself, or \x{20ac}"),
    ("bad repetition operator", "possessive repetitions are not supported and not needed: write +, * or ?"),
    ("pattern too large", "write a simpler expression, with smaller repetitions"),
    ("invalid repetition size", "repetitions, nested ones multiplied, have a limit of 1000"),
)


class ExpressionError(ValueError):
    """The expression is invalid. The text says why, and what to write instead."""


def compile_expression(text: str) -> Expression:
    """Return the compiled expression. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it has more than {MAX_LENGTH} characters")
    import re2  # 3 MB that a daemon without such an expression does not need

    options = re2.Options()
    options.log_errors, options.max_mem = False, _MAX_MEMORY
    try:
        return re2.compile(text, options)
    except UnicodeError:
        raise ExpressionError("it is not valid text") from None
    except re2.error as error:
        raise ExpressionError(_explain(error)) from None


def _explain(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    text = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
    hint = next((hint for start, hint in _HINTS if text.startswith(start)), "")
    return f"{text}; {hint}" if hint else text
