"""What a Sentinel says, in lines, lists and sentences, to plain values."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import as_list, as_pairs

#: What ``SENTINEL CKQUORUM`` can say, without its numbers.
OK = "OK"
NO_QUORUM = "NOQUORUM no quorum"
NO_MAJORITY = "NOQUORUM no majority"
NEITHER = "NOQUORUM no quorum, no majority"

#: Characters of a name; a Sentinel takes none that is longer from anybody in his right mind.
LONGEST = 200

_LINE = re.compile(r"master[0-9]+")
_USABLE = re.compile(r"(OK|NOQUORUM) (\d{1,9}) usable Sentinels?\b", re.ASCII)


class Instances(NamedTuple):
    """The fields of masters, Sentinels or replicas by name; ``bad`` counts parts that could not be read."""

    named: dict[str, dict[str, str]]
    bad: int


def parse_masters(section: Mapping[str, str]) -> Instances:
    """Read the ``masterN`` lines of INFO's section Sentinel.

    >>> parse_masters({"master0": "name=cart,status=ok,address=10.0.0.7:6379,slaves=2"}).named["cart"]["slaves"]
    '2'
    """
    lines = [parse_pairs(text) for field, text in section.items() if _LINE.fullmatch(field)]
    named = {fields["name"]: fields for fields in lines if _is_named(fields)}
    return Instances(named, len(lines) - len(named))


def as_instances(reply: Any) -> Instances | None:
    """Read the reply of ``SENTINEL MASTERS``, ``SENTINELS`` or ``SLAVES``: flat lists; None when it is no list."""
    items = as_list(reply)
    if items is None:
        return None
    read = [as_pairs(item) for item in items]
    named = {fields["name"]: fields for fields, _ in read if _is_named(fields)}
    return Instances(named, len(read) - len(named) + sum(bad for fields, bad in read if _is_named(fields)))


def _is_named(fields: Mapping[str, str]) -> bool:
    return 0 < len(fields.get("name", "")) <= LONGEST


class Ckquorum(NamedTuple):
    """Whether a failover could be agreed and authorised; ``message`` is one of the four above."""

    message: str
    usable: int

    @property
    def reached(self) -> bool:
        """Quorum and majority can be reached."""
        return self.message == OK


def parse_ckquorum(text: str) -> Ckquorum | None:
    """Read the reply or the error of ``SENTINEL CKQUORUM``; None for any other text, such as "No such master".

    >>> parse_ckquorum("OK 3 usable Sentinels. Quorum and failover authorization can be reached")
    Ckquorum(message='OK', usable=3)
    """
    match = _USABLE.match(text)
    if match is None:
        return None
    if match[1] == OK:
        return Ckquorum(OK, int(match[2]))
    quorum, majority = "specified quorum" not in text, "the majority" not in text
    message = NEITHER if quorum == majority else NO_MAJORITY if quorum else NO_QUORUM
    return Ckquorum(message, int(match[2]))
