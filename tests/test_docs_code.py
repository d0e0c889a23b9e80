"""Code in README.md and docs/ is right. What can be loaded is loaded, and the rest is parsed."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from redis_pulse.telemetry import exporter_metrics
from tests.docs_code import CHECKS, SHOWN, Block, blocks, check_commands, documents, expressions, inline_commands
from tests.integration.requirements import need
from tests.metric_names import metrics, metrics_in_expression

PAGES = documents()
BLOCKS = [block for page in PAGES for block in blocks(page)]
BY_LANGUAGE = {language: [block for block in BLOCKS if block.language == language] for language in CHECKS}


def problems(of: list[Block], folder: Path) -> Iterator[str]:
    for number, block in enumerate(of):
        own = folder / str(number)
        own.mkdir()
        if error := CHECKS[block.language](block, own):
            yield f"{block}: {error}"


def test_every_block_has_a_language_that_is_checked() -> None:
    unknown = [str(block) for block in BLOCKS if block.language not in (*CHECKS, *SHOWN, "promql")]
    assert not unknown, f"begin the block with ``` and one of {[*CHECKS, *SHOWN, 'promql']}: {unknown}"


@pytest.mark.parametrize("language", [language for language, some in BY_LANGUAGE.items() if some])
def test_blocks_are_right(language: str, tmp_path: Path) -> None:
    wrong = list(problems(BY_LANGUAGE[language], tmp_path))
    assert not wrong, "\n".join(wrong)


def test_commands_in_sentences_are_right() -> None:
    wrong = [
        f"{block}: {error}"
        for page in PAGES
        for block in inline_commands(page)
        if (error := check_commands(block.text))
    ]
    assert not wrong, "\n".join(wrong)


def test_prometheus_accepts_every_expression(tmp_path: Path) -> None:
    """One file of rules has all expressions, so promtool starts once."""
    found = [(block, one) for block in BLOCKS if block.language == "promql" for one in expressions(block)]
    assert len(found) > 50
    rules = [{"record": f"docs:example{number}", "expr": one} for number, (_, one) in enumerate(found)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}), encoding="utf-8")
    command = [need("promtool", "prometheus"), "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    bad = {int(number) for number in re.findall(r"docs:example(\d+)", done.stderr)}
    where = "\n".join(f"docs:example{number} is {found[number][0]}" for number in sorted(bad))
    assert done.returncode == 0, f"{done.stderr}\n{where}"


def test_expressions_use_only_metrics_that_exist() -> None:
    native = {family.name for family in exporter_metrics.describe_all() if family.kind == "histogram"}
    known = metrics() | native
    wrong = [
        f"{block}: {name}"
        for block in BLOCKS
        if block.language == "promql"
        for one in expressions(block)
        for name in sorted(metrics_in_expression(re.sub(r"\b\w+:\w+:\w+", "0", one)))
        if name.startswith("redis_") and name not in known
    ]
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("language", "text", "message"),
    [
        ("sh", "redis-pulse doctor --jsn\n", "unrecognized arguments"),
        ("sh", "A=1 redis-pulse --config f.yaml --poll-intervall 5s\n", "did you mean --poll-interval?"),
        ("sh", "cat f | redis-pulse check-confg -\n", "did you mean check-config?"),
        ("console", "$ redis-pulse web-config chek f\nok\n", "wrong arguments"),
        ("sh", "redis-pulse migrate-flags -- -redis.adr=x\n", "no flag -redis.adr"),
        ("sh", "make tset\n", "no target tset"),
        ("sh", "if true; then\n", "syntax error"),
        ("yaml", "targets:\n  - {nam: a, url: 'redis://a'}\n", "did you mean name?"),
        ("yaml", "tls_server_config: {cert_file: a.crt, key_file: a.key, min_versio: TLS13}\n", "min_versio"),
        ("yaml", "- targets: [7]\n", "targets"),
        ("yaml", "serviceMonitor: {enable: true}\n", "enable"),
        ("yaml", "a: [\n", "expected"),
        ("yaml", "something: else\n", "no known kind"),
        ("json", "{'a': 1}\n", "Expecting property name"),
        ("ini", "[Servce]\nNice=1\n", "no section of a unit"),
        ("python", "def f(:\n", "invalid syntax"),
        ("dockerfile", "FORM python\n", "no instruction"),
    ],
)
def test_wrong_code_is_found(language: str, text: str, message: str, tmp_path: Path) -> None:
    found = list(problems([Block("docs/a.md", 1, language, text)], tmp_path))
    assert [message in one for one in found] == [True], found


def test_blocks_are_found_with_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# A\n\n1. One:\n\n   ```sh\n   make test\n   ```\n\nTwo:\n\n    indented\n\n`make\nrun` and `x`.\n"
    )
    assert list(blocks(page, tmp_path)) == [
        Block("a.md", 5, "sh", "make test\n"),
        Block("a.md", 11, "", "    indented"),
    ]
    assert list(inline_commands(page, tmp_path)) == [Block("a.md", 13, "sh", "make run\n")]


def test_expressions_of_a_block_are_told_apart() -> None:
    block = Block("a.md", 1, "promql", "up\n\nsum(\n  up\n)\n/ 2\n# a comment\nrate(x[5m])\n")
    assert expressions(block) == ["up", "sum(\n  up\n)\n/ 2", "rate(x[5m])"]
