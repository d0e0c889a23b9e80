"""The report about the keys of a server as text: a pure function. Names of others cannot control the terminal."""

import textwrap
from collections.abc import Iterator

from redis_pulse.advice import printable
from redis_pulse.keyspace import Estimate, KeyspaceReport, LargeKey, PatternNode
from redis_pulse.status import format_size

MIN_COLUMNS, MAX_COLUMNS = 60, 120
#: Characters of a bar, and the longest pattern that is not cut.
_BAR, _MAX_NAME = 16, 48
_PLUS_MINUS = "±"


def as_text(name: str, report: KeyspaceReport, columns: int) -> str:
    """Return the report in lines of at most ``columns`` characters, where names permit it."""
    width = min(MAX_COLUMNS, max(MIN_COLUMNS, columns))
    lines = [printable(name), *_wrapped(_summary(report), width), *_wrapped(report.certainty, width)]
    for note in report.notes:
        lines += _wrapped(f"Note: {note}", width)
    lines += ["", *_tree(report)]
    if report.largest:
        lines += ["", "The largest keys found:", *(_large(key) for key in report.largest[:20])]
    if report.growth:
        lines += ["", "What grows:"]
        for one in report.growth[:10]:
            sign = "+" if one.change.value >= 0 else "-"
            error = f" {_PLUS_MINUS} {format_size(one.change.error)}"
            doubt = "" if one.is_certain else ", within its error"
            size = f"{sign}{format_size(abs(one.change.value))}{error}"
            lines.append(f"  {size:>24}  db{one.db} {printable(one.pattern, _MAX_NAME)}{doubt}")
    return "\n".join([*lines, "", *_wrapped(_measured(report), width), ""])


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text, 2000), width, break_on_hyphens=False)


def _summary(report: KeyspaceReport) -> str:
    if report.memory is None:
        return f"{report.keys} keys. The server does not tell their memory."
    dataset = "" if report.dataset_bytes is None else f" of {format_size(report.dataset_bytes)} of data"
    return f"{report.keys} keys take {_size(report.memory)}{dataset}."


def _measured(report: KeyspaceReport) -> str:
    walk = report.walk
    visited = "all keys visited" if walk.passes else f"{walk.ratio:.1%} of all keys visited"
    share = "" if report.server_share is None else f", {report.server_share:.2%} of the server's main thread"
    return f"From {report.draws} random draws, and a walk: {visited}{share}."


def _tree(report: KeyspaceReport) -> Iterator[str]:
    whole = max((_measure(node).high for node in report.tree), default=0.0) or 1.0
    total = sum(_measure(node).value for node in report.tree) or 1.0
    what = "Keys" if report.memory is None else "Memory"
    yield f"{what:>24}  {'Share':>6}  {'Keys':>22}  {'':{_BAR}}  Pattern"
    for root in report.tree:
        yield from _rows(root, 0, whole, total)
    if not report.tree:
        yield "  no key"


def _rows(node: PatternNode, depth: int, whole: float, total: float) -> Iterator[str]:
    measure = _measure(node)
    size = _count(measure) if node.memory is None else _size(measure)
    bar = "#" * round(_BAR * measure.value / whole)
    name = f"db{node.db}" if depth == 0 else "  " * depth + printable(node.pattern, _MAX_NAME)
    types = ", ".join(sorted({usage.type for usage in node.usages}))
    share = f"{measure.value / total:.1%}"
    yield f"{size:>24}  {share:>6}  {_count(node.keys):>22}  {bar:{_BAR}}  {name}{f'  ({types})' if types else ''}"
    for child in sorted(node.children, key=lambda one: -_measure(one).value):
        yield from _rows(child, depth + 1, whole, total)


def _measure(node: PatternNode) -> Estimate:
    return node.keys if node.memory is None else node.memory


def _size(estimate: Estimate) -> str:
    return format_size(estimate.value) + (f" {_PLUS_MINUS} {format_size(estimate.error)}" if estimate.error else "")


def _count(estimate: Estimate) -> str:
    return f"{estimate.value:.0f}" + (f" {_PLUS_MINUS} {estimate.error:.0f}" if estimate.error else "")


def _large(key: LargeKey) -> str:
    size = "unknown" if key.memory is None else format_size(key.memory)
    length = "" if key.length is None else f", length {key.length}"
    ttl = "never expires" if key.ttl is None else f"expires in {_span(key.ttl)}"
    name = key.pattern if key.name is None else key.name.decode(errors="backslashreplace")
    return f"  {size:>10}  {key.type:8} db{key.db}  {printable(name, _MAX_NAME)}  ({ttl}{length})"


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
