"""What the daemon, a module and a target say in one group of settings, merged: the strongest owner is the last."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from exporter.config.models import Poll, Tls
from exporter.config.names import Path
from exporter.config.settings import Module, Settings
from exporter.config.url import ParsedUrl
from exporter.config.values import Options

_Group = TypeVar("_Group", bound=Options)


class Owner(NamedTuple):
    """Somebody who may set something for a target, and where that stands."""

    path: Path
    says: Settings | Module


def group_of(model: type[_Group], field: str, owners: Sequence[Owner], **derived: Any) -> _Group:
    """Return a group; ``derived`` are defaults that hang on other settings."""
    return model(**(derived | said_of(field, owners)))


def said_of(field: str, owners: Sequence[Owner]) -> dict[str, Any]:
    """Return what the owners say in one group, the strongest last; what nobody says is left to the defaults."""
    said: dict[str, Any] = {}
    for _, owner in owners:
        if (group := getattr(owner, field)) is not None:
            said |= {name: getattr(group, name) for name in group.model_fields_set}
    return said


def poll_of(owners: Sequence[Owner]) -> Poll:
    """Return how a target is polled; its interval moves the defaults that hang on it."""
    interval = said_of("poll", owners).get("interval", Poll().interval)
    return group_of(Poll, "poll", owners, timeout=min(Poll().timeout, interval), max_age=3 * interval)


def tls_of(owners: Sequence[Owner], url: ParsedUrl) -> Tls:
    """Return the TLS settings; a URL may say ``ssl_cert_reqs``, and without a check no name is checked either."""
    said = said_of("tls", owners)
    if url.cert_reqs is not None:
        said["cert_reqs"] = url.cert_reqs
    if said.get("cert_reqs") == "none":
        said.setdefault("check_hostname", False)
    return Tls(**said)


def strength(owners: Sequence[Owner], steps: tuple[str, str]) -> int:
    """Return the number of the strongest owner that sets a value; -1 when nobody does."""
    numbers: Iterator[int] = (
        number
        for number in reversed(range(len(owners)))
        if (group := getattr(owners[number].says, steps[0])) is not None and steps[1] in group.model_fields_set
    )
    return next(numbers, -1)


def set_at(owners: Sequence[Owner], steps: tuple[str, str]) -> Path:
    """Return where the strongest owner that sets a value does so; the top when nobody does."""
    return (*owners[max(0, strength(owners, steps))].path, *steps)
