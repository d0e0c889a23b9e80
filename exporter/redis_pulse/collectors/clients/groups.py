"""Aggregates clients by user, name and library, and counts them by flag."""
# ruff: noqa: E501 - one line per metric definition

from collections import Counter
from collections.abc import Callable, Iterator
from operator import add

from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge
from redis_pulse.parse.client_list import ClientFields
from redis_pulse.parse.reply import parse_uint

#: user, name, lib-name, lib-ver
ClientGroup = tuple[str, str, str, str]
#: What is known about one group. A metric is missing if no client of the group has a value for it.
GroupValues = dict[MetricSpec, float]

_LABELS = ("user", "name", "lib_name", "lib_ver")
# fmt: off
CLIENTS = gauge("CLIENT LIST", "id (count)", "clients", "Connections, by user, name (CLIENT SETNAME) and library (CLIENT SETINFO).", labels=_LABELS)
MEMORY = gauge("CLIENT LIST", "tot-mem (sum)", "clients_memory_bytes", "Memory of all buffers of the clients of a group.", labels=_LABELS)
OUTPUT = gauge("CLIENT LIST", "omem (sum)", "clients_output_buffer_bytes", "Memory of the output buffers of the clients of a group.", labels=_LABELS)
LARGEST_OUTPUT = gauge("CLIENT LIST", "omem (max)", "clients_output_buffer_max_bytes", "Memory of the largest output buffer of a client of a group.", labels=_LABELS)
OLDEST = gauge("CLIENT LIST", "age (max)", "clients_age_max_seconds", "Age of the oldest connection of a group.", labels=_LABELS)
LONGEST_IDLE = gauge("CLIENT LIST", "idle (max)", "clients_idle_max_seconds", "Longest time for which a client of a group has sent nothing.", labels=_LABELS)
FLAG = gauge("CLIENT LIST", "flags", "clients_with_flag", "Connections that have a flag; one connection may have several.", labels=("flag",))
# fmt: on
METRICS = (CLIENTS, MEMORY, OUTPUT, LARGEST_OUTPUT, OLDEST, LONGEST_IDLE, FLAG)

#: Field of a client and the metric of its aggregate.
_FIELD_METRICS = (
    ("tot-mem", MEMORY),
    ("omem", OUTPUT),
    ("omem", LARGEST_OUTPUT),
    ("age", OLDEST),
    ("idle", LONGEST_IDLE),
)
#: How to combine two values of a metric: of two clients, or of two groups.
_COMBINE: dict[MetricSpec, Callable[[float, float], float]] = {
    CLIENTS: add,
    MEMORY: add,
    OUTPUT: add,
    LARGEST_OUTPUT: max,
    OLDEST: max,
    LONGEST_IDLE: max,
}

#: Flag letter → word. A letter that is missing here is published unchanged.
FLAGS = {
    "A": "close_asap", "B": "tracking_broadcast", "M": "master", "N": "normal", "O": "monitor", "P": "pubsub",
    "R": "tracking_target_gone", "S": "replica", "T": "no_touch", "U": "unix_socket", "b": "blocked",
    "c": "close_after_reply", "d": "watched_key_changed", "e": "no_evict", "r": "readonly", "t": "tracking",
    "u": "unblocked", "x": "multi",
}  # fmt: skip


class ClientAggregator:
    """Aggregates the clients of one list, which are added one by one."""

    def __init__(self) -> None:
        self._groups: dict[ClientGroup, GroupValues] = {}
        self._flags: Counter[str] = Counter()
        self._unreadable: list[UnreadableField] = []
        #: Parsed texts, because most clients share most values; None for a text that is not a whole number.
        self._numbers: dict[str, float | None] = {}

    def add(self, client: ClientFields) -> None:
        """Add one client. An unreadable field is counted and does not affect the other fields."""
        get = client.get
        group = get("user", ""), get("name", ""), get("lib-name", ""), get("lib-ver", "")
        values = self._groups.setdefault(group, {})
        _add_value(values, CLIENTS, 1.0)
        for field, metric in _FIELD_METRICS:
            text = get(field)
            if not text:
                continue
            value = self._number(text)
            if value is None:
                self._unreadable.append(UnreadableField(metric.location))
            else:
                _add_value(values, metric, value)
        self._flags.update(set(get("flags", "")))

    def _number(self, text: str) -> float | None:
        if text not in self._numbers:
            number = parse_uint(text)
            self._numbers[text] = None if number is None else float(number)
        return self._numbers[text]

    def samples(
        self, names: LabelLimiter[ClientGroup], users: LabelLimiter[str], max_names: int, now: float
    ) -> Iterator[CollectorItem]:
        """Yield the samples of all groups and flags.

        ``names`` admits at most ``max_names`` groups. The other groups are merged by user, under the name ``overflow``.
        ``users`` admits at most ``max_names`` users with such a merged group. The groups of all other users share one.
        """
        yield from self._unreadable
        admitted = names.admit(_sizes(self._groups), max_names, now)
        groups = {group: dict(values) for group, values in self._groups.items() if group in admitted}
        rejected = {group: values for group, values in self._groups.items() if group not in admitted}
        admitted_users = users.admit(_clients_by_user(rejected), max_names, now)
        for (user, *_), values in rejected.items():
            label = user if user in admitted_users else OVERFLOW
            merged = groups.setdefault((label, OVERFLOW, OVERFLOW, OVERFLOW), {})
            for metric, value in values.items():
                _add_value(merged, metric, value)
        for group, values in groups.items():
            labels = [label_value(part) for part in group]
            yield from (metric.sample(value, *labels) for metric, value in values.items())
        if rejected:
            yield OverflowCount(CLIENTS.location, len(rejected))
        yield from self._flag_samples()

    def _flag_samples(self) -> Iterator[CollectorItem]:
        clients_by_word = Counter(dict.fromkeys(FLAGS.values(), 0))
        for letter, clients in self._flags.items():
            word = FLAGS.get(letter, letter if letter.isascii() and letter.isalpha() else "other")
            clients_by_word[word] += clients
        for word, clients in clients_by_word.items():
            yield FLAG.sample(float(clients), word)


def _add_value(values: GroupValues, metric: MetricSpec, value: float) -> None:
    values[metric] = _COMBINE[metric](values[metric], value) if metric in values else value


def _sizes(groups: dict[ClientGroup, GroupValues]) -> dict[ClientGroup, float]:
    return {group: values[CLIENTS] for group, values in groups.items()}


def _clients_by_user(groups: dict[ClientGroup, GroupValues]) -> Counter[str]:
    clients: Counter[str] = Counter()
    for (user, *_), values in groups.items():
        clients[user] += int(values[CLIENTS])
    return clients
