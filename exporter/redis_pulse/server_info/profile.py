"""Profiles: what differs from Redis in one kind of server, or in one managed service.

Collectors read the profile of a server. None of them compares a name of software or of a service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from redis_pulse.metric import MetricSpec

#: Section → field → value, as ``parse.info`` returns them.
Sections = dict[str, dict[str, str]]
#: Changes the sections of INFO to what Redis would have written.
Repair = Callable[[Sections], None]
#: The words after INFO.
Words = tuple[str, ...]
#: All forms of INFO that return all sections. The most complete form comes first.
INFO_FORMS: tuple[Words, ...] = (("everything",), ("all",), ())

#: Commands that only some servers have. Collectors send them only to a server whose profile has them.
COMMANDLOG = "COMMANDLOG"
HOTKEYS = "HOTKEYS"
SERVER_EXT = "SERVER EXT"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """What differs from Redis in one kind of server."""

    #: The name in labels: ``dragonfly``. Empty if the server has no special name.
    name: str = ""
    #: The name for people: ``Dragonfly``.
    title: str = ""
    #: The forms of INFO to try, in this order.
    info_forms: tuple[Words, ...] = INFO_FORMS
    repairs: tuple[Repair, ...] = ()
    #: Fields that only this server has.
    metrics: tuple[MetricSpec, ...] = ()
    #: Command → the first version that has it. Other servers do not have this command.
    has: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    #: Commands that it refuses on purpose, in upper case: ``CONFIG`` or ``LATENCY LATEST``. A refusal is no error.
    not_offered: frozenset[str] = frozenset()
    #: Whether several nodes answer at one address, so that two replies may be from two nodes.
    has_many_nodes: bool = False

    def offers(self, command: str) -> bool:
        """Return whether the server does not refuse this command on purpose."""
        return command not in self.not_offered and command.partition(" ")[0] not in self.not_offered


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftwareProfile(Profile):
    """A kind of server, and how its INFO identifies it."""

    #: The field with its own version.
    version_field: str = ""
    #: Field → the end of its text, for software without a version field. An empty text: the field exists.
    signs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Text before the version, which is removed.
    version_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceProfile(Profile):
    """A managed service, and how a server of it is recognised. One sign is enough."""

    #: The text of the field ``os``.
    os: str = ""
    #: A field that only servers of this service have.
    sign: str = ""
    #: How host names of the service end. ``*`` stands for one or more labels.
    hosts: tuple[str, ...] = ()
    #: Software that exists only as this service.
    software: str = ""


@cache
def combined(software: Profile, service: Profile) -> Profile:
    """Return the profile of a server of this software at this service.

    There is a profile for each pair that was seen. Their number has the limit of the two tables.
    """
    return Profile(
        name=service.name or software.name,
        title=service.title or software.title,
        info_forms=software.info_forms if service.info_forms == INFO_FORMS else service.info_forms,
        repairs=software.repairs + service.repairs,
        metrics=software.metrics + tuple(metric for metric in service.metrics if metric not in software.metrics),
        has=software.has,
        not_offered=software.not_offered | service.not_offered,
        has_many_nodes=software.has_many_nodes or service.has_many_nodes,
    )
