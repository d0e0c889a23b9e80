"""Record the evidence of real stalls.

``python -m tests.stalls.record_evidence [--only kind,kind] [--server redis,valkey] [--times 3] [--check]``

It starts Redis and Valkey with a live load and makes stalls of each kind. It collects evidence as the daemon does, and
writes ``recorded/<cause>-<kind>-<server>-<number>.json``. ``cause`` is what was done to the server, not what the rules
found. ``--check`` writes nothing and prints the verdicts. Kinds of the network need root, for network namespaces.
"""

import argparse
import contextlib
import ctypes
import math
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from redis_pulse.parse.reply import as_list, as_text, parse_uint
from redis_pulse.stalls.causes import classify
from redis_pulse.stalls.evidence import (
    EndedBy,
    Evidence,
    Snapshot,
    TcpSample,
    parse_latency,
    parse_slow_log,
    parse_snapshot,
)
from tests.integration.servers import RealServer, Software

RECORDED = Path(__file__).parent / "recorded"
SECTIONS = ("server", "clients", "persistence", "stats", "cpu", "commandstats", "debug")
NAME = "redis-pulse"
SLOW = 0.1
LOOP = "local x=0 for i=1,tonumber(ARGV[1]) do x=x+i%7 end return 1"
#: Makes fsync and fork slow, by as many milliseconds as the files with these names hold.
LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
static int ms(const char *n){char p[300],b[16]={0};snprintf(p,300,"%s/%s",getenv("STALL_DIR"),n);
 FILE*f=fopen(p,"r");if(!f)return 0;if(!fgets(b,16,f))b[0]=0;fclose(f);return atoi(b);}
int fdatasync(int f){(void)f;int m=ms("fsync");if(m)usleep(m*1000);return 0;}
int fsync(int f){return fdatasync(f);}
pid_t fork(void){static pid_t(*f)(void);if(!f)f=dlsym(RTLD_NEXT,"fork");int m=ms("fork");struct timespec a,b;
 if(m){clock_gettime(CLOCK_MONOTONIC,&a);do clock_gettime(CLOCK_MONOTONIC,&b);
 while((b.tv_sec-a.tv_sec)*1000+(b.tv_nsec-a.tv_nsec)/1000000<m);}return f();}
