"""The lines of docs/acl.md on real servers: each is enough, and nothing in it is superfluous.

Every collector is run, through the real client, as a user who was made with exactly its line.
"""

import asyncio
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from redis_pulse import collectors
from redis_pulse.collectors import Collector
from redis_pulse.errors import TargetError
from redis_pulse.metric import Sample
from redis_pulse.polling.poll_commands import RefusedCommands
from redis_pulse.server_info import Server
from tests import collector_options, replay
from tests.harness import TargetHarness
from tests.integration.daemon import Daemon
from tests.integration.servers import ALL, RealServer, binary, free_port
from tests.replies.record import SPIN, Connection
from tests.replies.record_session import eventually, kinds
from tools import acl

pytestmark = pytest.mark.integration

PASSWORD = "correct-horse"
NAMES = list(collectors.load())
#: Where a server, and the options of ``tests/collector_options.py``, are to be found among the places of additions.
PLACES = {
    "valkey": ("Valkey 8.1 or later", acl.NAMED_LIBRARY, "servers whose HyperLogLogs may be counted"),
    "redis": ("servers whose HyperLogLogs may be counted",),
}
OF_SENTINELS = ("Sentinels whose configuration is published",)


class Site(NamedTuple):
    """A server that a collector may be tried on."""

    kind: str
    software: str
    port: int
    admin: redis.Redis

    def run(self, *command: str | int) -> Any:
        return self.admin.execute_command(*command)

    def line(self, chosen: list[Collector]) -> str:
        """Return the line of the docs for this server, for all keys."""
        if self.kind == "sentinel":
            named = (acl.NAMED_LIBRARY,) if self.software == "valkey" else ()
            return acl.sentinel_line(chosen, places=(*OF_SENTINELS, *named), password=PASSWORD)
        return acl.line(chosen, places=PLACES[self.software], password=PASSWORD, pattern="*")

    def become(self, line: str, *changes: str) -> None:
        """Make the user anew, exactly as a person would who copies the line."""
        self.run(*line.split(), *changes)
        self.run("ACL", "LOG", "RESET")
        self.stir()

    def stir(self) -> None:
        """Let the server forget a cardinality that it was asked for: it is counted anew when it is asked for again."""
        if self.kind == "primary":
            self.run("PFADD", "kind:hll", *(random.randrange(10**9) for _ in range(9)))

    def denied(self) -> list[str]:
        """Return what the server denied since the user was made."""
        entries = self.run("ACL", "LOG")
        return sorted({_said(entry, "object").lower() for entry in entries})

    def errors(self) -> int:
        """Return how many error replies the server has given."""
        return int(self.run("INFO", "stats").get("total_error_replies", 0))


