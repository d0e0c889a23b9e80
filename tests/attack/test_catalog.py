"""Every finding of the two reviews has a row, and rows can be chosen."""

import pytest

from attack.clients import KINDS as CLIENTS
from attack.hostile import ALWAYS, KINDS
from attack.rows.catalog import ROWS, chosen

FINDINGS = [f"E{number}" for number in range(1, 9)]
FINDINGS += [f"H{number}" for number in range(1, 7)]
FINDINGS += [f"M{number}" for number in range(1, 11)]
FINDINGS += [f"L{number}" for number in range(1, 14)]


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_is_attacked(finding: str) -> None:
    assert chosen(finding)


def test_rows_are_unique_and_in_order() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert names[0].startswith("E1")
    assert names[-1] == "L13"


def test_one_row_or_a_group_of_rows_is_chosen() -> None:
    assert [row.name for row in chosen("H3a, L12")] == ["H3a", "L12"]
    assert [row.name for row in chosen("H3")] == ["H3a", "H3b", "H3c"]
    assert len(chosen("")) == len(ROWS)
    with pytest.raises(ValueError, match="there is no attack X9; the attacks are E1a"):
        chosen("H1,X9")


def test_hostile_servers_have_replies() -> None:
    assert set(ALWAYS) <= KINDS.keys()
    for kind, reply in KINDS.items():
        pieces = reply([b"INFO"])
        assert pieces is None or next(iter(pieces))[:1] in b"$*", kind
        assert reply([b"PING"]) is None, kind


def test_hostile_clients_are_bounded() -> None:
    assert all(0 < count <= 512 for count, _ in CLIENTS.values())
