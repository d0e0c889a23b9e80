"""Draw the pictures of docs/dashboards.md anew: real servers, a few healthy minutes, then one trouble after the other.

    make screenshots RENDERER=/path/to/render.mjs

The renderer draws a dashboard's JSON file as a PNG (``--dashboard --prometheus --out --from --to --width``); Grafana's
own image renderer does not read files. ``pngquant`` makes the pictures small. As root all runs with real-time priority:
an exporter that has to wait for a CPU says so, and on a busy machine that is what the pictures would show.
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
LARGEST = 150_000  # bytes
AMID = 24.0  # seconds after the trouble began: one server is down, one is slow, one is back


class Picture(NamedTuple):
    """What is drawn: with ``chosen`` variables, ``depth`` units of the grid deep, until the end or ``amid`` trouble."""

    board: str
    chosen: tuple[str, ...] = ()
    depth: int = 99
    amid: bool = False


PICTURES = {
    "fleet": Picture("redis-pulse-overview", amid=True),
    "instance": Picture("redis-pulse-instance", ("target=sessions",), depth=33),
    "latency": Picture("redis-pulse-latency", depth=30),
    "slo": Picture("redis-pulse-slo"),
    "resilience": Picture("redis-pulse-resilience", depth=40),
}


class Times(NamedTuple):
    """When the story began, was amid its trouble, and ended (Unix time)."""

    began: float
    amid: float
    ended: float


def draw(renderer: str, prometheus: str, folder: Path, times: Times) -> None:
    """Draw all pictures, without collapsed rows, each with few colours."""
    for name, picture_of in PICTURES.items():
        board = json.loads((FOLDER / f"{picture_of.board}.json").read_text(encoding="utf-8"))
        board["panels"] = [
            one for one in board["panels"] if one["gridPos"].get("y", 0) < picture_of.depth and not one.get("collapsed")
        ]
        while board["panels"][-1]["type"] == "row":
            board["panels"].pop()
        cut = folder / f"{name}.json"
        cut.write_text(json.dumps(board), encoding="utf-8")
        picture = folder / f"{name}.png"
        asked = [word for one in picture_of.chosen for word in ("--var", one)]
        until = times.amid if picture_of.amid else times.ended
        span = ["--from", str(int(times.began * 1000)), "--to", str(int(until * 1000)), "--scrape-interval", "2s"]
        command = [renderer, "--dashboard", str(cut), "--prometheus", prometheus, "--out", str(picture), *span, *asked]
        subprocess.run([*command, "--width", "1500"], check=True, stdout=subprocess.DEVNULL)
        for colours in (256, 128, 64, 32):
            small = ["pngquant", "--force", "--strip", "--speed", "1", "--output", str(IMAGES / f"{name}.png")]
            subprocess.run([*small, str(colours), str(picture)], check=True)
            if (IMAGES / f"{name}.png").stat().st_size < LARGEST:
                break
        print(f"{name}.png: {(IMAGES / f'{name}.png').stat().st_size} bytes, {colours} colours", flush=True)


async def story(show: Showcase, healthy: float) -> Times:
    """Let the servers work, break them, let them recover."""
    work = asyncio.create_task(show.work())
    await asyncio.sleep(30)  # the first scrapes, and caches that fill
    began = time.time()
    await asyncio.sleep(healthy)
    broken = time.time()
    await show.trouble()
    await asyncio.sleep(60)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return Times(began, broken + AMID, time.time())


def main() -> int:
    """Run the story and draw it."""
    parser = argparse.ArgumentParser(description="Draw docs/img/*.png anew.")
    parser.add_argument("--renderer", required=True, help="program that draws a dashboard's JSON file")
    parser.add_argument("--healthy", type=float, default=300, help="seconds before the trouble begins")
    options = parser.parse_args()
    if shutil.which("pngquant") is None:
        parser.error("pngquant is not installed: apt-get install pngquant")
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    with tempfile.TemporaryDirectory(prefix="redis-pulse-screenshots-") as made:
        folder = Path(made)
        with Showcase(folder) as show:
            draw(options.renderer, show.prometheus.url, folder, asyncio.run(story(show, options.healthy)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
