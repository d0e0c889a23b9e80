"""Clients summed up by user, name and library, and by flag: what the collector ``clients`` always says."""
# ruff: noqa: E501 - a row is one line

from collections import Counter
from collections.abc import Callable, Iterator
from operator import add

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge
from redis_pulse.parse.client_list import ClientFields

#: user, name, lib-name, lib-ver
ClientGroup = tuple[str, str, str, str]

_BY = ("user", "name", "lib_name", "lib_ver")
# fmt: off
CLIENTS = gauge("CLIENT LIST", "id (count)", "clients", "Connections, by user, name (CLIENT SETNAME) and library (CLIENT SETINFO).", labels=_BY)
MEMORY = gauge("CLIENT LIST", "tot-mem (sum)", "clients_memory_bytes", "Memory that the clients of a group take in all their buffers.", labels=_BY)
OUTPUT = gauge("CLIENT LIST", "omem (sum)", "clients_output_buffer_bytes", "Memory of the output buffers of the clients of a group.", labels=_BY)
BIGGEST_OUTPUT = gauge("CLIENT LIST", "omem (max)", "clients_output_buffer_max_bytes", "Memory of the output buffers of that client of a group where it is most.", labels=_BY)
OLDEST = gauge("CLIENT LIST", "age (max)", "clients_age_max_seconds", "Age of the oldest connection of a group.", labels=_BY)
MOST_IDLE = gauge("CLIENT LIST", "idle (max)", "clients_idle_max_seconds", "Longest time for which a client of a group has sent nothing.", labels=_BY)
FLAG = gauge("CLIENT LIST", "flags", "clients_with_flag", "Connections that bear a flag; one connection may bear several.", labels=("flag",))
# fmt: on
ROWS = (CLIENTS, MEMORY, OUTPUT, BIGGEST_OUTPUT, OLDEST, MOST_IDLE, FLAG)

#: What is made of a field of all the clients of a group.
_AGGREGATIONS: tuple[tuple[str, MetricSpec, Callable[[float, float], float]], ...] = (
    ("tot-mem", MEMORY, add),
    ("omem", OUTPUT, add),
    ("omem", BIGGEST_OUTPUT, max),
    ("age", OLDEST, max),
    ("idle", MOST_IDLE, max),
)
_HOW = {CLIENTS: add, **{metric: how for _, metric, how in _AGGREGATIONS}}

#: The flags by their words; one that is not here keeps its letter.
FLAGS = {
    "A": "close_asap", "B": "tracking_broadcast", "M": "master", "N": "normal", "O": "monitor", "P": "pubsub",
    "R": "tracking_target_gone", "S": "replica", "T": "no_touch", "U": "unix_socket", "b": "blocked",
    "c": "close_after_reply", "d": "watched_key_changed", "e": "no_evict", "r": "readonly", "t": "tracking",
    "u": "unblocked", "x": "multi",
}  # fmt: skip


class ClientAggregator:
    """Takes clients one by one."""

    def __init__(self) -> None:
        self._groups: dict[ClientGroup, dict[MetricSpec, float]] = {}
        self._flags: Counter[str] = Counter()
        self._unreadable: list[UnreadableField] = []
        #: Texts read before, since most values of most clients are alike; None for one that is no whole number.
        self._numbers: dict[str, float | None] = {"": None}

    def add(self, client: ClientFields) -> None:
        """Count one client; a field that makes no sense costs itself only."""
        get = client.get
        sums = self._groups.setdefault((get("user", ""), get("name", ""), get("lib-name", ""), get("lib-ver", "")), {})
        sums[CLIENTS] = sums.get(CLIENTS, 0.0) + 1
        for field, metric, how in _AGGREGATIONS:
            text = get(field, "")
            value = self._numbers[text] if text in self._numbers else self._number(text)
            if value is not None:
                sums[metric] = how(sums[metric], value) if metric in sums else value
            elif text:
                self._unreadable.append(UnreadableField(metric.location))
        self._flags.update(set(client.get("flags", "")))

    def _number(self, text: str) -> float | None:
        whole = text.isdecimal() and text.isascii() and len(text) < 20
        return self._numbers.setdefault(text, float(text) if whole else None)

    def samples(
        self, names: LabelLimiter[ClientGroup], users: LabelLimiter[str], most: int, now: float
    ) -> Iterator[CollectorItem]:
        """Yield a series for each group that has a place; the others are put together by user, or all in all."""
        yield from self._unreadable
        seated = names.admit({group: sums[CLIENTS] for group, sums in self._groups.items()}, most, now)
        others = {group: sums for group, sums in self._groups.items() if group not in seated}
        weights: Counter[str] = Counter()
        for (user, *_), sums in others.items():
            weights[user] += int(sums[CLIENTS])
        known = users.admit(weights, most, now)
        merged = {group: dict(sums) for group, sums in self._groups.items() if group in seated}
        for group, sums in others.items():
            user = group[0] if group[0] in known else OVERFLOW
            into = merged.setdefault((user, OVERFLOW, OVERFLOW, OVERFLOW), {})
            for metric, value in sums.items():
                into[metric] = _HOW[metric](into[metric], value) if metric in into else value
        for group, sums in merged.items():
            labels = [*map(label_value, group)]
            yield from (metric.sample(value, *labels) for metric, value in sums.items())
        if others:
            yield OverflowCount(CLIENTS.location, len(others))
        yield from self._by_flag()

    def _by_flag(self) -> Iterator[CollectorItem]:
        words = Counter(dict.fromkeys(FLAGS.values(), 0))
        for letter, clients in self._flags.items():
            words[FLAGS.get(letter, letter if letter.isascii() and letter.isalpha() else "other")] += clients
        for word, clients in words.items():
            yield FLAG.sample(float(clients), word)
