"""Evaluates the shipped rules over the pages of an episode: no alert may fire for a target without a fault.

promtool evaluates them, with the pages as input series, one each 15 s. Its time begins at 0. So the time at which the
episode began is subtracted from every value that is a Unix time.

Two things differ from a Prometheus server. A failure counter that stays 0 is left out, because there are thousands. And
alerts whose windows are longer than the episode see only the episode.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from simulate.clock import START_WALL_NS

RULES = Path(__file__).resolve().parents[1] / "deploy" / "prometheus"
FILES = ("recording.yaml", "alerts.yaml")
SECONDS = 15
_NAME = re.compile(r"\bredis_[a-z0-9_]+")
_GOT = re.compile(r'\{alertname="(\w+)"(?:[^}]*?target="([^"]+)")?[^}]*\}')
_SPARSE = "redis_operation_failures_total"
_EXPORTER = 'job="redis-pulse",instance="exporter:9121"'


class RuleSeries:
    """The values of every series that a rule uses."""

    def __init__(self) -> None:
        text = "".join((RULES / file).read_text(encoding="utf-8") for file in FILES)
        self._names = set(_NAME.findall(text))
        self._values: dict[str, list[str]] = {}
        self.count = 0

    def add(self, page: str | None) -> None:
        """Add the next page, or None for a failed scrape."""
        for line in page.split("\n") if page is not None else ():
            name = line[: min(at for at in (line.find("{"), line.find(" "), len(line)) if at >= 0)]
            if name not in self._names:
                continue
            series, _, value = line.rpartition(" ")
            if name.endswith(("_timestamp_seconds", "_time_seconds")):
                value = f"{float(value) - START_WALL_NS / 1e9:.3f}"
            values = self._values.setdefault(series, [])
            values += _missing(self.count - len(values), is_new=not values)
            values.append(value)
        self._values.setdefault("up", ["_"] * self.count).append("1" if page is not None else "0")
        self.count += 1

    def firing(self, folder: Path) -> set[tuple[str, str]] | None:
        """Return the alerts that fired at any time, each with its target or "". None: promtool is not installed."""
        promtool = shutil.which("promtool")
        if promtool is None:
            return None
        for file in FILES:
            shutil.copy(RULES / file, folder / file)
        (folder / "test.yaml").write_text("\n".join(self._test()) + "\n", encoding="utf-8")
        command = [promtool, "test", "rules", "test.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        got = [line for line in output.splitlines() if line.strip().startswith("got:")]
        if done.returncode != 0 and not got:
            raise RuntimeError(f"promtool failed: {output[-500:]}")
        return {(match[1], match[2] or "") for line in got for match in _GOT.finditer(line)}

    def _test(self) -> Iterator[str]:
        yield f"rule_files: [{', '.join(FILES)}]"
        yield f"evaluation_interval: {SECONDS}s"
        yield f"tests:\n- interval: {SECONDS}s\n  input_series:"
        for series, values in self._kept():
            name, brace, labels = series.partition("{")
            text = f"{name}{{{_EXPORTER}{',' if brace else ''}{labels if brace else '}'}"
            yield f"  - series: '{text.replace(chr(39), chr(39) * 2)}'"
            yield f"    values: '{' '.join(values)}'"
        end = f"{(self.count - 1) * SECONDS}s"
        yield "  promql_expr_test:"
        yield (
            "  - expr: 'count by (alertname, target) "
            f'(count_over_time(ALERTS{{alertstate="firing"}}[{(self.count + 1) * SECONDS}s]))\''
        )
        yield f"    eval_time: {end}\n    exp_samples: []"

    def _kept(self) -> Iterable[tuple[str, list[str]]]:
        for series, values in self._values.items():
            if not series.startswith(_SPARSE) or any(value not in ("0", "_", "stale") for value in values):
                yield series, [*values, *_missing(self.count - len(values), is_new=False)]


def _missing(count: int, *, is_new: bool) -> list[str]:
    """Return so many missing values. A series that was there becomes stale at once, as in Prometheus."""
    return ["_"] * count if is_new or count == 0 else ["stale", *["_"] * (count - 1)]
