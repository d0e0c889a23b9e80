"""Draw the pictures of docs/dashboards.md. Real servers run well for a few minutes, then several things fail.

    make screenshots RENDERER=/path/to/render.mjs

The renderer draws a dashboard's JSON file as a PNG (``--dashboard --prometheus --out --from --to --width``). Grafana's
own image renderer cannot read files. ``pngquant`` makes the pictures small. As root, all processes get real-time
priority. Without it, a busy machine delays the exporter, and the pictures would show this delay.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.showcase import Showcase
from grafana.build import FOLDER

IMAGES = FOLDER.parents[1] / "docs" / "img"
MAX_BYTES = 150_000
OUTAGE_PICTURE = 24.0  # seconds after the first fault: one server is down, one is slow, one is back


class Picture(NamedTuple):
    """One picture. It shows ``depth`` rows of the grid, until the end, or with ``amid`` until the middle of the faults.

    ``variables`` are values of dashboard variables.
    """

    board: str
    variables: tuple[str, ...] = ()
    depth: int = 99
    amid: bool = False


PICTURES = {
    "fleet": Picture("redis-pulse-overview", amid=True),
    "instance": Picture("redis-pulse-instance", ("target=sessions",), depth=33),
    "latency": Picture("redis-pulse-latency", depth=30),
    "slo": Picture("redis-pulse-slo"),
    "resilience": Picture("redis-pulse-resilience", depth=40),
    "keyspace": Picture("redis-pulse-keyspace"),
}


class Times(NamedTuple):
    """The Unix times of the begin, of the middle of the faults, and of the end."""

    began: float
    amid: float
    ended: float


def draw(renderer: str, prometheus: str, folder: Path, times: Times) -> None:
    """Draw all pictures, without collapsed rows, and with few colours."""
    for name, specification in PICTURES.items():
        board = json.loads((FOLDER / f"{specification.board}.json").read_text(encoding="utf-8"))
        board["panels"] = [
            panel
            for panel in board["panels"]
            if panel["gridPos"].get("y", 0) < specification.depth and not panel.get("collapsed")
        ]
        while board["panels"][-1]["type"] == "row":
            board["panels"].pop()
        shortened = folder / f"{name}.json"
        shortened.write_text(json.dumps(board), encoding="utf-8")
        picture = folder / f"{name}.png"
        variables = [word for value in specification.variables for word in ("--var", value)]
        until = times.amid if specification.amid else times.ended
        span = ["--from", str(int(times.began * 1000)), "--to", str(int(until * 1000)), "--scrape-interval", "2s"]
        command = [
            renderer,
            "--dashboard",
            str(shortened),
            "--prometheus",
            prometheus,
            "--out",
            str(picture),
            *span,
            *variables,
        ]
        subprocess.run([*command, "--width", "1500"], check=True, stdout=subprocess.DEVNULL)
        for colours in (256, 128, 64, 32):
            small = ["pngquant", "--force", "--strip", "--speed", "1", "--output", str(IMAGES / f"{name}.png")]
            subprocess.run([*small, str(colours), str(picture)], check=True)
            if (IMAGES / f"{name}.png").stat().st_size < MAX_BYTES:
                break
        print(f"{name}.png: {(IMAGES / f'{name}.png').stat().st_size} bytes, {colours} colours", flush=True)


async def scenario(show: Showcase, healthy: float) -> Times:
    """Let the servers work, break them, let them recover. Return the times."""
    work = asyncio.create_task(show.work())
    await asyncio.sleep(30)  # the first scrapes, and the time until caches are full
    began = time.time()
    await asyncio.sleep(healthy)
    broken = time.time()
    await show.run_faults()
    await asyncio.sleep(60)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return Times(began, broken + OUTAGE_PICTURE, time.time())


def main() -> int:
    """Run the scenario and draw the pictures."""
    parser = argparse.ArgumentParser(description="Draw docs/img/*.png again.")
    parser.add_argument("--renderer", required=True, help="program that draws a dashboard's JSON file")
    parser.add_argument("--healthy", type=float, default=300, help="seconds before the first fault")
    options = parser.parse_args()
    if shutil.which("pngquant") is None:
        parser.error("pngquant is not installed: apt-get install pngquant")
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    with tempfile.TemporaryDirectory(prefix="redis-pulse-screenshots-") as temporary:
        folder = Path(temporary)
        with Showcase(folder) as show:
            draw(options.renderer, show.prometheus.url, folder, asyncio.run(scenario(show, options.healthy)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
