"""The least that a server's user must be allowed: the ``ACL SETUSER`` line of a set of collectors.

Pure functions of what the collectors declare; ``docs/acl.md`` is rendered from them, and
``tests/integration/test_acl.py`` proves the lines on real servers.
"""

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from redis_pulse.collectors import Collector
from redis_pulse.discovery.cluster import source
from redis_pulse.discovery.sentinel.sentinel_client import CHANNELS, COMMANDS
from redis_pulse.server_info import Server

USER: Final = "exporter"
PASSWORD: Final = "PASSWORD"  # noqa: S105  # a placeholder
PATTERN: Final = "PATTERN"

#: What every target needs: the probe's command, the one by which we learn what the server is, and our own name.
ALWAYS: Final = ("ping", "info", "client|setname")
#: Where our library is named too; it is said once on the page, not with each collector.
NAMED_LIBRARY: Final = "Redis 7.2 or later, and Valkey"
SET_LIBRARY: Final = "client|setinfo"
#: Commands that read the keys they name: their user needs a pattern of keys too.
READING: Final = frozenset(
    {"arcount", "getrange", "hlen", "llen", "scard", "strlen", "type", "xlen", "zcard"}
    | {"memory|usage", "xinfo|consumers", "xinfo|groups", "xinfo|stream"}
)
#: Commands that may write the keys they name, as far as a server can know.
WRITING: Final = frozenset({"eval", "evalsha", "pfcount"})
#: The commands of scripts name their keys, and ours name none; what a script itself touches is its author's business.
SCRIPTS: Final = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro"})
SENTINEL: Final = "a Sentinel"
OLD_SCRIPTS: Final = "servers whose scripts may write"
#: Beginnings of commands that only some servers know (others refuse a line that names one), or that an option asks for.
ONLY: Final[Mapping[str, str]] = {
    "arcount": "servers with the type array",
    "commandlog|": "Valkey 8.1 or later",
    "eval": OLD_SCRIPTS,
    "evalsha": OLD_SCRIPTS,
    "ft.": "servers with the search module",
    "pfcount": "servers whose HyperLogLogs may be counted",
    "sentinel|config": "Sentinels whose configuration is published",
    "sentinel|": SENTINEL,
}
#: What the servers are asked that say where further targets are, by the kind of source, and who they are.
SOURCES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "cluster": ("On every node of a cluster whose nodes are found (`cluster: true`)", source.COMMANDS),
}
#: Where what stands in no other place may be said.
ANYWHERE: Final = ""


def where(command: str) -> str:
    """Return where a command may be named; ``ANYWHERE`` for those that Redis 7, Valkey, and all later ones know."""
    exact = ONLY.get(command)
    return exact or next(
        (place for start, place in ONLY.items() if command.startswith(start) and start[-1] in "|."), ANYWHERE
    )


def needed(collectors: Iterable[Collector]) -> dict[str, tuple[str, ...]]:
    """Return the commands that a set of collectors needs, by the place where they may be named."""
    commands = dict.fromkeys([*ALWAYS, *(command for one in collectors for command in _needs(one))])
    places = dict.fromkeys([ANYWHERE, *(where(command) for command in commands)])
    return {place: tuple(command for command in commands if where(command) == place) for place in places}


def _needs(collector: Collector) -> tuple[str, ...]:
    """Return what a collector sends; who searches for keys does so in any database, which is selected first."""
    return (*collector.commands, "select") if "scan" in collector.commands else collector.commands


def key_rule(commands: Iterable[str], pattern: str = PATTERN, *, redis_6: bool = False) -> tuple[str, ...]:
    """Return what to say of keys: nothing where none are named.

    Redis 7 and later, and Valkey, can allow reads alone (``%R~``); for Redis 6 there is only ``~``.
    """
    names = set(commands)
    if names & WRITING - SCRIPTS:
        return (f"~{pattern}",)
    return ((f"~{pattern}" if redis_6 else f"%R~{pattern}"),) if names & READING else ()


def line(
    collectors: Iterable[Collector],
    *,
    places: Iterable[str] = (),
    password: str = PASSWORD,
    pattern: str = PATTERN,
    redis_6: bool = False,
) -> str:
    """Return the whole line for a set of collectors, with what may be named in ``places`` (keys of ``needed``) too."""
    by_place = needed(collectors)
    everywhere = (ANYWHERE, *((OLD_SCRIPTS,) if redis_6 else ()))
    commands = [command for place in (*everywhere, *places) for command in by_place.get(place, ())]
    commands += [SET_LIBRARY] * (NAMED_LIBRARY in places)
    if redis_6:
        commands = [command for command in commands if not command.endswith("_ro")]
    return _whole(commands, password, key_rule(commands, pattern, redis_6=redis_6))


