"""Attacks by those who write an inventory, a discovery file or a DNS record."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rrset

from attack.rows.base import NAMES, Row
from attack.world import World

PASSWORD = "MODULE-PASSWORD-S3K"


def _http(world: World, body: object, **settings: object) -> None:
    """Add an inventory. It lists nothing until the attack begins."""
    inventory = world.inventory()
    world.notes["inventory"] = inventory
    world.notes["body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
    world.discovery(http=[{"url": inventory.url, "interval": "2s", **settings}])


def _answer(world: World) -> None:
    """Let the inventory reply with the prepared body."""
    world.notes["inventory"].body = world.notes["body"]


def _answer_nothing(world: World) -> None:
    """Let the inventory list nothing again."""
    world.notes["inventory"].body = b"[]"


def _module(world: World) -> None:
    from chaos.certificates import Authority  # only these rows need a certificate

    authority = Authority(world.folder / "authority")
    password = world.write("pwd", PASSWORD)
    tls = {"ca_file": str(authority.ca_file)}
    world.config["modules"] = {"prod": {"password_file": str(password), "tls": tls}}
    world.secrets.append(PASSWORD)


def _weaker_scheme(world: World) -> None:
    """Name a server without TLS. It writes each login that it receives to its output."""
    _module(world)
    port = world.hostile_port("recorded-login")
    world.notes["plain"] = world.helpers[-1]
    _http(world, [{"targets": [f"redis://127.0.0.1:{port}"]}], module="prod", scheme="rediss")
    world.discovery(allow=["127.0.0.0/8"])


def _no_login(world: World) -> Iterator[str]:
    helper = world.notes["plain"]
    world.helpers.remove(helper)
    if PASSWORD in helper.end():
        yield "the password of the module was sent to a server without TLS"


def _surrogate(world: World) -> None:
    port = world.shared.ports[0]
    world.discovery(files=[{"path": str(world.folder / "found" / "*.json"), "interval": "1s"}])
    entry = [{"targets": [f"127.0.0.2:{port}"], "labels": {"__name": "found"}}]
    world.write("found/a.json", json.dumps(entry))


def _write_surrogate(world: World) -> None:
    world.write("found/b.json", '[{"targets":["127.0.0.1:1"],"labels":{"team":"\\ud800"}}]')
    time.sleep(2)
    entry = [{"targets": ["127.0.0.3:1"], "labels": {"__name": "late"}}]
    world.write("found/c.json", json.dumps(entry))


def _others_are_taken(world: World) -> Iterator[str]:
    page = world.daemon.page(10)
    for name in ("found", "late"):
        if page.value("redis_up", target=name) is None:
            yield f"the target {name} of another file is not watched"
    request = b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    status, _ = world.raw(request, 30)
    if status != 200:
        yield f"a reload gets {status}"


def _refused_entries(world: World) -> None:
    _http(world, b'[{"targets":[' + b",".join([b'"@1"'] * 300_000) + b"]}]")


def _outside_of_allow(world: World) -> None:
    targets = [f"10.{n // 65536}.{n // 256 % 256}.{n % 256}:{6379 + n % 7}" for n in range(400_000)]
    _http(world, [{"targets": targets}])
    world.discovery(allow=["127.0.0.0/8"])


def _two_line_token(world: World) -> None:
    tokens = ["TOPSECRETTOKEN-1", "TOPSECRETTOKEN-2"]
    world.write("token", tokens[0])
    world.notes["tokens"] = "\n".join(tokens) + "\n"
    world.secrets += tokens
    _http(world, [], bearer_token_file=str(world.folder / "token"))


def _write_two_lines(world: World) -> None:
    world.write("token", world.notes["tokens"])


def _check_config_refuses(world: World) -> Iterator[str]:
    ran = world.run_command("check-config", "redis-pulse.yaml")
    if ran is None:
        yield "check-config does not end"
    elif ran.returncode == 0:
        yield "check-config accepts the file"
    elif "Traceback" in ran.stderr:
        yield "check-config ends with a traceback"
    elif any(secret in ran.stdout + ran.stderr for secret in world.secrets):
        yield "check-config shows a secret"


def _dripping(world: World) -> None:
    inventories = [world.inventory(drip=True) for _ in range(6)]
    sources = [{"url": one.url, "interval": "2s", "timeout": "5s"} for one in inventories]
    world.discovery(http=sources)
    port = world.shared.ports[0]
    world.config["targets"].append({"name": "by-name", "url": f"redis://localhost:{port}"})


def _name_is_resolved(world: World) -> Iterator[str]:
    if not world.is_up("by-name"):
        yield "a target by name is not connected"
    yield from _reload_works(world)


def _reload_works(world: World) -> Iterator[str]:
    request = b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    status, _ = world.raw(request, 15)
    if status != 200:
        yield f"a reload gets {status or 'no response in 15 s'}"


def _fifo(world: World) -> None:
    _surrogate(world)


def _make_fifo(world: World) -> None:
    os.mkfifo(world.folder / "found" / "b.json")
    entry = [{"targets": ["127.0.0.3:1"], "labels": {"__name": "late"}}]
    world.write("found/c.json", json.dumps(entry))


def _srv(world: World) -> None:
    """Reply to every query with a record of port 0, and with a good one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    world.stack.callback(sock.close)
    port = world.shared.ports[0]

    def serve() -> None:
        while True:
            try:
                data, client = sock.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA
            name, kind = query.question[0].name, query.question[0].rdtype
            if dns.rdatatype.to_text(kind) == "SRV":
                records = ("0 0 0 .", f"0 0 {port} localhost.")
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *records))
            else:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "127.0.0.1"))
            sock.sendto(response.to_wire(), client)

    threading.Thread(target=serve, daemon=True).start()
    server = f"127.0.0.1:{sock.getsockname()[1]}"
    world.discovery(dns=[{"name": "_redis._tcp.example", "type": "SRV", "server": server, "interval": "2s"}])


