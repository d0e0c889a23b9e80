"""The simulated servers of the benchmarks: replies of the true shape whose values change."""

from collections.abc import Callable
from contextlib import ExitStack

from tests.integration.echo_answers import encode, split_commands
from tests.integration.echo_changing import ChangingReplies, _Part, compare
from tests.integration.servers import RealServer


def _rendered(template: object, moment: float) -> bytes:
    assert isinstance(template, list)
    return b"".join([part.render(moment) for part in template])


def test_numbers_that_differ_grow_and_lengths_follow() -> None:
    template = compare(b"$11\r\na:9\r\nb:5\r\nc\r\n", b"$12\r\na:10\r\nb:5\r\nc\r\n")
    assert _rendered(template, 0) == b"$11\r\na:9\r\nb:5\r\nc\r\n"
    assert _rendered(template, 1) == b"$12\r\na:10\r\nb:5\r\nc\r\n"
    assert _rendered(template, 991) == b"$14\r\na:1000\r\nb:5\r\nc\r\n"


def test_number_replies_grow_and_counts_of_arrays_stay() -> None:
    template = compare(b"*2\r\n$4\r\nget%\r\n:7\r\n", b"*2\r\n$4\r\nget%\r\n:9\r\n")
    assert _rendered(template, 10) == b"*2\r\n$4\r\nget%\r\n:27\r\n"
    assert isinstance(template, list)
    assert all(isinstance(part, _Part) for part in template)


def test_replies_of_different_shapes_have_no_template() -> None:
    assert compare(b"*1\r\n:7\r\n", b"*2\r\n:7\r\n:8\r\n") is None
    assert compare(b"$1\r\na\r\n", b"$1\r\nb\r\n") is None
    assert compare(b":1\r\n", b":1\r\n") == b":1\r\n"


def test_most_of_a_real_info_changes_between_two_polls(
    start_server: Callable[..., RealServer], stack: ExitStack
) -> None:
    replies = ChangingReplies(start_server().port)
    stack.callback(replies.close)
    words, _ = split_commands(encode([b"INFO", b"all"]))
    first = replies.reply_to(words[0], 10).splitlines()
    second = replies.reply_to(words[0], 11).splitlines()
    assert len(first) == len(second)
    assert sum(one != other for one, other in zip(first, second, strict=True)) > 100
    assert [line for line in first if line.startswith(b"redis_version")] == [
        line for line in second if line.startswith(b"redis_version")
    ]
