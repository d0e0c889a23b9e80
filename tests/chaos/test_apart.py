"""The chaos program shares no code with the daemon that it checks, and its files are short."""

import ast
from pathlib import Path

FILES = sorted((Path(__file__).parents[2] / "chaos").glob("*.py"))


def imported_modules(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    return modules


def test_chaos_does_not_import_the_daemon_or_its_libraries() -> None:
    assert FILES
    for file in FILES:
        assert imported_modules(file).isdisjoint({"redis_pulse", "redis", "prometheus_client", "tests"}), file


def test_files_are_short() -> None:
    assert all(len(file.read_text(encoding="utf-8").splitlines()) <= 400 for file in FILES)


def test_only_the_plan_uses_random_numbers() -> None:
    """So the seed decides everything."""
    assert [file.name for file in FILES if "random" in imported_modules(file)] == ["plan.py"]