def addition(collectors: Iterable[Collector], place: str, *, pattern: str = PATTERN) -> str:
    """Return the line that adds what may be named in one place only, for a user who has the rest already."""
    commands = needed(collectors)[place]
    keys = key_rule(set(commands) & WRITING, pattern)
    return " ".join(["ACL SETUSER", USER, *keys, *(f"+{command}" for command in commands)])


def of_source(kind: str) -> str:
    """Return the line that adds what a kind of source asks, for a user who has the rest already."""
    return " ".join(["ACL SETUSER", USER, *(f"+{command}" for command in SOURCES[kind][1])])


def _whole(commands: Iterable[str], password: str, keys: Iterable[str] = ()) -> str:
    words = ["ACL SETUSER", USER, "reset", "on", f">{password}", *keys, *(f"+{command}" for command in commands)]
    return " ".join(words)


def sent(args: tuple[str | int | bytes, ...], declared: Iterable[str]) -> str | None:
    """Return which of the declared commands a command is, as an ACL names it; None when it is none of them."""
    words = [str(word).lower() for word in args[:2]]
    return next((name for name in ("|".join(words), words[0]) if name in set(declared)), None)


def sentence(collectors: Mapping[str, Collector]) -> str:
    """Return the sentence that quotes the line of the default set, for README."""
    # One line of a code block: it is pasted into a shell, also out of the file itself.
    text = pasted(line(one for one in collectors.values() if one.default))
    said = "A user that may do what the default set needs, and nothing else ([more](docs/acl.md)):"
    return f"{said}\n\n```sh\n{text}\n```\n"


def page(collectors: Mapping[str, Collector]) -> str:
    """Return the rendered part of ``docs/acl.md``."""
    everything = tuple(collectors.values())
    default = tuple(one for one in everything if one.default)
    parts = [
        _section("## The default set", default),
        _section("## Every collector", everything),
        "## Redis 6\n\nIt cannot allow reads alone, nor run scripts that can only read. Every collector:\n",
        _block(line(everything, redis_6=True)),
        "## Targets that are found\n",
        *(text for kind, (who, _) in SOURCES.items() for text in (f"{who} also:\n", _block(of_source(kind)))),
        "## Sentinels that name the targets\n\nThe user of `sentinel.username`, on each Sentinel.",
        "Without `+subscribe`, failovers are found by questions alone.\n",
        _block(discovery_line()),
        "## One by one\n\nEach line is the whole of what a target with this collector alone needs.\n",
        *(_section(f"### `{name}`", (one,)) for name, one in collectors.items()),
    ]
    return "\n".join(parts)


def _section(title: str, collectors: tuple[Collector, ...]) -> str:
    places = [place for place in needed(collectors) if place not in (ANYWHERE, SENTINEL)]
    later = [place for place in places if place.startswith("Sentinel")]
    text = [title, ""]
    if set(on_sentinel(collectors)) != set(collectors) or SENTINEL not in needed(collectors):
        text.append(_block(line(collectors)))
    if before := [place for place in places if place not in later]:
        text += _additions(collectors, before)
    if on_sentinel(collectors):
        text += ["On a Sentinel, which has users of its own:", "", _block(sentinel_line(collectors))]
    return "\n".join([*text, *_additions(collectors, later)])


def _additions(collectors: tuple[Collector, ...], places: Iterable[str]) -> list[str]:
    return [text for place in places for text in (f"On {place} also:", "", _block(addition(collectors, place)))]


def sentinel_line(collectors: Iterable[Collector], *, places: Iterable[str] = (), password: str = PASSWORD) -> str:
    """Return the whole line for a Sentinel, which has few commands but its own."""
    by_place = needed(on_sentinel(collectors))
    commands = [word for place in (ANYWHERE, SENTINEL, *places) for word in by_place.get(place, ())]
    return _whole([*commands, *[SET_LIBRARY] * (NAMED_LIBRARY in places)], password)


def discovery_line(password: str = PASSWORD) -> str:
    """Return the whole line for Sentinels that are asked where their masters are, and listened to."""
    return _whole(COMMANDS, password, [f"&{channel}" for channel in CHANNELS])


def on_sentinel(collectors: Iterable[Collector]) -> list[Collector]:
    """Return those that read Sentinels."""
    return [one for one in collectors if one.applies(Server(mode="sentinel", role="sentinel"))]


def pasted(text: str) -> str:
    """Return a line as a shell takes it: a shell would read ``>``, ``|``, ``~`` and ``&`` as its own."""
    return f"redis-cli {shlex.join(text.split())}"


def _block(text: str) -> str:
    return f"```sh\n{pasted(text)}\n```\n"
