"""Parsers are linear: twice the input takes about twice the steps.

Two things are measured. Lines of Python are counted. The time of the processor covers what C code does,
such as expressions. A text of four times the length takes quadratic code 16 times as long. The limit is 8. Another
program can slow one call down, so the test repeats until a pair is below the limit. Quadratic code never gets there.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from fuzz.inputs import encode
from fuzz.steps import count_steps
from fuzz.targets import TARGETS
from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.collectors.support.redact_settings import is_secret
from redis_pulse.config.regular_expressions import compile_expression
from redis_pulse.parse.client_list import parse_client
from redis_pulse.parse.info import parse_module, parse_pairs
from redis_pulse.text_format import escape_label_value

PARTS = (
    *(
        "a:1\n",
        "# S\n",
        "db0:keys=1,expires=2\r\n",
        ",a=[",
        "module:name=x,a=[",
        "[",
        "]",
        "=",
        ",",
        ":",
        " ",
        "a b=",
        "\n",
    ),
    *(
        "id=1 a=b\n",
        "id=1 ",
        "07c3 a:1@2 master - 0 0 1 connected 0-1\n",
        "0-1 ",
        "key-",
        "pass",
        "key" + " " * 50,
        "a:",
        "@",
    ),
    *("\x1b", "\u202e", "é", '"', "\\", "9", "9m", "aaaaaaaa-", "q=0.5,", "&a=b", "%41", "://", "master0:name=a\n"),
)
TEXT_READERS: dict[str, Callable[[str], object]] = {
    **{
        name: TARGETS[name].run
        for name in ("info", "client_list", "cluster_nodes", "short_texts", "accept_and_query", "values")
    },
    "pairs": parse_pairs,
    "module": parse_module,
    "client": parse_client,
    "label": escape_label_value,
    "setting": lambda value: is_secret("x", value[:1000]),
    "error": lambda value: map_error_reply(value, secret="hunter2hunter2"),
    "expression": compile_expression("^(.*):(.*):(.*):[a-z]+$").search,
}
REPLIES: dict[str, Callable[[int], Any]] = {
    "flat": lambda count: [b"a"] * count,
    "pairs": lambda count: [b"name", b"x"] * count,
    "lists": lambda count: [[b"name", b"x"]] * count,
    "numbers": lambda count: [b"calls", 1, b"histogram_usec", list(range(count))],
    "one text": lambda count: b"x" * count,
}


#: Characters of the shorter text. Some parsers read short texts faster, and are compared beyond that length.
LENGTHS = {"info": 400_000}


def seconds(call: Callable[[], object]) -> float:
    """Return the time of the processor that a call takes."""
    started = time.thread_time()
    with suppress(Exception):  # a refusal takes time too
        call()
    return time.thread_time() - started


def assert_linear(read: Callable[[Any], object], make: Callable[[int], Any], count: int) -> None:
    small, double = make(count), make(2 * count)
    for one in (small, double):  # fills caches, and imports what is imported late
        count_steps(lambda one=one: read(one))  # type: ignore[misc]
    # Quadratic code would need four times as many. The garbage collector may add some, when it ends other objects.
    assert count_steps(lambda: read(double)) <= 2.5 * count_steps(lambda: read(small)) + 100
    large = make(4 * count)
    short = long = float("inf")
    for _ in range(30):
        short = min(short, seconds(lambda: read(small)))
        long = min(long, seconds(lambda: read(large)))
        if long < 8 * max(0.0005, short):  # shorter times say nothing
            return
    pytest.fail(f"{4 * count} pieces took {long / short:.1f} times as long as {count}")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LENGTHS else []) for name in TEXT_READERS]
)
def test_text_of_twice_the_length_takes_twice_the_steps(name: str) -> None:
    for part in PARTS:
        assert_linear(TEXT_READERS[name], lambda count, part=part: part * count, LENGTHS.get(name, 16_000) // len(part))  # type: ignore[misc]


@pytest.mark.parametrize("kind", REPLIES)
def test_reply_of_twice_the_length_takes_twice_the_steps(kind: str) -> None:
    make = REPLIES[kind]
    assert_linear(TARGETS["replies"].run, make, 3000)
    assert_linear(lambda reply: TARGETS["sentinel"].run([b"id", reply, reply, reply, reply, reply]), make, 3000)


@pytest.mark.parametrize("kind", REPLIES)
def test_bytes_of_twice_the_length_take_twice_the_steps(kind: str) -> None:
    make = REPLIES[kind]
    # hiredis reads what is shorter, in fewer steps.
    assert_linear(TARGETS["resp"].run, lambda count: encode(make(count)), 520)
