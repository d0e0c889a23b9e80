"""Which part of the targets this daemon takes: the first of three is ``0/3``; ``auto/3`` is told by the host's name."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHARD = re.compile(r"(?P<index>\d{1,6}|auto)/(?P<count>\d{1,6})")
_ORDINAL = re.compile(r".*-(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index``, from 0, of ``count``."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_text(value: Any) -> Any:
    """Check how a shard is written; it is resolved when the environment is known."""
    if value is None:
        return None
    match = _SHARD.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match["count"]) == 0:
        raise ValueError("must be a part and a number of parts such as 0/3, or auto/3")
    if match["index"] != "auto" and int(match["index"]) >= int(match["count"]):
        raise ValueError(f"must be one of 0/{match['count']} to {int(match['count']) - 1}/{match['count']}")
    return match[0]


def resolve(text: str | None, environ: Mapping[str, str]) -> Shard | None:
    """Return the shard that a checked text names; ``auto`` is the ordinal of a StatefulSet's pod, from its name.

    Raises ValueError, with message and cure, when the name of the host has no ordinal below the count.
    """
    if text is None:
        return None
    index, _, count = text.partition("/")
    if index != "auto":
        return Shard(int(index), int(count))
    host = environ.get("HOSTNAME") or socket.gethostname()
    match = _ORDINAL.fullmatch(host.partition(".")[0])
    if match is None:
        raise ValueError(f"is {text}, and the name of this host, {host}, does not end in a number such as -0")
    if int(match[1]) >= int(count):
        raise ValueError(f"is {text}, and this host is number {match[1]}, {host}: there are more pods than parts")
    return Shard(int(match[1]), int(count))
