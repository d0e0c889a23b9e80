"""Write the dashboards: ``python -m grafana.build``. ``make docs`` writes them too."""

import json
import sys
from pathlib import Path

from grafana import instance, keyspace, latency, overview, resilience, slo
from grafana.portable import portable

FOLDER = Path(__file__).parent / "dashboards"
#: The same dashboards, in the form that asks for a data source.
PORTABLE = Path(__file__).parents[1] / "mixin" / "dashboards"
#: To add a dashboard, add a module with a function ``board()``.
BOARDS = (overview.board, instance.board, latency.board, slo.board, resilience.board, keyspace.board)


def build_all() -> dict[Path, str]:
    """Return the text of every dashboard file, by path: each dashboard in both forms."""
    files = {}
    for board in BOARDS:
        dashboard = board().build()
        for folder, form in ((FOLDER, dashboard), (PORTABLE, portable(dashboard))):
            files[folder / f"{dashboard['uid']}.json"] = json.dumps(form, indent=2, sort_keys=True) + "\n"
    return files


def main() -> int:
    """Write all files, and delete files of dashboards that no longer exist."""
    files = build_all()
    for folder in (FOLDER, PORTABLE):
        folder.mkdir(parents=True, exist_ok=True)
        for stale in set(folder.glob("*.json")) - set(files):
            stale.unlink()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(BOARDS)} dashboards in {FOLDER} and {PORTABLE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