def _said(entry: Any, field: str) -> str:
    if isinstance(entry, dict):
        value = {_text(key): value for key, value in entry.items()}[field]
    else:
        value = dict(zip([_text(word) for word in entry[::2]], entry[1::2], strict=True))[field]
    return _text(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Outcome(NamedTuple):
    """What a collector found, by name, or the error that it ended in; ``applies`` is False where it is not run."""

    applies: bool
    names: frozenset[str]
    error: TargetError | None


def look(site: Site, chosen: list[Collector], **credentials: Any) -> dict[str, Outcome]:
    """Run INFO and these collectors, twice, as the sampler would; return the second outcome of each."""

    async def run() -> list[replay.Run]:
        watched = TargetHarness(f"redis://127.0.0.1:{site.port}", **credentials)
        server, refusals = Server(local=True), RefusedCommands()
        every = dict.fromkeys([collectors.load()["info"], *chosen])
        parts = [(collector.for_target(), collector_options.options(collector, site.kind)) for collector in every]
        try:
            for _ in range(2):
                commands = watched.client.commands("test", watched.clock() + 10)
                runs = await replay.poll(server, commands, parts, refusals)
            return runs
        finally:
            await watched.close()

    return {
        run.collector.name: Outcome(
            run.found is not None or run.error is not None,
            frozenset(item.metric.full_name for item in run.found or () if isinstance(item, Sample)),
            run.error,
        )
        for run in asyncio.run(run())
    }


def as_exporter(site: Site, chosen: list[Collector]) -> dict[str, Outcome]:
    return look(site, chosen, username=acl.USER, password=PASSWORD)


@pytest.fixture(scope="module", params=ALL)
def sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """A primary with keys of every kind, a node of a cluster, and a Sentinel; once each of Valkey and Redis."""
    software = request.param
    folder = tmp_path_factory.mktemp("acl")
    with ExitStack() as stack:
        common: dict[str, Any] = {"latency_monitor_threshold": "1", "slowlog_log_slower_than": "1000"}
        primary = stack.enter_context(RealServer(folder / "primary", software, **common))
        cluster = stack.enter_context(RealServer(folder / "cluster", software, cluster_enabled="yes", **common))
        cluster.run("CLUSTER", "ADDSLOTS", *range(16384))
        eventually(lambda: "cluster_state:ok" in str(cluster.run("CLUSTER", "INFO")))
        fill(primary.port)
        sentinel = stack.enter_context(sentinel_of(primary, folder / "sentinel"))
        yield [
            Site("primary", software, primary.port, primary.admin),
            Site("cluster", software, cluster.port, cluster.admin),
            Site("sentinel", software, sentinel[0], sentinel[1]),
        ]


def fill(port: int) -> None:
    connection = Connection(port)
    kinds(connection)
    connection.ask("EVAL", SPIN, 0)
    connection.ask("SELECT", 3)
    connection.ask("HSET", "hash", "a", 1)
    connection.ask("SET", "user:1", "hello")
    connection.file.close()
    connection.socket.close()


class sentinel_of:  # noqa: N801  # reads as a sentence where it is used
    """A Sentinel that watches a server: its port and a client."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir()
        config = folder / "sentinel.conf"
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {folder}"]
        config.write_text("\n".join([*lines, f"sentinel monitor mymaster 127.0.0.1 {server.port} 1"]) + "\n")
        self._command = [binary(server.software), str(config), "--sentinel"]

    def __enter__(self) -> tuple[int, redis.Redis]:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self._client = redis.Redis(port=self.port, protocol=2, socket_timeout=5)
        for _ in range(100):
            try:
                self._client.ping()
            except redis.ConnectionError:
                asyncio.run(asyncio.sleep(0.05))
            else:
                return self.port, self._client
        raise RuntimeError("the Sentinel did not start")

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.kill()
        self._process.wait()


@pytest.mark.parametrize("name", NAMES)
def test_the_line_of_a_collector_is_enough_and_nothing_in_it_is_superfluous(sites: list[Site], name: str) -> None:
    collector = collectors.load()[name]
    mattered: set[str] = set()
    tried = False
    for site in sites:
        whole = look(site, [collector])[name]
        if not whole.applies or isinstance(whole.error, collectors.UNSUPPORTED):
            continue
        assert whole.error is None, f"{site.kind}: {whole.error!r}"
        tried = True
        enough(site, [collector])
        for command in declared_for(collector, site.software):
            if matters(site, collector, command, whole):
                mattered.add(command)
    if not tried:
        places = {acl.where(command) for command in collector.commands} - {acl.ANYWHERE, *PLACES[sites[0].software]}
        assert places or not collector.commands, "no server here has what it reads"
        pytest.skip(f"needs {', '.join(places)}" if places else "sends nothing that an ACL could name")
    known = set(declared_for(collector, sites[0].software)) - {"info"}
    assert known <= mattered, f"declared, and never missed: {sorted(known - mattered)}"


def declared_for(collector: Collector, software: str) -> list[str]:
    """Return the declared commands that such a server knows, and that are sent with the options of the tests."""
    here = (acl.ANYWHERE, acl.SENTINEL, *OF_SENTINELS, *PLACES[software])
    return [command for command in collector.commands if acl.where(command) in here]


def enough(site: Site, chosen: list[Collector]) -> None:
    """With the line of the docs the user sees what an administrator sees, and is denied nothing."""
    site.run("ACL", "LOG", "RESET")  # as it is below: what it holds is read by a collector too
    whole = look(site, chosen)
    site.become(site.line(chosen))
    before = site.errors()
    found = as_exporter(site, chosen)
    assert site.denied() == [], f"{site.software} {site.kind} denied something"
    for name, outcome in found.items():
        assert type(outcome.error) is type(whole[name].error), f"{name}: {outcome.error!r}"
        # More is no denial: a latency event may have come meanwhile.
        assert outcome.names >= whole[name].names, f"{name}: {sorted(whole[name].names - outcome.names)}"
    unknown = sum(isinstance(outcome.error, collectors.UNSUPPORTED) for outcome in whole.values())
    assert site.errors() - before <= unknown


def matters(site: Site, collector: Collector, command: str, whole: Outcome) -> bool:
    """Whether the collector finds less, or is refused, when this one command is taken from its user."""
    site.become(site.line([collector]), f"-{command}")
    found = as_exporter(site, [collector])[collector.name]
    return found.error is not None or found.names < whole.names or bool(site.denied())


@pytest.mark.parametrize("which", ["default", "every"])
def test_the_line_of_a_set_of_collectors_is_enough(sites: list[Site], which: str) -> None:
    chosen = [collector for collector in collectors.load().values() if which == "every" or collector.default]
    for site in sites:
        enough(site, chosen)


def test_a_daemon_with_the_line_of_the_default_set_is_denied_nothing(
    server: RealServer, watch: Callable[..., Daemon]
) -> None:
    """What the collectors do not send is covered too: connecting, probing, health checks, disconnecting."""
    default = [collector for collector in collectors.load().values() if collector.default]
    line = acl.line(default, places=PLACES[server.software], password=PASSWORD)
    server.run(*line.split())
    daemon = watch(server, username=acl.USER, password=PASSWORD, poll={"interval": "200ms", "timeout": "200ms"})
    page = daemon.wait_for(lambda page: page.slots("info") >= 5)
    assert page.value("redis_collector_success", collector="info") == 1
    assert server.run("ACL", "LOG") == []


def test_which_commands_name_keys_is_what_the_servers_say(server: RealServer) -> None:
    """A line without a pattern of keys is no use to a collector that reads keys, and one with it allows too much."""
    connection = Connection(server.port)
    declared = {command for collector in collectors.load().values() for command in collector.commands}
    for command in sorted(declared - acl.SCRIPTS):
        (about,) = connection.ask("COMMAND", "INFO", command)
        if about is None:  # this server does not have it
            continue
        names_keys = about[3] != 0 or any(b"RO" in spec[1] or b"RW" in spec[1] for spec in map(list, about[8]))
        assert names_keys == bool(acl.key_rule([command])), command
    connection.file.close()
    connection.socket.close()
