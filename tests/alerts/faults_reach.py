"""Faults between the exporter and a server: down, hung, access denied, slow, or failing for moments."""

import datetime as dt
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import trustme

from tests.alerts.environment import Environment, target
from tests.alerts.fault import Fault, nothing
from tests.integration.servers import RealServer


def faults(environment: Environment) -> Iterator[Fault]:
    """Start the servers of these faults, and yield the faults."""
    yield from _unreachable(environment)
    yield from _denied(environment)
    yield from _certificates(environment)
    yield from _slow(environment)
    yield from _intermittent(environment)


def _unreachable(environment: Environment) -> Iterator[Fault]:
    killed, hung = environment.server("killed"), environment.server("hung", "valkey")
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
    # With a delay of 50 ms for each key, the server is loading as long as the fault lasts.
    loading = environment.server("loading", "valkey", enable_debug_command="yes")
    loading.fill(1500)
    loading.config |= {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024"}

    def restart() -> None:
        loading.kill()
        loading.start()

    def finish_loading() -> None:
        loading.run("CONFIG", "SET", "key-load-delay", "0")

    yield Fault(
        "restarted and loading its dataset",
        [target("loading", loading)],
        inject=restart,
        heal=finish_loading,
    )


def _denied(environment: Environment) -> Iterator[Fault]:
    password = environment.server("password", requirepass="first")

    def rotate() -> None:
        password.run("CONFIG", "SET", "requirepass", "second")
        password.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def restore() -> None:
        password.run("CONFIG", "SET", "requirepass", "first")

    yield Fault(
        "wrong password",
        [target("password", password, password="first")],
        inject=rotate,
        heal=restore,
    )
    server, token = environment.server("login", "valkey"), environment.new_folder("login-token")
    token.write_text("any")
    server.run("ACL", "SETUSER", "exporter", "on", "nopass", "~*", "+@all")
    credentials = {"command": ["/bin/cat", str(token)], "refresh_interval": "1s"}
    yield Fault(
        "login cannot be renewed",
        [target("login", server, username="exporter", credentials=credentials)],
        inject=token.unlink,
        heal=partial(token.write_text, "any"),
    )
    for fault, name, revoked in (("ACL allows no commands", "acl", "-@all"), ("ACL forbids INFO", "acl-info", "-info")):
        server = environment.server(name, "valkey")
        server.run("ACL", "SETUSER", "exporter", "on", "nopass", "~*", "+@all")
        yield Fault(
            fault,
            [target(name, server, username="exporter", password="any")],
            inject=partial(server.run, "ACL", "SETUSER", "exporter", revoked),
            heal=partial(server.run, "ACL", "SETUSER", "exporter", "+@all"),
        )


def _certificates(environment: Environment) -> Iterator[Fault]:
    ca = trustme.CA()
    folder = environment.new_folder("certificates")
    folder.mkdir(parents=True)
    ca_file = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    now = dt.datetime.now(dt.UTC)

    def write_certificate(name: str, days: float) -> tuple[Path, Path]:
        certificate = ca.issue_cert(
            "127.0.0.1",
            not_before=now - dt.timedelta(days=365),
            not_after=now + dt.timedelta(days=days),
        )
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.cert_chain_pems[0].write_to_path(str(paths[0]))
        certificate.private_key_pem.write_to_path(str(paths[1]))
        return paths

    good = write_certificate("good", 90)

    def use_certificate(server: RealServer, name: str, days: float) -> None:
        cert, key = write_certificate(name, days) if name != "good" else good
        server.run("CONFIG", "SET", "tls-cert-file", str(cert), "tls-key-file", str(key))
        server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    for fault, name, days in (
        ("TLS certificate expired", "tls-expired", -1.0),
        ("TLS certificate expires in 6 days", "tls-expiring", 6.0),
    ):
        server = environment.server(name, tls=(*good, ca_file))
        yield Fault(
            fault,
            [target(name, server, url=server.url, tls={"ca_file": str(ca_file)})],
            inject=partial(use_certificate, server, name, days),
            heal=partial(use_certificate, server, "good", 0),
        )


def _slow(environment: Environment) -> Iterator[Fault]:
    for name, delay in (("latency-5ms", 0.005), ("latency-150ms", 0.15)):
        proxy = environment.proxy(environment.server(name))
        yield Fault(
            f"latency +{1000 * delay:g} ms, SLO edge at 100 ms",
            [target(name, proxy)],
            inject=partial(setattr, proxy, "delay", delay),
            heal=partial(setattr, proxy, "delay", 0.0),
        )
    slow = environment.server("slow-commands", "valkey", enable_debug_command="yes")
    client = environment.client(slow)
    sleeper = environment.repeating_thread(lambda: client.execute_command("DEBUG", "SLEEP", "0.6"), 0.01)
    yield Fault(
        "slow commands, 0.6 s each",
        [target("slow-commands", slow)],
        inject=sleeper.start,
        heal=sleeper.stop,
    )
    stopped = environment.server("stops", "valkey")
    pauser = environment.repeating_thread(lambda: stop_for(stopped, 0.6), 0.7)
    yield Fault(
        "process stopped for 0.6 s, again and again",
        [target("stops", stopped)],
        inject=pauser.start,
        heal=pauser.stop,
    )


def stop_for(server: RealServer, seconds: float) -> None:
    """Stop the process of a server for some time."""
    server.freeze()
    time.sleep(seconds)
    server.thaw()


def _intermittent(environment: Environment) -> Iterator[Fault]:
    proxy = environment.proxy(environment.server("two-percent"))
    # 33 pings a second meet each delay of the machine, so its stalls would say nothing about the server.
    frequent = {"probe": {"interval": "30ms", "timeout": "1s"}, "collectors": [], "stalls": {"enabled": False}}
    yield Fault(
        "2 % of the pings fail",
        [target("two-percent", proxy) | frequent],
        inject=partial(setattr, proxy, "corrupt_every", 50),
        heal=partial(setattr, proxy, "corrupt_every", None),
        # This exporter has no other targets, so it skips none of 33 pings a second.
        exporter="exporter-quick",
    )
    server = environment.server("restart", "valkey")

    def restart() -> None:
        server.kill()
        server.start()

    yield Fault(
        "restart within a second",
        [target("restart", server)],
        inject=restart,
        heal=nothing,
    )
