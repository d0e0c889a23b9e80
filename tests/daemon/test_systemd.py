"""Notifications for systemd on a real datagram socket: ready, reloading, stopping, and every tick of the loop."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse import log
from redis_pulse.config import ConfigError, LoadedConfig, Problem, Settings
from redis_pulse.daemon import lifecycle
from redis_pulse.daemon.systemd import Systemd
from tests.fakes import FakeServer, ManualClock
from tests.harness import eventually, target_settings

PID = 42


class NotifySocket:
    """The end of the socket that belongs to systemd."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def received(self) -> list[str]:
        """Return every datagram since the last call."""
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return datagrams


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[NotifySocket]:
    notify = NotifySocket(str(tmp_path / "notify"))
    yield notify
    notify.socket.close()


def make_systemd(environ: dict[str, str], clock: ManualClock | None = None) -> Systemd:
    return Systemd(environ, clock=clock or ManualClock(), pid=PID, interval=1)


def test_each_state_is_one_datagram_of_the_protocol(notify: NotifySocket) -> None:
    systemd = make_systemd(notify.environ, ManualClock(12.5))
    systemd.ready("monitoring 2 targets")
    systemd.reloading()
    systemd.stopping()
    assert notify.received() == [
        "READY=1\nSTATUS=monitoring 2 targets",
        "RELOADING=1\nMONOTONIC_USEC=12500000\nSTATUS=reading the configuration again",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_abstract_socket_is_supported() -> None:
    notify = NotifySocket(f"@redis-pulse-test-{os.getpid()}")
    make_systemd(notify.environ).ready("here")
    assert notify.received() == ["READY=1\nSTATUS=here"]
    notify.socket.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_nothing_is_sent_without_a_supported_socket(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    systemd = make_systemd(environ)
    systemd.ready("watching")
    systemd.tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 10),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(PID)}, 10),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_ticks_are_sent_only_to_a_watchdog_of_this_process(
    notify: NotifySocket, environ: dict[str, str], seconds: float | None
) -> None:
    systemd = make_systemd({**notify.environ, **environ})
    assert systemd.watchdog == seconds
    systemd.tick()
    systemd.tick()
    assert notify.received() == (["WATCHDOG=1"] * 2 if seconds else [])


def test_state_that_found_a_full_queue_is_sent_with_the_next_tick(notify: NotifySocket) -> None:
    """The queue of datagrams is short. READY must not get lost, and nothing may wait."""
    filler = make_systemd({**notify.environ, "WATCHDOG_USEC": "10000000"})
    systemd = make_systemd(notify.environ)
    for _ in range(2000):
        filler.tick()
    systemd.ready("at last")
    queued = notify.received()
    assert set(queued) == {"WATCHDOG=1"}
    assert len(queued) < 2000
    systemd.tick()
    systemd.tick()
    assert notify.received() == ["READY=1\nSTATUS=at last"]


def test_missing_socket_is_logged_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "logfmt")
    systemd = make_systemd({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "10000000"})
    systemd.ready("ready")
    systemd.tick()
    [line] = capsys.readouterr().err.splitlines()
    assert "systemd does not hear us" in line
    assert "No such file" in line


async def test_daemon_notifies_systemd_from_start_to_end(notify: NotifySocket, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY is sent when pages are served and after every reload, even one that failed. STOPPING comes last."""
    monkeypatch.setenv("NOTIFY_SOCKET", notify.environ["NOTIFY_SOCKET"])
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.TICK_INTERVAL", 0.01)
    received: list[str] = []

    def has_received(word: str, count: int = 1) -> bool:
        received.extend(notify.received())
        return sum(word in line for line in received) >= count

    async with FakeServer() as server:
        good = LoadedConfig(Settings(listen="127.0.0.1:0"), (target_settings(server.url),))
        results: list[LoadedConfig | ConfigError] = [ConfigError([Problem("x.yaml", "is bad")]), good]

        def read() -> LoadedConfig:
            result = results.pop()
            if isinstance(result, ConfigError):
                raise result
            return result

        running = asyncio.create_task(lifecycle.serve(good, reload=read))
        await eventually(lambda: has_received("READY=1") and has_received("WATCHDOG=1", 3))
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda count=count: has_received("READY=1", count + 1))  # type: ignore[misc]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 60)
        assert has_received("STOPPING=1")
    states = [line.partition("\n")[0] for line in received if line != "WATCHDOG=1"]
    assert states == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    statuses = [line.rpartition("STATUS=")[2] for line in received if line.startswith("READY")]
    assert statuses[:2] == ["monitoring 1 declared target"] * 2
    assert statuses[2].startswith("the last reload failed")


def test_watchdog_shorter_than_two_ticks_is_warned_about(
    notify: NotifySocket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", notify.environ["NOTIFY_SOCKET"])
    monkeypatch.setenv("WATCHDOG_USEC", "1500000")
    config = LoadedConfig(Settings(listen="127.0.0.1:0"), (target_settings(),))
    assert lifecycle.run(config, reload=lambda: config, started=lambda _port: os.kill(os.getpid(), signal.SIGTERM)) == 0
    assert "WatchdogSec is shorter" in capsys.readouterr().err


def test_lack_of_a_descriptor_is_temporary(notify: NotifySocket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise systemd would kill the daemon after one moment without descriptors."""
    systemd = make_systemd({**notify.environ, "WATCHDOG_USEC": "10000000"})

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("redis_pulse.daemon.systemd.socket.socket", refuse)
        systemd.ready("soon")
        systemd.tick()
    systemd.tick()
    assert notify.received() == ["READY=1\nSTATUS=soon", "WATCHDOG=1"]
