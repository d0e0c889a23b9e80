"""Write the rules with custom settings: ``python -m grafana.rules --objective 0.9995 --into DIR``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana.rules import files
from grafana.rules.settings import Settings, options
from redis_pulse.config import ProbeSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files. Return exit code 0, or exit with 2 if a setting is not valid."""
    parser = argparse.ArgumentParser(prog="python -m grafana.rules", description="Write recording rules and alerts.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="the folder to write them into")
    for option, kind, default, text in options():
        parser.add_argument(
            option,
            type=kind,
            default=default,
            metavar=kind.__name__.upper(),
            help=f"{text} (%(default)s)".replace("% ", "%% "),
        )
    chosen = vars(parser.parse_args(arguments))
    folder: Path = chosen.pop("into")
    try:
        settings = Settings(**chosen)
    except ValueError as error:
        parser.error(str(error))
    if settings.edge not in (edges := ProbeSettings().buckets):
        known = ", ".join(f"{edge:g}" for edge in edges)
        sys.stderr.write(
            f"--edge {settings.edge:g} is not one of the default probe.buckets ({known}): add it there too\n"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.rendered(settings).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {folder / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
