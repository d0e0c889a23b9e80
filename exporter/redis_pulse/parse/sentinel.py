"""Parses the lines, lists and sentences that a Sentinel returns into plain values."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import FieldPairs, as_list, as_pairs

#: The results of ``SENTINEL CKQUORUM``, without their numbers.
OK = "OK"
NO_QUORUM = "NOQUORUM no quorum"
NO_MAJORITY = "NOQUORUM no majority"
NEITHER = "NOQUORUM no quorum, no majority"

#: Maximum characters of a name. Sentinels accept longer names, but no sensible configuration has one.
MAX_NAME_LENGTH = 200
#: Fields of one reply that are read, over all instances. Each instance has some 20.
MAX_PAIRS = 10_000

_LINE = re.compile(r"master[0-9]+")
_USABLE = re.compile(r"(OK|NOQUORUM) (\d{1,9}) usable Sentinels?\b", re.ASCII)


class Instances(NamedTuple):
    """The fields of masters, Sentinels or replicas by name; ``bad`` counts the parts that could not be read."""

    named: dict[str, dict[str, str]]
    bad: int


def parse_masters(section: Mapping[str, str]) -> Instances:
    """Read the ``masterN`` lines in the section Sentinel of INFO.

    >>> parse_masters({"master0": "name=cart,status=ok,address=10.0.0.7:6379,slaves=2"}).named["cart"]["slaves"]
    '2'
    """
    lines = [parse_pairs(text) for field, text in section.items() if _LINE.fullmatch(field)]
    named = {fields["name"]: fields for fields in lines if _is_named(fields)}
    return Instances(named, len(lines) - len(named))


def as_instances(reply: Any) -> Instances | None:
    """Read the reply to ``SENTINEL MASTERS``, ``SENTINELS`` or ``SLAVES``, a list of flat lists.

    Return None if the reply is not a list.
    """
    items = as_list(reply)
    if items is None:
        return None
    pairs: list[FieldPairs] = []
    left = MAX_PAIRS
    for item in items:
        if left <= 0:
            break
        pairs.append(as_pairs(item))
        left -= 1 + len(pairs[-1].fields)
    named = [one for one in pairs if _is_named(one.fields)]
    by_name = {one.fields["name"]: one.fields for one in named}
    return Instances(by_name, len(items) - len(by_name) + sum(one.bad for one in named))


def _is_named(fields: Mapping[str, str]) -> bool:
    return 0 < len(fields.get("name", "")) <= MAX_NAME_LENGTH


class Ckquorum(NamedTuple):
    """Whether Sentinels could agree on a failover and authorize it; ``message`` is one of the four results above."""

    message: str
    usable: int

    @property
    def reached(self) -> bool:
        """True if quorum and majority can be reached."""
        return self.message == OK


def parse_ckquorum(text: str) -> Ckquorum | None:
    """Read the reply to ``SENTINEL CKQUORUM`` or its error.

    Return None for any other text, such as "No such master".

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
