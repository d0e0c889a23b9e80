"""The table of ``make attack``."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Result:
    """What one attack cost, and what was wrong. Memory is in MB, times are in seconds."""

    name: str
    title: str
    normal: float = 0.0
    peak: float = 0.0
    kept: float = 0.0
    wait: float = 0.0
    scrape: float = 0.0
    lost: float = 0.0
    stop: float = 0.0
    problems: list[str] = field(default_factory=list)
    #: why the attack was not made on this machine
    not_run: str = ""

    @property
    def verdict(self) -> str:
        """Return ``ok``, ``FAIL`` or ``not run``."""
        if self.problems:
            return "FAIL"
        return "not run" if self.not_run else "ok"


_HEAD = ("attack", "peak MB", "kept MB", "page ms", "scrape s", "lost", "stop s", "verdict")


def line(result: Result) -> str:
    """Return the row of one attack."""
    cells = (
        f"{result.name} {result.title}",
        f"{result.peak - result.normal:+.0f}",
        f"{result.kept - result.normal:+.0f}",
        f"{result.wait * 1000:.0f}",
        f"{result.scrape:.1f}",
        f"{result.lost:g}",
        f"{result.stop:.1f}",
        result.verdict + (f": {result.not_run}" if result.not_run else ""),
    )
    return "| " + " | ".join(cells) + " |"


def head() -> str:
    """Return the head of the table."""
    return "| " + " | ".join(_HEAD) + " |\n" + "|---" * len(_HEAD) + "|"


def summary(results: Sequence[Result]) -> str:
    """Return the reasons of all failures, then the counts."""
    lines = [f"{one.name} FAIL: {problem}" for one in results for problem in one.problems]
    counts = {word: sum(one.verdict == word for one in results) for word in ("ok", "FAIL", "not run")}
    lines.append(", ".join(f"{count} {word}" for word, count in counts.items() if count))
    return "\n".join(lines)


def exit_code(results: Sequence[Result]) -> int:
    """Return 1 if an attack succeeded, or if nothing was attacked."""
    return int(not results or any(one.problems for one in results))
