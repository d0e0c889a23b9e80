"""The errors of operations: the tree of classes, their reasons, and which of them the circuit breaker counts."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_pulse import errors
from redis_pulse.errors import REASONS, TargetError


def tree(root: type[TargetError] = TargetError) -> Iterator[type[TargetError]]:
    """Yield a class and all its subclasses, in the order of the module."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


#: The public contract, word for word.
CONTRACT = (
    "timeout refused reset dns unreachable tls auth permission loading busy overloaded masterdown readonly "
    "maxclients oom misconf clusterdown protocol too_large rejected skipped other"
)


def test_reasons_are_those_of_contract() -> None:
    assert " ".join(REASONS) == CONTRACT


def test_documented_reasons_are_those_of_contract() -> None:
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = text.split("The label `reason` has a closed list of values:", 1)[1].split("<!--", 1)[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(REASONS)


def test_every_error_has_a_reason_and_every_reason_an_error() -> None:
    assert {error.reason for error in tree()} == set(REASONS)


def test_docstring_of_module_lists_tree_of_errors() -> None:
    lines = []
    for error in tree():
        depth = len(error.__mro__) - len(TargetError.__mro__)
        text = f"{'  ' * depth}* {error.__name__} "
        lines.append(f"{text:.<46} {error.reason}{', unavailable' if error.unavailable else ''}")
    listed = [line for line in (errors.__doc__ or "").splitlines() if line.lstrip().startswith("* ")]
    assert listed == lines


@pytest.mark.parametrize("error", list(tree()), ids=lambda error: error.__name__)
def test_error_has_docstring_and_name(error: type[TargetError]) -> None:
    assert error.__name__.endswith("Error")
    assert (error.__doc__ or "").strip()
    assert re.fullmatch(r"[a-z_]+", error.reason)
    assert str(error("no answer")) == "no answer"


def test_only_unreachable_or_unready_servers_are_unavailable() -> None:
    """A server that refuses a command is alive. An open breaker would only hide it."""
    assert {error.reason for error in tree() if error.unavailable} == {
        "timeout",
        "refused",
        "reset",
        "dns",
        "unreachable",
        "tls",
        "loading",
        "busy",
        "overloaded",
        "masterdown",
        "maxclients",
    }