"""


class Link:
    """A blocking connection that speaks RESP2."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(20)
        self.socket.connect(address)
        self._buffer = b""

    def send(self, *words: str | int) -> None:
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def read(self) -> Any:
        """Return the next reply. An error is text that starts with ``-``."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._bytes(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(max(0, int(rest)))]
        return int(rest) if kind == b":" else (line if kind == b"-" else rest).decode()

    def run(self, *words: str | int) -> Any:
        self.send(*words)
        return self.read()

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _receive(self) -> None:
        received = self.socket.recv(1 << 20)
        if not received:
            raise ConnectionError
        self._buffer += received


class Observer(threading.Thread):
    """Ping every second, take a snapshot between the pings, and ask why when a ping is overdue."""

    def __init__(self, address: tuple[str, int], namespace: str | None = None) -> None:
        super().__init__(daemon=True)
        self.address, self._namespace = address, namespace
        self.done, self.quiet = threading.Event(), threading.Event()
        self.stalls: list[Evidence] = []
        self.grid = 0.0
        self._snapshots: list[Snapshot] = []
        self._slow_id, self._events = -1, set[Any]()
        self._refused_at: float | None = None
        self._is_connected: bool | None = None

    def run(self) -> None:
        if self._namespace is not None:
            with Path(f"/run/netns/{self._namespace}").open("rb") as file:
                assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) == 0
        while not self.done.is_set():
            try:
                self._observe()
            except OSError:
                time.sleep(0.1)

    def _observe(self) -> None:
        ping, ask = self._connect(), self._connect()
        self._slow_id = -1
        self._after_question(*self._question(ask))
        while not self.done.is_set():
            self.grid = time.monotonic()
            wait, tcp, ended_by = self._ping(ping, ask)
            if wait >= SLOW or ended_by != "reply":
                started, wall = self.grid, time.time() - (time.monotonic() - self.grid)
                self._finish(ping, ask, started, wall, wait, tcp, ended_by)
                if ended_by == "reset":
                    return
            time.sleep(max(0.0, self.grid + 0.5 - time.monotonic()))
            ask.send("INFO", *SECTIONS)
            raw = ask.read()
            if time.monotonic() - self.grid < 0.6:
                self._snapshots = [*self._snapshots[-20:], parse_snapshot(raw, time.monotonic())]
            self.quiet.set()
            time.sleep(max(0.0, self.grid + 1.0 - time.monotonic()))

    def _connect(self) -> Link:
        link = Link(self.address)
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.run("CLIENT", "SETNAME", NAME)
        return link

    def _ping(self, ping: Link, ask: Link) -> tuple[float, list[TcpSample], EndedBy]:
        sent = time.monotonic()
        tcp: list[TcpSample] = []
        self._asked = False
        with contextlib.suppress(ConnectionError):
            ping.send("PING")
            for age in (SLOW, 0.3, 0.9):
                if select.select([ping.socket], [], [], max(0.0, sent + age - time.monotonic()))[0]:
                    break
                tcp.append(_sample(ping.socket, time.monotonic() - sent))
                if age == SLOW:
                    self._asked = True
                    self._send_questions(ask)
                    threading.Thread(target=self._probe, args=(self.address,), daemon=True).start()
            reply = ping.read()
            wait = time.monotonic() - sent
            ended: EndedBy = "loading" if "LOADING" in reply else "busy" if "BUSY" in reply else "reply"
            return wait, tcp, ended
        return time.monotonic() - sent, tcp, "reset"

    def _probe(self, address: tuple[str, int]) -> None:
        self._is_connected, self._refused_at = False, math.inf
        with contextlib.suppress(OSError), socket.socket() as probe:
            begun = time.monotonic()
            probe.settimeout(0.3)
            probe.connect(address)
            self._is_connected = time.monotonic() - begun < 0.08
            probe.sendall(b"ECHO\r\n")
            if probe.recv(100):
                self._refused_at = time.monotonic()

    def _finish(
        self, ping: Link, ask: Link, started: float, wall: float, wait: float, tcp: list[TcpSample], ended: EndedBy
    ) -> None:
        before = next((kept for kept in reversed(self._snapshots) if kept.at <= started), None)
        earlier = self._snapshots[0] if self._snapshots and self._snapshots[0] is not before else None
        retransmits = tcp[-1].total_retrans if tcp else None
        refused_at = self._refused_at if tcp else None
        if ended in ("reset", "loading"):
            ask = self._reconnect()
        if not self._asked or ended in ("reset", "loading"):
            self._send_questions(ask)
        after, slow, events, threshold = self._question(ask, is_sent=True)
        self._after_question(after, slow, events, threshold)
        with contextlib.suppress(OSError):
            retransmits = _sample(ping.socket, 0).total_retrans
        self.stalls.append(
            Evidence(
                started=started, ended=time.monotonic(), started_wall=wall, ended_wall=time.time(), seconds=wait,
                ended_by=ended, earlier=earlier, before=before, after=after, slow_entries=tuple(slow),
                latency_events=tuple(events), latency_threshold=threshold, tcp=tuple(tcp), retransmits_before=0,
                retransmits_after=retransmits, connected=self._is_connected,
                malformed_refused=None if refused_at is None else refused_at < started + wait - 0.02,
            )
        )  # fmt: skip

    def _reconnect(self) -> Link:
        """Wait until a server can be asked again: at most 10 s, also if it still loads."""
        for _ in range(200):
            with contextlib.suppress(OSError):
                link = self._connect()
                if isinstance(link.run("INFO", *SECTIONS), bytes) and isinstance(link.run("SLOWLOG", "LEN"), int | str):
                    return link
            time.sleep(0.05)
        raise ConnectionError

    def _send_questions(self, ask: Link) -> None:
        ask.send("INFO", *SECTIONS)
        ask.send("SLOWLOG", "GET", 64)
        ask.send("LATENCY", "LATEST")
        ask.send("CONFIG", "GET", "latency-monitor-threshold")

    def _question(self, ask: Link, *, is_sent: bool = False) -> tuple[Snapshot, list[Any], list[Any], int | None]:
        if not is_sent:
            self._send_questions(ask)
        raw = ask.read()
        at = time.monotonic()
        slow, events, setting = ask.read(), ask.read(), as_list(ask.read()) or []
        mine = [item for item in as_list(slow) or [] if item[5] != NAME.encode()]
        new = [entry for entry in parse_slow_log(mine) if entry.id > self._slow_id]
        fresh = [event for event in parse_latency(events) if event not in self._events]
        threshold = parse_uint(as_text(setting[1]) or "") if len(setting) == 2 else None
        return parse_snapshot(raw if isinstance(raw, bytes) else b"", at), new, fresh, threshold

    def _after_question(self, _: Snapshot, slow: list[Any], events: list[Any], __: int | None) -> None:
        self._slow_id = max([self._slow_id, *(entry.id for entry in slow)])
        self._events.update(events)


def _sample(connection: socket.socket, since: float) -> TcpSample:
    raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    unacked, total, notsent = (struct.unpack_from("=I", raw, offset)[0] for offset in (24, 100, 144))
    return TcpSample(time.monotonic(), unacked, raw[2], raw[4], total, notsent, since)


class Bench:
    """One server, its load, its observer."""

    def __init__(self, software: Software, folder: Path, *, is_far: bool = False) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "x.c").write_text(LIBRARY)
        library = str(folder / "x.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, str(folder / "x.c"), "-ldl"], check=True)
        self.server = RealServer(
            folder / "server", software, enable_debug_command="yes", bind="0.0.0.0", protected_mode="no"
        )
        name = f"stall{self.server.port}"
        self.namespaces: tuple[str, ...] = (f"{name}s", f"{name}o") if is_far else ()
        host = self._cable() if is_far else "127.0.0.1"
        self._environment = {"LD_PRELOAD": library, "STALL_DIR": str(folder)}
        self.server.folder.mkdir()
        self.start()
        self.sock = str(self.server.folder / "admin.sock")
        self.turns = self._turns_per_second()
        self.load = subprocess.Popen(
            ["nice", "-n", "15", sys.executable, "-m", "tests.stalls.record_evidence", "--load", self.sock]
        )
        self.observer = Observer((host, self.server.port), self.namespaces[-1] if self.namespaces else None)
        self.observer.start()
        time.sleep(4)

    def start(self) -> None:
        os.environ.update(self._environment)
        try:
            if self.namespaces:
                self.server._program = self._in_namespace(self.server._program)
            self.server.start()
            if os.geteuid() == 0:  # a busy machine must not starve the server: that would be a cause of its own
                self.sock = str(self.server.folder / "admin.sock")
                os.setpriority(os.PRIO_PROCESS, self.pid, -20)
        finally:
            for name in self._environment:
                del os.environ[name]

    def _in_namespace(self, program: str) -> str:
        script = self.folder / "server.sh"
        if program != str(script):
            script.write_text(f'#!/bin/sh\nexec ip netns exec {self.namespaces[0]} {program} "$@"\n')
            script.chmod(0o755)
        return str(script)

    def _cable(self) -> str:
        far, own = self.namespaces
        for name in (far, own):
            _ip("netns", "add", name)
        _ip("-n", far, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", own)
        for name, device, number in ((far, "v0", 1), (own, "v1", 2)):
            _ip("-n", name, "addr", "add", f"10.231.7.{number}/24", "dev", device)
            _ip("-n", name, "link", "set", device, "up")
        return "10.231.7.1"

    def _turns_per_second(self) -> int:
        begun = time.monotonic()
        Link(self.sock).run("EVAL", LOOP, 0, 10_000_000)
        return round(10_000_000 / (time.monotonic() - begun))

    @property
    def pid(self) -> int:
        return parse_uint(Snapshot(0, parse_snapshot(self.run("INFO", "server"), 0).info).fields["process_id"]) or 0

    def run(self, *words: str | int) -> Any:
        return Link(self.sock).run(*words)

    def slow(self, name: str, milliseconds: int) -> None:
        (self.folder / name).write_text(str(milliseconds))

    def close(self) -> None:
        self.observer.done.set()
        self.load.kill()
        self.load.wait()
        self.server.kill()
        self.observer.join(5)
        for name in self.namespaces:
            _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Kind(NamedTuple):
    """One way to make a stall: its cause, what to prepare, what to do."""

    cause: str
    prepare: Callable[[Bench], object]
    inject: Callable[[Bench], object]


def _nothing(bench: Bench) -> None:
    """Prepare nothing."""


def _keys(bench: Bench) -> None:
    have = bench.run("DBSIZE")
    for number in range(20):
        if have < 1_900_000:
            bench.run("DEBUG", "POPULATE", 100_000, f"k{number}", 40)
            time.sleep(0.05)


def _all_at_once(*commands: tuple[str | int, ...]) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        link = Link(bench.sock)
        for command in commands:
            link.send(*command)
        for _ in commands:
            link.read()

    return run


def _stop(bench: Bench) -> None:
    pid = bench.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.2)
    os.kill(pid, signal.SIGCONT)


def _stop_in_keys(bench: Bench) -> None:
    pid, link = bench.pid, Link(bench.sock)
    link.send("KEYS", "*zzz")
    time.sleep(0.05)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(2)
    os.kill(pid, signal.SIGCONT)
    link.read()


def _duty(bench: Bench) -> None:
    pid, end = bench.pid, time.monotonic() + 2.5
    while time.monotonic() < end:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.27)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.03)


def _fork(bench: Bench) -> None:
    bench.slow("fork", 900)
    bench.run("BGSAVE")
    bench.slow("fork", 0)


def _always(bench: Bench) -> None:
    for name, value in (("appendfsync", "always"), ("latency-monitor-threshold", "100"), ("appendonly", "yes")):
        bench.run("CONFIG", "SET", name, value)
    while b"aof_rewrite_in_progress:1" in bench.run("INFO", "persistence"):
        time.sleep(0.1)


def _fsync(bench: Bench) -> None:
    bench.slow("fsync", 1100)
    time.sleep(0.3)
    bench.slow("fsync", 0)
    time.sleep(1)


def _no_aof(bench: Bench) -> None:
    bench.run("CONFIG", "SET", "appendonly", "no")
    bench.run("CONFIG", "SET", "latency-monitor-threshold", 0)


def _flood(bench: Bench) -> None:
    bench.run("SETBIT", "bits", 8 * 400_000, 1)
    subprocess.run([sys.executable, "-m", "tests.stalls.record_evidence", "--flood", bench.sock], check=True)


def _restart(bench: Bench) -> None:
    bench.server.kill()
    time.sleep(0.3)
    bench.start()


def _without_dump(bench: Bench) -> None:
    (bench.server.folder / "dump.rdb").unlink(missing_ok=True)


def _with_dump(bench: Bench) -> None:
    _keys(bench)
    bench.run("SAVE")


def _big_set(seconds_per_million: str) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        for name in ("lazyfree-lazy-user-del", "lazyfree-lazy-expire", "lazyfree-lazy-eviction"):
            bench.run("CONFIG", "SET", name, "no")
        script = "for i=ARGV[1],ARGV[1]+19999 do redis.call('SADD',KEYS[1],'member:'..i) end"
        for first in range(0, 2_500_000, 20_000):
            bench.run("EVAL", script, 1, seconds_per_million, first)

    return prepare


def _lazy_expire(bench: Bench) -> None:
    bench.run("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    bench.run("PEXPIRE", "big", 1)
    time.sleep(0.05)
    bench.run("GET", "big")
    bench.run("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def _lua(bench: Bench) -> None:
    bench.run("EVAL", LOOP, 0, round(1.2 * bench.turns))


def _cut(side: int) -> Callable[[Bench], None]:
    def run(bench: Bench) -> None:
        name, device = bench.namespaces[side], f"v{side}"
        _ip("-n", name, "link", "set", device, "down")
        time.sleep(1.5)
        _ip("-n", name, "link", "set", device, "up")
        time.sleep(1)

    return run


KINDS = {
    "lua": Kind("script", _nothing, _lua),
    "sleep": Kind("command", _nothing, _all_at_once(("DEBUG", "SLEEP", "1.2"))),
    "pause": Kind("paused", _nothing, _all_at_once(("CLIENT", "PAUSE", 1200, "ALL"))),
    "stop": Kind("not_running", _nothing, _stop),
    "limit": Kind("not_running", _nothing, _duty),
    "flood": Kind("saturated", _nothing, _flood),
    "fsync": Kind("disk", _always, _fsync),
    "stop_aof": Kind("not_running", _always, _stop),
    "fork": Kind("fork", _no_aof, _fork),
    "del": Kind("command", _big_set("big"), _all_at_once(("DEL", "big"))),
    "lazy_expire": Kind("expire", _big_set("big"), _lazy_expire),
    "keys": Kind("command", _keys, _all_at_once(*[("KEYS", "*zzz")] * 4)),
    "stop_in_keys": Kind("not_running", _keys, _stop_in_keys),
    "flushall": Kind("command", _keys, _all_at_once(("FLUSHALL", "SYNC"))),
    "restart": Kind("restart", _without_dump, _restart),
    "loading": Kind("loading", _with_dump, _restart),
    "far_link": Kind("network", _nothing, _cut(0)),
    "own_link": Kind("network", _nothing, _cut(1)),
}
NETWORK = ("far_link", "own_link")


def _load(path: str) -> None:
    """Send cheap commands without end, about 5000 per second."""
    while True:
        with contextlib.suppress(OSError):
            link = Link(path)
            while True:
                for number in range(150):
                    link.send(*(("SET", f"w:{random.randrange(20000)}", "x" * 100) if number % 3 else ("GET", "w:1")))
                for _ in range(150):
                    link.read()
                time.sleep(0.03)
        time.sleep(0.1)


def _flood_with_cheap_commands(path: str) -> None:
    """Send commands of about 0.1 ms each on 50 connections, as fast as the server reads them."""
    links = [Link(path).socket for _ in range(50)]
    chunk = b"*2\r\n$8\r\nBITCOUNT\r\n$4\r\nbits\r\n" * 400
    unsent = [b""] * len(links)
    for link in links:
        link.setblocking(False)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        for number, link in enumerate(links):
            data = unsent[number] or chunk
            with contextlib.suppress(OSError):
                unsent[number] = data[link.send(data) :]
            with contextlib.suppress(OSError):
                link.recv(1 << 16)
        time.sleep(0.002)


def _record(bench: Bench, kind: Kind) -> Evidence | None:
    """Make one stall, shortly after a snapshot and before the next ping; return the longest one that was observed."""
    observer = bench.observer
    kind.prepare(bench)
    time.sleep(3.2)
    observer.stalls.clear()
    observer.quiet.clear()
    observer.quiet.wait(10)
    time.sleep(random.uniform(0.2, 0.4))
    kind.inject(bench)
    time.sleep(3)
    end = time.monotonic() + 20  # a queue of commands may take long
    while not observer.stalls and time.monotonic() < end:
        time.sleep(0.2)
    return max(observer.stalls, key=lambda evidence: evidence.seconds, default=None)


def _record_all(software: Software, names: list[str], times: int) -> Iterator[tuple[str, Evidence | None]]:
    for is_far in (False, True):
        mine = [name for name in names if (name in NETWORK) == is_far]
        if not mine or (is_far and os.geteuid() != 0):
            continue
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(software, Path(folder) / "bench", is_far=is_far)
            try:
                for name in mine:
                    for number in range(1, times + 1):
                        label = f"{KINDS[name].cause}-{name}-{software}-{number}"
                        yield label, _record(bench, KINDS[name])
            finally:
                bench.close()


def main() -> None:
    """Record the kinds of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--server", default="redis,valkey")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--load")
    parser.add_argument("--flood")
    options = parser.parse_args()
    if options.load:
        _load(options.load)
    if options.flood:
        _flood_with_cheap_commands(options.flood)
        return
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    servers: tuple[Software, ...] = ("redis", "valkey")
    for software in [server for server in servers if server in options.server]:
        for label, evidence in _record_all(software, options.only.split(","), options.times):
            verdict = classify(evidence) if evidence is not None else None
            mark = "" if verdict is not None and verdict.cause == label.partition("-")[0] else "  <<<"
            print(f"{label:34} {evidence.seconds if evidence else 0:.2f} s {verdict}{mark}", flush=True)
            if evidence is not None and not options.check:
                (RECORDED / f"{label}.json").write_text(evidence.to_json() + "\n")


if __name__ == "__main__":
    main()
