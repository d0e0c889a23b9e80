"""Who a server is: its software and version, the managed service that runs it, and its mode."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from redis_pulse.server_info.profile import Profile, Sections, ServiceProfile, SoftwareProfile, combined
from redis_pulse.server_info.services import SERVICES
from redis_pulse.server_info.software import REDIS, SOFTWARE

#: The profile of a server that is at no known service.
NO_SERVICE = Profile()
#: The profile of a server that has not replied yet: all forms of INFO, and no special field or command.
UNKNOWN = Profile()
_BY_NAME = {profile.name: profile for profile in SERVICES}
_TITLES = {profile.name: profile.title for profile in (*SOFTWARE, *SERVICES)}


class Identity(NamedTuple):
    """Who a server is."""

    #: ``redis``, ``valkey``, ``dragonfly``, … in lower case
    software: str
    #: the version of the software, which may differ from the version of Redis that the server claims
    version: str
    #: ``elasticache``, ``azure-cache``, …; empty for a server that no known service runs
    service: str
    #: ``standalone``, ``cluster`` or ``sentinel``; empty if the server does not report it
    mode: str
    profile: Profile


def identify(fields: Mapping[str, str], host: str = "", login_service: str = "") -> Identity:
    """Return who a server is, by its INFO, its host name, and the service to which the login belongs."""
    software, name, version = _software(fields)
    service = _BY_NAME.get(login_service) or _service(fields, software.name, host)
    return Identity(name, version, service.name, mode_of(fields), combined(software, service))


def software_of(fields: Mapping[str, str]) -> tuple[str, str]:
    """Return the software of a server in lower case, and its version."""
    return _software(fields)[1:]


def title_of(name: str) -> str:
    """Return the name of a software or a service for people: ``KeyDB`` for ``keydb``."""
    return _TITLES.get(name) or name.capitalize()


def mode_of(fields: Mapping[str, str]) -> str:
    """Return ``standalone``, ``cluster`` or ``sentinel``, or an empty string if the server does not report it."""
    if mode := fields.get("redis_mode") or fields.get("server_mode", ""):
        return mode
    return "cluster" if fields.get("cluster_enabled") == "1" else ""


def repair(info: Sections) -> Sections:
    """Change ``info`` to what Redis would have written, and return it."""
    fields = info.get("Server") or info.get("", {})
    for change in _software(fields)[0].repairs:
        change(info)
    return info


def _software(fields: Mapping[str, str]) -> tuple[SoftwareProfile, str, str]:
    """Return the profile of the software, its name and its version. A name without a profile is that of a fork."""
    for profile in SOFTWARE:
        if profile.version_field and (version := fields.get(profile.version_field)):
            return profile, profile.name, version.removeprefix(profile.version_prefix).removeprefix("v")
    version = fields.get("redis_version", "")
    for profile in SOFTWARE:
        for field, end in profile.signs.items():
            if field in fields and fields[field].endswith(end):
                return profile, profile.name, version
    return REDIS, (fields.get("server_name") or REDIS.name).lower(), version


def _service(fields: Mapping[str, str], software: str, host: str) -> Profile:
    """Return the profile of the service. The fields of INFO cannot name a service that shares them with another."""
    if (named := _service_at(host)) is not None:
        return named
    for one in SERVICES:
        if (one.os and fields.get("os") == one.os) or (one.sign and one.sign in fields):
            return one
    return next((one for one in SERVICES if one.software and one.software == software), NO_SERVICE)


@lru_cache(maxsize=1024)
def _service_at(host: str) -> ServiceProfile | None:
    """Return the profile of the service to which a host name belongs."""
    name = host.lower().rstrip(".")
    return next((one for one in SERVICES if any(_pattern(end).fullmatch(name) for end in one.hosts)), None)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", r"[a-z0-9_.-]+"))
