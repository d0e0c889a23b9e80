"""Convert groups of targets, as file_sd and http_sd list them, to targets.

A list can make a connection safer than its source, but never less safe. So an entry cannot switch TLS off, contain
credentials, or change how certificates are checked.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from redis_pulse.config import (
    Endpoint,
    FileSourceSettings,
    SourceSettings,
    TargetGroup,
    TargetSettings,
    closest_name,
    label_error,
    parse_url,
)
from redis_pulse.discovery.base import SourceContext
from redis_pulse.slices import sliced

MODULE_LABEL, NAME_LABEL = "__module", "__name"
UNREADABLE, NOT_ALLOWED, TOO_MANY = "unreadable", "not_allowed", "too_many"
MAX_NAME_LENGTH = 200
#: Limit for the entries of one list that are read. Further ones are only counted.
MAX_ENTRIES = 100_000
#: Limits for the labels of one group, and for the bytes of one value.
MAX_LABELS, MAX_VALUE_BYTES = 50, 256


class _Entry(NamedTuple):
    """One entry of a list, with the settings of its group."""

    text: str
    location: str
    name: str | None
    labels: dict[str, str]
    template: TargetSettings


class _NotAllowedError(ValueError):
    """An entry would make its connection less safe than its source says."""


async def targets_of(
    groups: Iterable[TargetGroup], settings: SourceSettings, location: str, context: SourceContext
) -> list[TargetSettings]:
    """Return the targets of all groups; an invalid entry is rejected, and all others stay.

    ``location`` is the file or the response that contains the groups; messages name it. The name of a target is the
    label ``__name`` if its group has no other target, and else its address. Entries beyond the limit of targets are
    counted, but no target is made of them. The entries of other shards do not count.
    """
    targets: list[TargetSettings] = []
    limit, beyond = context.max_targets(), 0
    with_sockets = isinstance(settings.options, FileSourceSettings) and settings.options.sockets
    entries = _Entries(groups, settings, location, context)
    async for entry in sliced(entries):
        if entry is None:
            continue
        if len(targets) >= limit:
            beyond += 1
            continue
        try:
            endpoint, db = _server(entry, with_sockets=with_sockets)
        except _NotAllowedError as error:
            context.reject(NOT_ALLOWED, f"{entry.location} {error}")
        except ValueError as error:
            context.reject(UNREADABLE, f"{entry.location} {error}")
        else:
            name = entry.name or endpoint.address
            if context.owns(name):
                targets.append(entry.template.at(endpoint, name, entry.labels, db))
    if beyond := beyond + entries.unread:
        context.reject(TOO_MANY, f"{location} lists {beyond} entries beyond the limit", beyond)
    return targets


class _Entries:
    """The entries of a list, up to ``MAX_ENTRIES``; ``unread`` counts the others.

    The iterator also yields None, for each group that is rejected. So many bad groups are divided into slices too.
    """

    def __init__(
        self, groups: Iterable[TargetGroup], settings: SourceSettings, location: str, context: SourceContext
    ) -> None:
        self._groups = groups
        self._settings = settings
        self._location = location
        self._context = context
        self.unread = 0

    def __iter__(self) -> Iterator[_Entry | None]:
        free = MAX_ENTRIES
        for number, group in enumerate(self._groups):
            texts = group.targets[: max(0, free)]
            self.unread += len(group.targets) - len(texts) + group.dropped
            free -= max(1, len(texts))  # a group without targets takes time too
            if free < 0:
                continue
            location = f"{self._location}[{number}]"
            try:
                template, name, labels = _group_settings(group, self._settings)
            except ValueError as error:
                self._context.reject(UNREADABLE, f"{location}.labels{error}", max(1, len(texts)))
                yield None
                continue
            for index, text in enumerate(texts):
                yield _Entry(text, f"{location}.targets[{index}]", name, labels, template)


def _group_settings(group: TargetGroup, settings: SourceSettings) -> tuple[TargetSettings, str | None, dict[str, str]]:
    """Return the template, the name and the labels of the targets of a group. Raises ValueError."""
    template = settings.template
    if (module := group.labels.get(MODULE_LABEL)) is not None:
        if module not in settings.modules:
            suggestion = closest_name(module, settings.modules)
            hint = f": did you mean {suggestion}?" if suggestion else ""
            raise ValueError(f".{MODULE_LABEL} is not the name of a module{hint}")
        template = settings.modules[module]
    if len(group.labels) > MAX_LABELS:
        raise ValueError(f" are more than {MAX_LABELS}")
    labels = {name: value for name, value in group.labels.items() if not name.startswith("__")}
    if error := label_error(labels) or _value_error(labels):
        raise ValueError(f" {error}")
    name = group.labels.get(NAME_LABEL) if len(group.targets) == 1 else None
    if name is not None and not _is_valid_name(name):
        raise ValueError(f".{NAME_LABEL} is not printable text of at most {MAX_NAME_LENGTH} characters")
    return template, name, labels


def _value_error(labels: dict[str, str]) -> str:
    for name, value in labels.items():
        if not _is_text(value):
            return f"must have values of valid text, and {name} has not"
        if len(value) > MAX_VALUE_BYTES or len(value.encode()) > MAX_VALUE_BYTES:
            return f"must have values of at most {MAX_VALUE_BYTES} bytes, and {name} is longer"
    return ""


def _is_text(value: str) -> bool:
    """Return whether a text can be encoded. JSON may contain half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value[: MAX_VALUE_BYTES + 1])


def _server(entry: _Entry, *, with_sockets: bool) -> tuple[Endpoint, int | None]:
    """Return the endpoint and the database of an entry. Raises ValueError."""
    text, template = entry.text, entry.template
    if "@" in text:
        raise ValueError("must not contain a user name or password: name a module that has them")
    is_address = "://" not in text and not text.startswith("/")
    url = parse_url(f"{'rediss' if template.endpoint.tls else 'redis'}://{text}" if is_address else text)
    if url.username or url.password or url.cert_reqs:
        raise _NotAllowedError("must not set a user name, a password or ssl_cert_reqs: name a module that has them")
    if url.endpoint.kind == "unix" and not with_sockets:
        raise _NotAllowedError("is a socket: set sockets: true for a file whose entries may be sockets")
    if template.endpoint.tls and not url.endpoint.tls:
        raise _NotAllowedError("would switch TLS off, which the scheme of its source demands")
    if not (_is_text(url.endpoint.host) and _is_text(url.endpoint.path)) or len(url.endpoint.address) > MAX_NAME_LENGTH:
        raise ValueError(f"has an address that is not text of at most {MAX_NAME_LENGTH} characters")
    return url.endpoint, url.db


def _is_valid_name(name: str) -> bool:
    return bool(name.strip()) and name.isprintable() and len(name) <= MAX_NAME_LENGTH and "://" not in name
