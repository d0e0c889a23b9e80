"""Write the dashboards: ``python -m grafana.build`` (``make docs`` does so too)."""

import json
import sys
from pathlib import Path

from grafana import instance, latency, overview, resilience, slo

FOLDER = Path(__file__).parent / "dashboards"
#: A further dashboard is one more module with a function ``board()``.
BOARDS = (overview.board, instance.board, latency.board, slo.board, resilience.board)


def build_all() -> dict[Path, str]:
    """Return the text of every dashboard file, by path."""
    built = [board().build() for board in BOARDS]
    return {FOLDER / f"{one['uid']}.json": json.dumps(one, indent=2, sort_keys=True) + "\n" for one in built}


def main() -> int:
    """Write the files anew and remove those that no board makes any more."""
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
