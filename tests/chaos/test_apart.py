"""What verifies the daemon from outside shares no code with it, and its files can be read in one sitting."""

import ast
from pathlib import Path

FILES = sorted((Path(__file__).parents[2] / "chaos").glob("*.py"))


def modules(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


def test_nothing_of_the_daemon_nor_of_its_client_library_is_imported() -> None:
    assert FILES
    for file in FILES:
        assert modules(file).isdisjoint({"redis_pulse", "redis", "prometheus_client", "tests"}), file


def test_files_are_short() -> None:
    assert all(len(file.read_text(encoding="utf-8").splitlines()) <= 400 for file in FILES)


def test_nothing_but_the_seed_decides() -> None:
    """``random`` is imported where the plan is made, and nowhere else."""
    assert [file.name for file in FILES if "random" in modules(file)] == ["plan.py"]
