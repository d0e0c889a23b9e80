"""The lines of docs/acl.md on real servers: each is sufficient, and all its parts are needed.

Each collector runs, through the real client, as a user that was created with exactly its line.
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
from tests.replies.record_session import create_keys, eventually
from tools import acl

pytestmark = pytest.mark.integration

PASSWORD = "correct-horse"
#: The sampler of ``keyspace_sample`` sends its commands, not the collector: ``test_keyspace.py`` tests its line.
NAMES = [name for name in collectors.load() if name != "keyspace_sample"]
#: Software → the additions that its servers and the options of ``tests/collector_options.py`` need.
ADDITIONS = {
    "valkey": (
        *("Valkey 8.1 or later", "Valkey 9.0 or later", acl.GROUP_BY_COMMAND["cluster|slot-stats"]),
        *(acl.LIBRARY_NAME, "servers where HyperLogLogs are counted"),
    ),
    "redis": ("servers where HyperLogLogs are counted",),
}
SENTINEL_ADDITIONS = ("Sentinels where the configuration is published",)


class AclServer(NamedTuple):
    """A server on which collectors are tested."""

    role: str
    software: str
    port: int
    admin: redis.Redis

    def run(self, *command: str | int) -> Any:
        return self.admin.execute_command(*command)

    def line(self, chosen: list[Collector]) -> str:
        """Return the line of the docs for this server, for all keys."""
        if self.role == "sentinel":
            named = (acl.LIBRARY_NAME,) if self.software == "valkey" else ()
            return acl.sentinel_line(chosen, groups=(*SENTINEL_ADDITIONS, *named), password=PASSWORD)
        return acl.line(chosen, groups=ADDITIONS[self.software], password=PASSWORD, pattern="*")

    def create_user(self, line: str, *changes: str) -> None:
        """Create the user again, as a person does who copies the line."""
        self.run(*line.split(), *changes)
        self.run("ACL", "LOG", "RESET")
        self.invalidate_cardinality()

    def invalidate_cardinality(self) -> None:
        """Invalidate the cached cardinality of the HyperLogLog, so that PFCOUNT counts again."""
        if self.role == "primary":
            self.run("PFADD", "kind:hll", *(random.randrange(10**9) for _ in range(9)))

    def denied(self) -> list[str]:
        """Return the objects that the server denied since the user was created."""
        entries = self.run("ACL", "LOG")
        return sorted({_field(entry, "object").lower() for entry in entries})

    def errors(self) -> int:
        """Return the number of error replies of the server."""
        return int(self.run("INFO", "stats").get("total_error_replies", 0))


def _field(entry: Any, field: str) -> str:
    if isinstance(entry, dict):
        fields = {_text(name): value for name, value in entry.items()}
    else:
        fields = dict(zip(map(_text, entry[::2]), entry[1::2], strict=True))
    return _text(fields[field])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Outcome(NamedTuple):
    """The names of the metrics of a collector, or its error. ``applies`` is False if the collector did not run."""

    applies: bool
    names: frozenset[str]
    error: TargetError | None


def run_collectors(server: AclServer, chosen: list[Collector], **credentials: Any) -> dict[str, Outcome]:
    """Run INFO and these collectors twice, as the poller does. Return the second outcome of each."""

    async def run() -> list[replay.Run]:
        harness = TargetHarness(f"redis://127.0.0.1:{server.port}", **credentials)
        state, refusals = Server(local=True), RefusedCommands()
        with_info = dict.fromkeys([collectors.load()["info"], *chosen])
        parts = [(collector.for_target(), collector_options.options(collector, server.role)) for collector in with_info]
        try:
            for _ in range(2):
                commands = harness.client.commands("test", harness.clock() + 10)
                runs = await replay.poll(state, commands, parts, refusals)
            return runs
        finally:
            await harness.close()

    return {
        run.collector.name: Outcome(
            run.items is not None or run.error is not None,
            frozenset(item.metric.full_name for item in run.items or () if isinstance(item, Sample)),
            run.error,
        )
        for run in asyncio.run(run())
    }


def run_as_exporter(server: AclServer, chosen: list[Collector]) -> dict[str, Outcome]:
    return run_collectors(server, chosen, username=acl.USER, password=PASSWORD)


@pytest.fixture(scope="module", params=ALL)
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[AclServer]]:
    """Yield a primary with keys of each type, a cluster node and a Sentinel, of Valkey and then of Redis."""
    software = request.param
    folder = tmp_path_factory.mktemp("acl")
    with ExitStack() as stack:
        common: dict[str, Any] = {"latency_monitor_threshold": "1", "slowlog_log_slower_than": "1000"}
        primary = stack.enter_context(RealServer(folder / "primary", software, **common))
        cluster = stack.enter_context(RealServer(folder / "cluster", software, cluster_enabled="yes", **common))
        cluster.run("CLUSTER", "ADDSLOTS", *range(16384))
        eventually(lambda: "cluster_state:ok" in str(cluster.run("CLUSTER", "INFO")))
        create_primary_content(primary.port)
        sentinel = stack.enter_context(SentinelProcess(primary, folder / "sentinel"))
        yield [
            AclServer("primary", software, primary.port, primary.admin),
            AclServer("cluster", software, cluster.port, cluster.admin),
            AclServer("sentinel", software, sentinel[0], sentinel[1]),
        ]


def create_primary_content(port: int) -> None:
    connection = Connection(port)
    create_keys(connection)
    connection.execute("EVAL", SPIN, 0)
    connection.execute("SELECT", 3)
    connection.execute("HSET", "hash", "a", 1)
    connection.execute("SET", "user:1", "hello")
    connection.file.close()
    connection.socket.close()


class SentinelProcess:
    """A Sentinel that watches a server. Entering the context returns its port and a client."""

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
def test_line_of_a_collector_is_sufficient_and_all_its_parts_are_needed(servers: list[AclServer], name: str) -> None:
    collector = collectors.load()[name]
    needed: set[str] = set()
    has_run = False
    for server in servers:
        as_admin = run_collectors(server, [collector])[name]
        if not as_admin.applies or isinstance(as_admin.error, collectors.UNSUPPORTED):
            continue
        assert as_admin.error is None, f"{server.role}: {as_admin.error!r}"
        has_run = True
        assert_sufficient(server, [collector])
        for command in declared_for(collector, server.software):
            if is_needed(server, collector, command, as_admin):
                needed.add(command)
    if not has_run:
        additions = {acl.server_group(command) for command in collector.commands} - {
            acl.ALL_SERVERS,
            *ADDITIONS[servers[0].software],
        }
        assert additions or not collector.commands, "no server of this test has what the collector reads"
        pytest.skip(f"needs {', '.join(additions)}" if additions else "sends no command that an ACL could name")
    declared = set(declared_for(collector, servers[0].software)) - {"info"}
    assert declared <= needed, f"declared, but not needed: {sorted(declared - needed)}"


def declared_for(collector: Collector, software: str) -> list[str]:
    """Return the declared commands that the servers have and that the options of the tests send."""
    additions = (acl.ALL_SERVERS, acl.SENTINEL, *SENTINEL_ADDITIONS, *ADDITIONS[software])
    return [command for command in collector.commands if acl.server_group(command) in additions]


def assert_sufficient(server: AclServer, chosen: list[Collector]) -> None:
    """Assert that with the line of the docs the user reads as much as an administrator, and nothing is denied."""
    server.run("ACL", "LOG", "RESET")  # as in create_user, because a collector reads the log
    as_admin = run_collectors(server, chosen)
    server.create_user(server.line(chosen))
    before = server.errors()
    outcomes = run_as_exporter(server, chosen)
    assert server.denied() == [], f"{server.software} {server.role} denied a command"
    for name, outcome in outcomes.items():
        assert type(outcome.error) is type(as_admin[name].error), f"{name}: {outcome.error!r}"
        # More names are fine: a latency event may have happened meanwhile.
        assert outcome.names >= as_admin[name].names, f"{name}: {sorted(as_admin[name].names - outcome.names)}"
    unknown = sum(isinstance(outcome.error, collectors.UNSUPPORTED) for outcome in as_admin.values())
    assert server.errors() - before <= unknown


def is_needed(server: AclServer, collector: Collector, command: str, as_admin: Outcome) -> bool:
    """Return whether the collector reads less, or is denied, without the permission for this command."""
    server.create_user(server.line([collector]), f"-{command}")
    outcome = run_as_exporter(server, [collector])[collector.name]
    return outcome.error is not None or outcome.names < as_admin.names or bool(server.denied())


@pytest.mark.parametrize("which", ["default", "all"])
def test_line_of_a_set_of_collectors_is_sufficient(servers: list[AclServer], which: str) -> None:
    chosen = [collector for collector in collectors.load().values() if which == "all" or collector.default]
    for server in servers:
        assert_sufficient(server, chosen)


def test_daemon_with_the_line_of_the_default_collectors_is_never_denied(
    server: RealServer, watch: Callable[..., Daemon]
) -> None:
    """The line also covers what is not sent by collectors: connecting, probing, health checks, disconnecting."""
    default = [collector for collector in collectors.load().values() if collector.default]
    line = acl.line(default, groups=ADDITIONS[server.software], password=PASSWORD)
    server.run(*line.split())
    daemon = watch(server, username=acl.USER, password=PASSWORD, poll={"interval": "200ms", "timeout": "200ms"})
    page = daemon.wait_for(lambda page: page.operations("info") >= 5)
    assert page.value("redis_collector_success", collector="info") == 1
    assert server.run("ACL", "LOG") == []


def test_commands_with_keys_are_those_that_the_server_reports(server: RealServer) -> None:
    """A collector that reads keys needs a key pattern in its line. For others a pattern allows too much."""
    connection = Connection(server.port)
    declared = {command for collector in collectors.load().values() for command in collector.commands}
    for command in sorted(declared - acl.SCRIPT_COMMANDS):
        (details,) = connection.execute("COMMAND", "INFO", command)
        if details is None:  # this server does not have it
            continue
        names_keys = details[3] != 0 or any(b"RO" in spec[1] or b"RW" in spec[1] for spec in map(list, details[8]))
        assert names_keys == bool(acl.key_rule([command])), command
    connection.file.close()
    connection.socket.close()
