"""All rows, in the order of the two tables: first round (E), then high, medium and low findings."""

from collections.abc import Sequence

from attack.rows import files, inbound, servers, sources
from attack.rows.base import Row

_ORDER = "EHML"
ROWS: tuple[Row, ...] = tuple(
    sorted(
        (*inbound.ROWS, *servers.ROWS, *sources.ROWS, *files.ROWS),
        key=lambda row: (_ORDER.index(row.name[0]), int("".join(filter(str.isdigit, row.name))), row.name),
    )
)


def chosen(names: str) -> Sequence[Row]:
    """Return the rows with these names, separated by commas. ``H3`` selects H3a and H3b too. Raises ValueError."""
    if not names:
        return ROWS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(_matches(row, name) for row in ROWS):
            raise ValueError(f"there is no attack {name}; the attacks are {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if any(_matches(row, name) for name in wanted)]


def _matches(row: Row, name: str) -> bool:
    return row.name == name or row.name.rstrip("abcdef") == name
