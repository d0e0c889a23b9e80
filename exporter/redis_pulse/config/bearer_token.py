"""Read the file with the bearer token of an inventory."""

import re
from pathlib import Path

from redis_pulse.blocking import read_regular_file

#: Limit for a token. A JWT has a few thousand bytes.
_MAX_BYTES = 100_000
#: The characters that a header may have.
_TOKEN = re.compile(r"[!-~]+")


def read_bearer_token(file: Path) -> str:
    """Return the token in a file. Raises OSError, or ValueError if the file is not one token.

    No message contains a part of the file.
    """
    try:
        text = read_regular_file(file, _MAX_BYTES).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ValueError("is not one line of text without blanks") from None
    if not text:
        raise ValueError("names an empty file")
    if not _TOKEN.fullmatch(text):
        raise ValueError("is not one line of text without blanks")
    return text
