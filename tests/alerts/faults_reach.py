"""Faults of reaching a server: gone, hung, denied, slow, sometimes failing, away for a moment."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import trustme

from tests.alerts.environment import Stage, target
from tests.alerts.fault import Fault, nothing
from tests.integration.servers import RealServer


def faults(stage: Stage) -> Iterator[Fault]:
    """Build their servers, and yield them."""
    yield from _gone(stage)
    yield from _denied(stage)
    yield from _certificates(stage)
    yield from _slow(stage)
    yield from _moments(stage)


def _gone(stage: Stage) -> Iterator[Fault]:
    killed, hung = stage.server("killed"), stage.server("hung", "valkey")
    yield Fault(
        "killed",
        [target("killed", killed)],
        inject=killed.kill,
        heal=killed.start,
    )
    yield Fault(
        "hung (SIGSTOP)",
        [target("hung", hung)],
        inject=hung.freeze,
        heal=hung.thaw,
    )
    # A delay of 50 ms a key: it loads for the whole time of the fault.
    loading = stage.server("loading", "valkey", enable_debug_command="yes")
    loading.fill(1500)
    loading.config |= {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024"}

    def restart() -> None:
        loading.kill()
        loading.start()

    def loaded() -> None:
        loading.run("CONFIG", "SET", "key-load-delay", "0")

    yield Fault(
        "restarted, and loading its dataset",
        [target("loading", loading)],
        inject=restart,
        heal=loaded,
    )


def _denied(stage: Stage) -> Iterator[Fault]:
    password = stage.server("password", requirepass="first")

    def rotate() -> None:
        password.run("CONFIG", "SET", "requirepass", "second")
        password.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def back() -> None:
        password.run("CONFIG", "SET", "requirepass", "first")

    yield Fault(
        "wrong password",
        [target("password", password, password="first")],
        inject=rotate,
        heal=back,
    )
    for fault, name, lost in (("ACL taken away", "acl", "-@all"), ("ACL without INFO", "acl-info", "-info")):
        server = stage.server(name, "valkey")
        server.run("ACL", "SETUSER", "exporter", "on", "nopass", "~*", "+@all")
        yield Fault(
            fault,
            [target(name, server, username="exporter", password="any")],
            inject=lambda server=server, lost=lost: server.run("ACL", "SETUSER", "exporter", lost),  # type: ignore[misc]
            heal=lambda server=server: server.run("ACL", "SETUSER", "exporter", "+@all"),  # type: ignore[misc]
        )


def _certificates(stage: Stage) -> Iterator[Fault]:
    ca = trustme.CA()
    folder = stage.place("certificates")
    folder.mkdir(parents=True)
    trusted = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(trusted))
    now = dt.datetime.now(dt.UTC)

    def certificate(name: str, days: float) -> tuple[Path, Path]:
        made = ca.issue_cert(
            "127.0.0.1",
            not_before=now - dt.timedelta(days=365),
            not_after=now + dt.timedelta(days=days),
        )
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(str(paths[0]))
        made.private_key_pem.write_to_path(str(paths[1]))
        return paths

    good = certificate("good", 90)

    def show(server: RealServer, name: str, days: float) -> None:
        cert, key = certificate(name, days) if name != "good" else good
        server.run("CONFIG", "SET", "tls-cert-file", str(cert), "tls-key-file", str(key))
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    for fault, name, days in (
        ("TLS certificate expired", "tls-expired", -1.0),
        ("TLS certificate expires in 6 days", "tls-expiring", 6.0),
    ):
        server = stage.server(name, tls=(*good, trusted))
        yield Fault(
            fault,
            [target(name, server, url=server.url, tls={"ca_file": str(trusted)})],
            inject=lambda server=server, name=name, days=days: show(server, name, days),  # type: ignore[misc]
            heal=lambda server=server: show(server, "good", 0),  # type: ignore[misc]
        )


def _slow(stage: Stage) -> Iterator[Fault]:
    for name, delay in (("latency-5ms", 0.005), ("latency-150ms", 0.15)):
        way = stage.proxy(stage.server(name))
        yield Fault(
            f"latency +{1000 * delay:g} ms, the edge is at 100 ms",
            [target(name, way)],
            inject=lambda way=way, delay=delay: setattr(way, "delay", delay),  # type: ignore[misc]
            heal=lambda way=way: setattr(way, "delay", 0.0),  # type: ignore[misc]
        )
    slow = stage.server("slow-commands", "valkey", enable_debug_command="yes")
    client = stage.client(slow)
    sleeper = stage.loop(lambda: client.execute_command("DEBUG", "SLEEP", "0.6"), 0.01)
    yield Fault(
        "slow commands, 0.6 s each",
        [target("slow-commands", slow)],
        inject=sleeper.start,
        heal=sleeper.stop,
    )


def _moments(stage: Stage) -> Iterator[Fault]:
    way = stage.proxy(stage.server("two-percent"))
    often = {"probe": {"interval": "30ms", "timeout": "1s"}, "collectors": []}
    yield Fault(
        "2 % of the pings fail",
        [target("two-percent", way) | often],
        inject=lambda: setattr(way, "spoil", 50),
        heal=lambda: setattr(way, "spoil", None),
        exporter="exporter-quick",  # which has nothing else to do, so that it skips none of 33 pings a second
    )
    again = stage.server("restart", "valkey")

    def restart() -> None:
        again.kill()
        again.start()

    yield Fault(
        "restart within a second",
        [target("restart", again)],
        inject=restart,
        heal=nothing,
    )
