import re
from collections.abc import Iterator

import pytest

from redis_pulse.errors import REASONS, TargetError


def tree(root: type[TargetError] = TargetError) -> Iterator[type[TargetError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


#: The public contract, word for word.
CONTRACT = (
    "timeout refused reset dns unreachable tls auth permission loading busy masterdown readonly maxclients oom misconf "
    "clusterdown protocol rejected skipped other"
)


def test_the_reasons_are_the_closed_list_of_the_contract() -> None:
    assert " ".join(REASONS) == CONTRACT


def test_every_error_has_a_reason_of_the_list_and_every_reason_an_error() -> None:
    assert {error.reason for error in tree()} == set(REASONS)


@pytest.mark.parametrize("error", list(tree()), ids=lambda error: error.__name__)
def test_an_error_is_described_and_named_as_one(error: type[TargetError]) -> None:
    assert error.__name__.endswith("Error")
    assert (error.__doc__ or "").strip()
    assert re.fullmatch(r"[a-z]+", error.reason)
    assert str(error("no answer")) == "no answer"


def test_the_breaker_counts_what_is_unreachable_or_not_ready_and_nothing_else() -> None:
    """A server that answers "no" is alive; an open breaker would only hide it."""
    assert {error.reason for error in tree() if error.unavailable} == {
        "timeout",
        "refused",
        "reset",
        "dns",
        "unreachable",
        "tls",
        "loading",
        "busy",
        "masterdown",
        "maxclients",
    }
