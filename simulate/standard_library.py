"""Replaces clocks, random numbers, sockets, threads, programs and limits of the standard library.

``install`` runs before anything imports ``redis_pulse``. So every ``from time import monotonic`` gets the virtual
clock, in the daemon and in its libraries. A new module of the daemon needs no hook for the simulation.
"""

import asyncio
import datetime as dt
import gc
import os
import random
import resource
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from simulate.clock import VirtualClock
from simulate.loop import VirtualLoop
from simulate.sockets import VirtualSocket

#: The limit of open files of the simulated machine.
MAX_DESCRIPTORS = 4096
_RealDatetime = dt.datetime
#: Decides how long the call of a thread takes: seconds, or None for a call that never returns.
ThreadDelay = Callable[[str, Any], float | None]
#: Returns the exit code and the output of a program.
Program = Callable[[], tuple[int, bytes]]
#: The real clocks of CPU time, for the rate of the simulation.
process_cpu_seconds = time.process_time


class Machine:
    """What the replaced functions use. There is one in a process."""

    def __init__(self, clock: VirtualClock, loop: VirtualLoop, rng: random.Random) -> None:
        self.clock, self.loop, self.random = clock, loop, rng
        self.thread_delay: ThreadDelay = lambda _kind, _key: 0.001
        self.look_up: Callable[[str], list[str]] = lambda _host: []
        self.connect_blocking: Callable[[str, int], Any] = _refuse
        #: the programs that do not run really, by their path
        self.programs: dict[str, Program] = {}
        #: the functions of threads that hang, by the kind of thread
        self.hung: dict[str, list[Callable[[], None]]] = {}
        self.max_descriptors = MAX_DESCRIPTORS

    def release(self, kind: str) -> None:
        """Let the threads of a kind that hang go on."""
        for run in self.hung.pop(kind, []):
            self.loop.call_soon(run)


def install(machine: Machine) -> None:
    """Replace the functions for the rest of the process."""
    if "redis_pulse" in sys.modules:
        raise RuntimeError("redis_pulse has been imported already, with the real clocks")
    clock = machine.clock
    _replace(
        time,
        monotonic=clock.monotonic,
        monotonic_ns=clock.monotonic_ns,
        perf_counter=clock.monotonic,
        perf_counter_ns=clock.monotonic_ns,
        time=clock.wall,
        time_ns=clock.wall_ns,
        sleep=_reject_sleep,
    )
    _replace(gc, callbacks=[])  # pauses of the real collector are not part of the simulation
    _replace(dt, datetime=_virtual_datetime(clock))
    rng = machine.random
    random.seed(rng.getrandbits(64))
    _replace(os, urandom=rng.randbytes)
    _replace(random, _urandom=rng.randbytes)
    _replace(secrets, randbelow=rng.randrange, token_hex=lambda size=16: rng.randbytes(size).hex())
    _replace(secrets, token_bytes=lambda size=32: rng.randbytes(size))
    _replace(threading, Thread=_thread_class(machine), Timer=_timer_class(machine))
    _replace(subprocess, Popen=_program_starter(machine))
    _replace(
        socket,
        socket=VirtualSocket,
        getaddrinfo=lambda host, port, *_args, **_options: _look_up(machine, host, port),
        gethostname=lambda: "simulated",
        create_connection=lambda address, *_args, **_options: machine.connect_blocking(address[0], address[1]),
    )
    _replace(
        resource,
        getrlimit=lambda _kind: (machine.max_descriptors, MAX_DESCRIPTORS),
        setrlimit=lambda _kind, _limits: None,
    )


def _replace(module: Any, **functions: Any) -> None:
    for name, function in functions.items():
        setattr(module, name, function)


def _refuse(host: str, port: int) -> Any:
    raise ConnectionRefusedError(f"nothing listens on {host}:{port}")


def _reject_sleep(seconds: float) -> None:
    raise RuntimeError(f"a blocking sleep of {seconds} s on the event loop")


def _look_up(machine: Machine, host: str, port: Any) -> list[tuple[Any, ...]]:
    addresses = machine.look_up(host)
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    stream = socket.SOCK_STREAM
    return [(socket.AF_INET, stream, socket.IPPROTO_TCP, "", (address, port or 0)) for address in addresses]


def _virtual_datetime(clock: VirtualClock) -> type[dt.datetime]:
    class Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _RealDatetime)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, _RealDatetime)

    class VirtualDatetime(_RealDatetime, metaclass=Meta):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return _RealDatetime.fromtimestamp(clock.wall(), tz or dt.UTC)

        @classmethod
        def utcnow(cls) -> Any:
            return _RealDatetime.fromtimestamp(clock.wall(), dt.UTC).replace(tzinfo=None)

    return VirtualDatetime


def _thread_class(machine: Machine) -> type:
    class VirtualThread:
        """Runs its function in the event loop, after the time that the call would take."""

        def __init__(
            self,
            _group: None = None,
            target: Callable[..., object] | None = None,
            name: str | None = None,
            args: Iterable[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
            *,
            daemon: bool | None = None,
        ) -> None:
            self._target, self.name, self._args, self._kwargs = target, name or "", tuple(args), dict(kwargs or {})
            self.daemon = daemon

        def start(self) -> None:
            key = getattr(self._args[0], "key", None) if self._args else None
            seconds = machine.thread_delay(self.name, key)
            if seconds is None:
                machine.hung.setdefault(self.name, []).append(self._run)
                return
            machine.loop.call_later(seconds, self._run)

        def _run(self) -> None:
            if self._target is not None:
                self._target(*self._args, **self._kwargs)

        def join(self, timeout: float | None = None) -> None:
            """Return: a call that has not returned yet never blocks the loop."""

        def is_alive(self) -> bool:
            return False

    return VirtualThread


class VirtualProgram:
    """A program that has ended already. Its output waits in a real pipe, as a selector needs it."""

    pid = -1

    def __init__(self, program: Program) -> None:
        self._code, output = program()
        reader, writer = os.pipe()
        os.write(writer, output)
        os.close(writer)
        self.stdout = os.fdopen(reader, "rb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()

    def wait(self, _timeout: float | None = None) -> int:
        """Return the exit code."""
        return self._code

    def kill(self) -> None:
        """Do nothing: it has ended."""


def _program_starter(machine: Machine) -> Callable[..., Any]:
    start_really = subprocess.Popen  # the alerts of an episode need promtool

    def start(words: Any, *args: Any, **options: Any) -> Any:
        program = machine.programs.get(words[0])
        return start_really(words, *args, **options) if program is None else VirtualProgram(program)

    return start


def _timer_class(machine: Machine) -> type:
    class VirtualTimer:
        """Calls a function in the event loop after a time, unless it is cancelled before."""

        def __init__(self, interval: float, function: Callable[[], object]) -> None:
            self._interval, self._function = interval, function
            self._handle: asyncio.TimerHandle | None = None
            self.daemon = False

        def start(self) -> None:
            self._handle = machine.loop.call_later(self._interval, self._function)

        def cancel(self) -> None:
            if self._handle is not None:
                self._handle.cancel()

    return VirtualTimer
