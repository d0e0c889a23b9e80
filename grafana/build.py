"""Write the dashboards: ``python -m grafana.build``. ``make docs`` writes them too."""

import json
import sys
from pathlib import Path

from grafana import instance, keyspace, latency, overview, resilience, slo

FOLDER = Path(__file__).parent / "dashboards"
#: To add a dashboard, add a module with a function ``board()``.
BOARDS = (overview.board, instance.board, latency.board, slo.board, resilience.board, keyspace.board)


def build_all() -> dict[Path, str]:
    """Return the text of every dashboard file, by path."""
    dashboards = [board().build() for board in BOARDS]
    return {
        FOLDER / f"{dashboard['uid']}.json": json.dumps(dashboard, indent=2, sort_keys=True) + "\n"
        for dashboard in dashboards
    }


def main() -> int:
    """Write all files, and delete files of dashboards that no longer exist."""
    FOLDER.mkdir(exist_ok=True)
    files = build_all()
    for stale in set(FOLDER.glob("*.json")) - set(files):
        stale.unlink()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(files)} dashboards in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
