"""What is fuzzed: for each target how its input is made, what reads it, and which errors are allowed.

A property that does not hold raises AssertionError. Any other error that is not allowed is a finding too.
"""
# ruff: noqa: E501 - some tables have one line per row

import asyncio
import json
import math
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError
from starlette.datastructures import QueryParams

from fuzz import http
from fuzz.inputs import TOKENS, Chooser, recorded_infos
from redis_pulse.client.bounded_parser import BoundedParser, RewindableStream
from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.client.probe_connection import ProbeConnection, RespLineReader, parse_error
from redis_pulse.collectors.latency_histogram import parse_latencies
from redis_pulse.collectors.support.redact_settings import is_secret
from redis_pulse.config import ConfigError, FileSourceSettings, parse_url
from redis_pulse.config.file_reader import read_file
from redis_pulse.config.file_sd import read_groups
from redis_pulse.config.regular_expressions import MAX_TEXT, compile_expression
from redis_pulse.config.types import parse_bytes, parse_seconds
from redis_pulse.config.url import parse_listen
from redis_pulse.discovery.sentinel.replies import master_in_message, parse_replies
from redis_pulse.discovery.target_groups import targets_of
from redis_pulse.errors import ProtocolError
from redis_pulse.exposition import render
from redis_pulse.metric import Sample, gauge
from redis_pulse.migrate import migrate
from redis_pulse.migrate.flag_parser import FLAGS
from redis_pulse.migrate.lua_patterns import translate
from redis_pulse.parse.client_list import parse_address, parse_client_list
from redis_pulse.parse.cluster_nodes import parse_nodes, preferred_endpoint
from redis_pulse.parse.command_names import command_name
from redis_pulse.parse.info import parse_info, parse_modules, parse_pairs, parse_replica
from redis_pulse.parse.reply import as_map, as_pairs
from redis_pulse.parse.sentinel import as_instances, parse_ckquorum, parse_masters
from redis_pulse.parse.slow_log import parse_entry
from redis_pulse.server_info import repair
from redis_pulse.text_format import MAX_LINE_BYTES, family_header
from redis_pulse.web.content_negotiation import accepts_gzip, choose_format
from tests.discovery.context import RecordingContext, source_of
from tests.web.fakes import FakeDaemon

Result = TypeVar("Result")


class FuzzTarget(NamedTuple):
    """Something that reads what others wrote."""

    #: makes the input
    make: Callable[[Chooser], Any]
    #: reads the input, and checks what must be true of the result
    run: Callable[[Any], object]
    #: errors that the reader documents
    allowed: tuple[type[Exception], ...] = ()
    #: share of the executions, in relation to the others
    weight: int = 10


