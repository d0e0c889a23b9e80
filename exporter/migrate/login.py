"""Which server, and who logs in: the flags that may hold a password, which is taken out and never shown."""

from typing import Any, NamedTuple

from exporter.config import ParsedUrl, parse_url
from exporter.migrate import values
from exporter.migrate.given import Given

_PLACE = 'password_file: "/run/secrets/redis-password"'
_ADVICE = "write the password into that file (mode 0400), then take the first # away"
_STAYS = "or leave it in REDIS_PASSWORD, which is read too"
_NAMED = 'targets: [{url: "redis://first:6379", name: first}, {url: "redis://second:6379", name: second}]'


class Login(NamedTuple):
    """Settings, hints that stand beside them, notes for the end."""

    settings: dict[str, Any]
    hints: list[str]
    notes: list[str]


def login(given: Given) -> Login:
    """Take address, user and password."""
    found = Login({}, [], [])
    parsed: ParsedUrl | None = None
    address = given.get("redis.addr")
    if not address:
        found.hints.append(f"{_NAMED}  # those that Prometheus named in its requests")
        found.notes.append(
            "-redis.addr was empty: name the targets here; username and password_file belong to each of them, or to a "
            "module that they refer to"
        )
    else:
        try:
            parsed = parse_url(address)
        except ValueError as error:  # its text holds nothing of the address
            found.hints.append('redis_url: "redis://host:6379"')
            found.notes.append(f"-redis.addr could not be read: it {error}")
        else:
            found.settings["redis_url"] = _url(parsed)
            if parsed.cert_reqs:
                found.settings["tls"] = {"cert_reqs": parsed.cert_reqs}
    if username := (parsed.username if parsed else None) or given.get("redis.user"):
        found.settings["username"] = username
    _password(given, parsed, found)
    if not address:
        _into_module(found)
    return found


def _url(parsed: ParsedUrl) -> str:
    endpoint = parsed.endpoint
    if endpoint.kind == "unix":
        query = f"?db={parsed.db}" if parsed.db else ""
        return "unix://" + endpoint.path.replace("%", "%25").replace("@", "%40").replace("?", "%3F") + query
    return f"{'rediss' if endpoint.tls else 'redis'}://{endpoint.address}" + (f"/{parsed.db}" if parsed.db else "")


def _password(given: Given, parsed: ParsedUrl | None, found: Login) -> None:
    if given.get("redis.password") or (parsed is not None and parsed.password):
        where = "redis.password" if given.get("redis.password") else "redis.addr"
        stays = f"; {_STAYS}" if "redis.password" in given.from_environment else ""
        found.hints.append(f"{_PLACE}  # {_ADVICE}{stays}")
        found.notes.append(f"-{where} held a password, which is not shown here: {_ADVICE}{stays}")
    elif file := given.get("redis.password-file"):
        try:
            found.settings["password_file"] = values.path(file)
        except ValueError:
            found.hints.append(_PLACE)
            found.notes.append(
                "-redis.password-file names no file that is here, and may be a password, so it is not shown: write its "
                "path after password_file yourself"
            )
        else:
            if not found.settings["password_file"].startswith(("/", "~")):
                found.notes.append("-redis.password-file: a relative path begins where this file lies")


def _into_module(found: Login) -> None:
    """Put the credentials where targets of a file can refer to them."""
    credentials = {key: found.settings.pop(key) for key in ("username", "password_file") if key in found.settings}
    if credentials:
        found.settings["modules"] = {"redis_exporter": credentials}
        found.notes.append("targets that log in with these credentials say module: redis_exporter")