def _good_record_is_taken(world: World) -> Iterator[str]:
    page = world.daemon.page(10)
    addresses = {labels.get("address", "") for labels, _ in page.matching("redis_target_info")}
    # The good record may be merged with the declared target of the same address, so its own source counts it.
    count = page.sum("redis_exporter_discovery_targets", kind="dns")
    refused = page.sum("redis_exporter_discovery_refused_total", kind="dns", reason="known")
    if not any(one.startswith("localhost:") for one in addresses) and not count and not refused:
        yield "the good record beside the one with port 0 is not taken"


def _unix_socket(world: World) -> None:
    _module(world)
    world.config["modules"] = {"prod": {"password_file": str(world.folder / "pwd")}}
    path = world.folder / "some.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    world.stack.callback(listener.close)
    received: list[bytes] = []
    world.notes["received"] = received
    world.secrets.append("secret-of-the-socket")

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.settimeout(2)
            try:
                received.append(sock.recv(65536))
                sock.sendall(b"HTTP/1.1 400 secret-of-the-socket\r\n\r\n")
            except OSError:
                pass
            finally:
                sock.close()

    threading.Thread(target=serve, daemon=True).start()
    _http(world, [{"targets": [f"unix://{path}"]}], module="prod")


def _socket_got_nothing(world: World) -> Iterator[str]:
    if world.notes["received"]:
        yield f"the socket received {world.notes['received'][0][:40]!r}"


def _large_labels(world: World) -> None:
    labels = {"team": "x" * 9_000_000}
    many = {f"label_{number}": "x" for number in range(200_000)}
    groups = [{"targets": ["127.0.0.1:1"], "labels": labels}, {"targets": ["127.0.0.1:2"], "labels": many}]
    _http(world, groups, max_bytes=50_000_000)


def _links(world: World) -> None:
    folder = world.folder / "deep"
    folder.mkdir()
    world.discovery(files=[{"path": str(folder / "**" / "*.json"), "interval": "1s"}])


def _make_links(world: World) -> None:
    for name in ("a", "b"):
        (world.folder / "deep" / name).symlink_to(world.folder / "deep")
    entry = [{"targets": ["127.0.0.3:1"], "labels": {"__name": "late"}}]
    world.write("deep/c.json", json.dumps(entry))


def _late_is_taken(world: World) -> Iterator[str]:
    if world.daemon.page(10).value("redis_up", target="late") is None:
        yield "a file that was added later is not read"


def _proxied_token(world: World) -> None:
    """Set a proxy in the environment. It must not receive the token."""
    proxy = world.inventory()
    world.notes["proxy"] = proxy
    token = world.write("token", "PROXYTOKEN-S3K")
    world.secrets.append("PROXYTOKEN-S3K")
    _http(world, [], bearer_token_file=str(token))
    world.config["discovery"]["http"][0]["url"] = "http://inventory.invalid/targets"
    world.daemon.env |= {"http_proxy": f"http://127.0.0.1:{proxy.port}", "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}


def _proxy_got_no_token(world: World) -> Iterator[str]:
    if world.notes["proxy"].authorizations:
        yield "the proxy of the environment received the token"
    if "http://" not in world.log() or "token" not in world.log():
        yield "no log line warns about a token over http://"


ROWS = (
    Row("H1", "inventory switches TLS off", _weaker_scheme, begin=_answer, check=_no_login),
    Row("H2", "lone surrogate in a label", _surrogate, begin=_write_surrogate, check=_others_are_taken),
    Row("H3a", "300 000 unreadable entries", _refused_entries, begin=_answer, end=_answer_nothing, memory=NAMES),
    Row("H3b", "400 000 entries outside of allow", _outside_of_allow, begin=_answer, end=_answer_nothing, memory=NAMES),
    Row("H5", "bearer token of two lines", _two_line_token, begin=_write_two_lines, check=_check_config_refuses),
    Row("H6a", "six inventories drip", _dripping, check=_name_is_resolved, seconds=20),
    Row("H6b", "FIFO in a discovery folder", _fifo, begin=_make_fifo, check=_late_is_taken),
    Row("L2", "SRV record with port 0", _srv, check=_good_record_is_taken),
    Row("L3", "inventory names a Unix socket", _unix_socket, begin=_answer, check=_socket_got_nothing),
    Row("L5b", "labels of 9 MB, 200 000 labels", _large_labels, begin=_answer, end=_answer_nothing, memory=NAMES),
    Row("L7", "** and links to the folder", _links, begin=_make_links, check=_late_is_taken),
    Row("L11", "token over http:// and a proxy", _proxied_token, check=_proxy_got_no_token),
)