def drive(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that waits for nothing except that others may run."""
    while True:
        try:
            work.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


_loop = asyncio.new_event_loop()


def _info(chooser: Chooser) -> str:
    if chooser.random.random() < 0.2:
        text = chooser.one_of(recorded_infos())
        start = int(chooser.random.random() * len(text))
        return chooser.mutated(text[start : start + 2000])
    return "\r\n".join([chooser.text(6) for _ in range(chooser.below(20))])


def _read_info(text: str) -> None:
    info = repair(parse_info(text))
    for fields in info.values():
        assert all(isinstance(value, str) and len(value) <= 4096 for value in fields.values())
    parse_modules(text)
    parse_masters(info.get("Sentinel", {}))


def _read_wire(data: bytes) -> None:
    """Read replies until the data ends. The stream then ends in the middle of a reply, at the latest."""
    reader = asyncio.StreamReader(loop=_loop)
    reader.feed_data(data)
    reader.feed_eof()
    parser = BoundedParser(65536, max_bytes=65536)
    # A connection would set them.
    parser._stream, parser._connected = RewindableStream(reader), True  # type: ignore[assignment]  # noqa: SLF001
    parser.allow_full_size()
    for _ in range(50):
        drive(parser.read_response())


def _read_probe(pieces: list[bytes]) -> None:
    """Read the replies to pings. However the data is cut, the lines are the same."""
    lines = RespLineReader()
    for piece in pieces:
        for line in lines.feed(piece):
            ProbeConnection.parse_sequence(line)
            parse_error(line, b"+PONG")


def _read_config(text: tuple[str, str]) -> None:
    suffix, content = text
    read_file(Path(f"x{suffix}"), shown="x", data=content.encode("utf-8", errors="replace"))


_SOURCE = source_of("file", "x", FileSourceSettings(path="x"))
_CONTEXT = RecordingContext().build()


def _read_groups(text: tuple[bool, str]) -> None:
    groups = read_groups(text[1], is_yaml=text[0])
    asyncio.run(targets_of(groups, _SOURCE, "x", _CONTEXT))


def _groups(chooser: Chooser) -> tuple[bool, str]:
    is_yaml = chooser.random.random() < 0.2  # YAML is slow
    if chooser.random.random() < 0.3:
        return is_yaml, chooser.text()
    groups: list[Any] = [
        {
            "targets": [
                chooser.one_of((chooser.text(3), "10.0.0.1:6379", "redis://a/3")) for _ in range(chooser.below(4))
            ],
            "labels": {
                chooser.one_of((chooser.text(2), "team", "__name")): chooser.text(3) for _ in range(chooser.below(4))
            },
        }
        for _ in range(chooser.below(4) + 1)
    ]
    text = json.dumps(groups)
    return is_yaml, text if chooser.random.random() < 0.6 else chooser.mutated(text)


_LABELLED = gauge("Fuzz", "field", "fuzzed", "A help text.", labels=("one", "two", "three"))


def _render(parts: tuple[str, list[tuple[str, str, str]], float, str]) -> None:
    """Render any labels. A client of Prometheus must be able to read the page, and no line is long."""
    target, rows, value, help_text = parts
    lines = render(target, [Sample(_LABELLED, row, value) for row in rows])
    page = family_header("redis_fuzzed", "gauge", help_text, openmetrics=False) + b"".join(lines.values())
    assert max(map(len, page.split(b"\n"))) <= MAX_LINE_BYTES
    text = page.decode()
    assert all(
        character.isprintable() or character == "\n" or ord(character) > 0x2100 or character == "\xa0"
        for character in text
        if ord(character) < 0xA0
    )
    families = list(text_string_to_metric_families(text))
    assert len(families) == 1
    read = {tuple(sample.labels.values()) for sample in families[0].samples}
    assert len(read) == len(families[0].samples) <= len(rows)


def _labels(chooser: Chooser) -> tuple[str, list[tuple[str, str, str]], float, str]:
    def value() -> str:
        return chooser.text(3) * (chooser.below(30) + 1 if chooser.random.random() < 0.1 else 1)

    rows = [(value(), value(), value()) for _ in range(chooser.below(4))]
    return chooser.text(3), rows, chooser.one_of((0.0, -1.5, 1e300, math.inf, 2.0**63)), chooser.text(5)


def _flags(chooser: Chooser) -> list[str]:
    names = list(FLAGS)
    words = []
    for _ in range(chooser.below(6)):
        flag = chooser.one_of(names)
        words.append(
            chooser.one_of(
                (f"-{flag}={chooser.text(3)}", f"--{flag}", chooser.text(3), f"{chooser.text(2)}={chooser.text(2)}")
            )
        )
    return words


def _migrate(words: list[str]) -> None:
    yaml.load(migrate(words, {}).text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _search(parts: tuple[str, str]) -> None:
    expression, text = parts
    compile_expression(expression).search(text[:MAX_TEXT])


def _mapped(text: tuple[str, str]) -> None:
    error = map_error_reply(text[0], secret=text[1])
    assert len(str(error)) <= 500
    if len(text[1]) >= 8 and text[1].isprintable():
        assert text[1] not in str(error)


def _replies(chooser: Chooser) -> list[Any]:
    pairs = [b"name", b"cart", b"ip", b"10.0.0.1", b"port", b"6379", b"flags", b"master"]
    replies: list[Any] = [b"runid", [pairs], [b"10.0.0.1", b"6379"], [pairs], [pairs], b"OK 3 usable Sentinels."]
    for _ in range(chooser.below(4) + 1):
        at = chooser.below(len(replies))
        replies[at] = chooser.mutate_reply(replies[at])
    return replies


def _query(text: str) -> None:
    choose_format(text)
    accepts_gzip(text)
    list(QueryParams(text).multi_items())


def _node_lines(chooser: Chooser) -> str:
    line = "07c3 10.0.0.7:6379@16379,a.cart myself,master - 0 0 3 connected 0-5460 [93-<-e7d1]"
    return "\n".join([chooser.mutated(line) for _ in range(chooser.below(4) + 1)])


def _client_lines(chooser: Chooser) -> str:
    line = "id=3 addr=127.0.0.1:52555 name=a flags=N db=0 user=default lib-name=x"
    return "\n".join([chooser.mutated(line) for _ in range(chooser.below(4) + 1)])


def _read_clients(text: str) -> None:
    for client in parse_client_list(text):
        assert client is None or (client["id"] and all(isinstance(one, str) for one in client.values()))
        parse_address((client or {}).get("addr", ""))


def _short_texts(text: str) -> None:
    parse_pairs(text)
    parse_replica(text)
    parse_ckquorum(text)
    master_in_message("+sdown", text)
    is_secret(text[:100], text)


def _any_reply(reply: Any) -> None:
    as_map(reply)
    as_pairs(reply)
    as_instances(reply)
    parse_entry(reply)
    parse_latencies(reply, "calls=1,usec=1")
    preferred_endpoint(reply)
    command_name(reply if isinstance(reply, list) else [reply])


def _durations(text: str) -> None:
    for read in (parse_seconds, parse_bytes, parse_listen, parse_url):
        try:
            read(text)
        except ValueError as error:
            assert len(str(error)) < 2000, "a long message"  # noqa: PT017


def _config_text(chooser: Chooser) -> tuple[str, str]:
    if chooser.random.random() < 0.5:
        return chooser.one_of((".yaml", ".toml")), chooser.text()
    text = "targets:\n  - {name: a, url: redis://a}\nprobe: {interval: 1s}\ncollectors: [info]\n"
    return ".yaml", chooser.mutated(text)


_EXPRESSION: tuple[str, ...] = (
    *TOKENS[:30],
    *("(", ")", ".*", "[a-z]+", "(?:", "|", "{2,5}", "?", "+", r"\d", r"\w", "^", "$", "(?=", r"\1", "[^", "(?i)"),
)

TARGETS: dict[str, FuzzTarget] = {
    "info": FuzzTarget(_info, _read_info, weight=14),
    "client_list": FuzzTarget(_client_lines, _read_clients, weight=10),
    "cluster_nodes": FuzzTarget(_node_lines, parse_nodes, weight=10),
    "short_texts": FuzzTarget(lambda chooser: chooser.text(), _short_texts, weight=12),
    "replies": FuzzTarget(lambda chooser: chooser.reply(), _any_reply, weight=14),
    "sentinel": FuzzTarget(_replies, lambda replies: parse_replies(replies, ["cart"]), weight=8),
    "resp": FuzzTarget(lambda chooser: b"".join([chooser.wire() for _ in range(chooser.below(4) + 1)]), _read_wire, (ProtocolError, RedisError), 12),
    "probe_lines": FuzzTarget(lambda chooser: [chooser.one_of((b"+PONG\r\n", b"$6\r\n000001\r\n", chooser.wire(), chooser.data(3))) for _ in range(chooser.below(5) + 1)], _read_probe, (ProtocolError,), 8),
    "error_replies": FuzzTarget(lambda chooser: (chooser.text(), chooser.text(2)), _mapped, weight=6),
    "values": FuzzTarget(lambda chooser: chooser.text(4), _durations, weight=8),
    "labels": FuzzTarget(_labels, _render, weight=12),
    "accept_and_query": FuzzTarget(lambda chooser: chooser.text(), _query, weight=8),
    "http": FuzzTarget(http.make, http.Server(_loop, FakeDaemon()).read, weight=8),
    "file_sd": FuzzTarget(_groups, _read_groups, (ValueError,), 6),
    "config_file": FuzzTarget(_config_text, _read_config, (ConfigError,), 2),
    "migrate": FuzzTarget(_flags, _migrate, weight=1),
    "lua_patterns": FuzzTarget(lambda chooser: chooser.text(6), translate, (ValueError,), 4),
    "expressions": FuzzTarget(lambda chooser: ("".join([chooser.one_of(_EXPRESSION) for _ in range(chooser.below(10) + 1)]), chooser.text()), _search, (ValueError,), 4),
}  # fmt: skip
