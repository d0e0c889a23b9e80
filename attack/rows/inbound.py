"""Attacks by clients of the port."""

import http.client
import json
import time
from collections.abc import Iterator
from functools import partial

from attack.rows.base import CLIENTS, Row
from attack.world import World

_GET = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"


def _clients(kind: str, world: World) -> None:
    world.clients(kind)


def _clients_of_tls(kind: str, world: World) -> None:
    world.secured()
    world.clients(kind)


def _reload_of_another_site(world: World) -> Iterator[str]:
    for name in ("http://evil.example", "null"):
        request = f"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1:{world.daemon.port}\r\nOrigin: {name}\r\n"
        status, _ = world.raw(f"{request}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        if status != 403:
            yield f"a reload with Origin: {name} gets {status}"


def _rebinding(world: World) -> Iterator[str]:
    host = f"evil.example:{world.daemon.port}"
    for path in ("/", "/stalls", "/health?x=1"):
        status, _ = world.raw(_GET.format(path, host).encode())
        expected = 200 if path.startswith("/health") else 403
        if status != expected and not (expected == 200 and status == 503):
            yield f"{path} with Host: evil.example gets {status} instead of {expected}"
    for extra in ("", "Sec-Fetch-Site: same-origin\r\n"):
        request = f"POST /-/reload HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{extra}"
        status, _ = world.raw(f"{request}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        if status != 403:
            yield f"a reload with Host and Origin of evil.example gets {status}"
    for path in ("/metrics", "/-/healthy"):
        status, _ = world.raw(_GET.format(path, host).encode())
        if status != 200:
            yield f"{path} with another Host gets {status}, but Prometheus may use any name"


def _hosts(world: World) -> Iterator[str]:
    for text, lines in (("no Host", ""), ("two Hosts", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n")):
        status, _ = world.raw(f"GET /metrics HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
        if status != 400:
            yield f"a request with {text} gets {status}"


def _two_reloads(world: World) -> Iterator[str]:
    """Reload many targets, then few of them. The newer file must win."""
    good = list(world.config["targets"])
    world.config["targets"] = good + [
        {"name": f"extra-{number}", "url": f"redis://127.1.{number // 250}.{number % 250 + 1}:9"}
        for number in range(400)
    ]
    world.write_config()
    first = http.client.HTTPConnection("127.0.0.1", world.daemon.port, timeout=180)
    first.request("POST", "/-/reload")
    time.sleep(0.5)
    world.config["targets"] = good
    world.write_config()
    second = http.client.HTTPConnection("127.0.0.1", world.daemon.port, timeout=180)
    second.request("POST", "/-/reload")
    statuses = [connection.getresponse().status for connection in (first, second)]
    time.sleep(1)
    count = len(json.loads(world.daemon.get("/sd", 10)[1]))
    if count != len(good):
        yield f"after two reloads ({statuses}) the file has {len(good)} targets, and {count} are watched"


def _few_reloads(world: World) -> Iterator[str]:
    lines = world.log().count("reload")
    if lines > 40:
        yield f"the log has {lines} lines about reloads"


PASSWORD = "ADOPT-PASSWORD-S3K"


def _adopting(world: World) -> None:
    """Let requests name servers in 127.0.0.0/8, with a login. Two servers outside write each login that they get."""
    password = world.write("pwd", PASSWORD)
    world.secrets.append(PASSWORD)
    world.config["modules"] = {"prod": {"password_file": str(password)}}
    world.config["scrape"] = {"adopt": {"allow": ["127.0.1.0/24"], "module": "prod", "max": 20}}
    world.notes["port"] = world.hostile_port("recorded-login")
    world.notes["outside"] = world.helpers[-1]


def _adopted_elsewhere(world: World) -> Iterator[str]:
    port = world.notes["port"]
    outside = (f"127.0.0.1:{port}", f"redis://localhost:{port}", f"127.1:{port}", f"[::ffff:127.0.0.1]:{port}")
    others = (f"0:{port}", "169.254.169.254:80", "10.0.0.1:6379", "unix:///run/redis.sock", f"0x7f000001:{port}")
    for target in (*outside, *others):
        status, _ = world.raw(_GET.format(f"/scrape?target={target}", "127.0.0.1").encode())
        if status not in (403, 503):
            yield f"/scrape?target={target} gets {status} instead of 403"
    for target in (f"redis://:{PASSWORD}@127.0.1.1:{port}", f"127.0.1.1:{port}?password={PASSWORD}"):
        status, text = world.raw(_GET.format(f"/scrape?target={target}", "127.0.0.1").encode())
        if status != 400 or PASSWORD in text:
            yield f"a target with credentials gets {status}, or is repeated"
    for extra in ("User-Agent: Mozilla/5.0", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"):
        head = f"GET /scrape?target=127.0.1.9:{port} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n"
        status, _ = world.raw(f"{head}Connection: close\r\n\r\n".encode())
        if status != 403:
            yield f"a browser ({extra}) adopts a target: {status}"
    status, _ = world.raw(_GET.format(f"/scrape?target=127.0.1.9:{port}", "evil.example").encode())
    if status != 403:
        yield f"Host: evil.example adopts a target: {status}"
    statuses = [
        world.raw(_GET.format(f"/scrape?target=127.0.1.{last}:9", "127.0.0.1").encode(), 30)[0] for last in range(1, 25)
    ]
    if statuses.count(503) < 4:
        yield f"more than 20 targets are adopted: {statuses}"


def _no_login_outside(world: World) -> Iterator[str]:
    helper = world.notes["outside"]
    world.helpers.remove(helper)
    if PASSWORD in helper.end():
        yield "the password of the module was sent to a server outside of scrape.adopt.allow"


ROWS = (
    Row("E1a", "512 idle connections", partial(_clients, "idle"), memory=CLIENTS, is_inbound=True),
    Row("E1b", "512 slow heads, renewed", partial(_clients, "slow"), memory=CLIENTS, is_inbound=True),
    Row("E1c", "512 silent connections", partial(_clients, "silent"), memory=CLIENTS, is_inbound=True),
    Row("E1d", "512 unfinished TLS handshakes", partial(_clients_of_tls, "hello"), memory=CLIENTS, is_inbound=True),
    Row("E1e", "wrong logins without pause, TLS", partial(_clients_of_tls, "login"), memory=CLIENTS, is_inbound=True),
    Row("E1f", "1500 new connections a second", partial(_clients, "flood"), memory=CLIENTS, is_inbound=True),
    Row(
        "E2",
        "200 clients read nothing",
        partial(_clients, "pipeline"),
        memory=CLIENTS,
        is_inbound=True,
    ),
    Row("E3", "reload with another Origin", lambda _: None, check=_reload_of_another_site, seconds=4),
    Row("E8a", "256 clients ask and leave", partial(_clients, "leave"), memory=CLIENTS, is_inbound=True),
    Row("E8b", "64 clients, many filtered pages", partial(_clients, "parts"), memory=CLIENTS, is_inbound=True),
    Row("M1", "two reloads at once", lambda _: None, check=_two_reloads, seconds=4),
    Row("M7", "40 reloads at once", partial(_clients, "reload"), check=_few_reloads, is_inbound=True),
    Row("M8", "DNS rebinding (Host)", lambda _: None, check=_rebinding, seconds=4),
    Row("E9", "scrapes name foreign servers", _adopting, check=_adopted_elsewhere, after=_no_login_outside, seconds=4),
    Row("L6", "views of one target, 4 clients", partial(_clients, "views"), memory=CLIENTS, is_inbound=True),
    Row("L12", "no Host, two Hosts", lambda _: None, check=_hosts, seconds=4),
)
