"""systemd is told the truth, on a real datagram socket: ready, reloading, stopping, and every beat of the loop."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, Problem, Settings
from redis_pulse.daemon import lifecycle
from redis_pulse.daemon.systemd import Systemd
from tests.fakes import FakeServer, ManualClock
from tests.harness import eventually, target_settings

PID = 42


class Manager:
    """The other end of the socket, as systemd holds it."""

    def __init__(self, address: str) -> None:
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind("\0" + address[1:] if address.startswith("@") else address)
        self.door.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def heard(self) -> list[str]:
        """Every datagram since the last call."""
        found = []
        while True:
            try:
                found.append(self.door.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.door.close()


def service(environ: dict[str, str], clock: ManualClock | None = None) -> Systemd:
    return Systemd(environ, clock=clock or ManualClock(), pid=PID, interval=1)


def test_each_state_is_one_datagram_in_the_words_of_the_protocol(manager: Manager) -> None:
    told = service(manager.environ, ManualClock(12.5))
    told.ready("watching 2 targets")
    told.reloading()
    told.stopping()
    assert manager.heard() == [
        "READY=1\nSTATUS=watching 2 targets",
        "RELOADING=1\nMONOTONIC_USEC=12500000\nSTATUS=reading the configuration again",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_an_abstract_socket_is_found_too() -> None:
    manager = Manager(f"@redis-pulse-test-{os.getpid()}")
    service(manager.environ).ready("here")
    assert manager.heard() == ["READY=1\nSTATUS=here"]
    manager.door.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_where_nobody_listens_nothing_happens(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    told = service(environ)
    told.ready("watching")
    told.beat()
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
def test_beats_are_sent_to_a_watchdog_that_waits_for_us(
    manager: Manager, environ: dict[str, str], seconds: float | None
) -> None:
    told = service({**manager.environ, **environ})
    assert told.watchdog == seconds
    told.beat()
    told.beat()
    assert manager.heard() == (["WATCHDOG=1"] * 2 if seconds else [])


def test_what_finds_no_room_is_told_with_the_next_beat(manager: Manager) -> None:
    """A queue of datagrams is short; READY must not be lost in it, and nothing may wait."""
    crowd = service({**manager.environ, "WATCHDOG_USEC": "10000000"})
    told = service(manager.environ)
    for _ in range(2000):
        crowd.beat()
    told.ready("at last")
    queued = manager.heard()
    assert set(queued) == {"WATCHDOG=1"}
    assert len(queued) < 2000
    told.beat()
    told.beat()
    assert manager.heard() == ["READY=1\nSTATUS=at last"]


def test_a_socket_that_is_gone_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from redis_pulse import log

    log.setup("info", "logfmt")
    told = service({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "10000000"})
    told.ready("anybody?")
    told.beat()
    [line] = capsys.readouterr().err.splitlines()
    assert "systemd does not hear us" in line
    assert "No such file" in line


async def test_the_daemon_tells_its_whole_life(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY only when pages are served; a reload that fails is over too, and says so; the last word is STOPPING."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.environ["NOTIFY_SOCKET"])
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.INTERVAL", 0.01)
    heard: list[str] = []

    def hears(word: str, count: int = 1) -> bool:
        heard.extend(manager.heard())
        return sum(word in line for line in heard) >= count

    async with FakeServer() as server:
        good = LoadedConfig(Settings(listen="127.0.0.1:0"), (target_settings(server.url),))
        answers: list[LoadedConfig | ConfigError] = [ConfigError([Problem("x.yaml", "is bad")]), good]

        def read() -> LoadedConfig:
            answer = answers.pop()
            if isinstance(answer, ConfigError):
                raise answer
            return answer

        running = asyncio.create_task(lifecycle.serve(good, reload=read))
        await eventually(lambda: hears("READY=1") and hears("WATCHDOG=1", 3))
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda count=count: hears("READY=1", count + 1))  # type: ignore[misc]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 10)
        assert hears("STOPPING=1")
    states = [line.partition("\n")[0] for line in heard if line != "WATCHDOG=1"]
    assert states == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    statuses = [line.rpartition("STATUS=")[2] for line in heard if line.startswith("READY")]
    assert statuses[:2] == ["watching 1 declared target"] * 2
    assert statuses[2].startswith("the last reload failed")


def test_a_watchdog_that_our_beats_cannot_satisfy_is_warned_of(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.environ["NOTIFY_SOCKET"])
    monkeypatch.setenv("WATCHDOG_USEC", "1500000")
    config = LoadedConfig(Settings(listen="127.0.0.1:0"), (target_settings(),))
    assert lifecycle.run(config, reload=lambda: config, started=lambda _port: os.kill(os.getpid(), signal.SIGTERM)) == 0
    assert "WatchdogSec is shorter" in capsys.readouterr().err


def test_want_of_a_descriptor_passes(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment without descriptors once stopped the pulse for ever, and systemd would have killed the daemon."""
    told = service({**manager.environ, "WATCHDOG_USEC": "10000000"})

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("redis_pulse.daemon.systemd.socket.socket", refuse)
        told.ready("soon")
        told.beat()
    told.beat()
    assert manager.heard() == ["READY=1\nSTATUS=soon", "WATCHDOG=1"]
