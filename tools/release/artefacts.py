"""The chart, the image and the workflows of a release, as far as their tools are installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from redis_pulse import __version__
from tools import workflows_check
from tools.release.result import Release, Result, of_errors, run

DEPLOY_TOOLS = Path(sys.prefix) / "deploy-tools" / "bin"
CHART = Path("deploy/helm/redis-pulse")
#: What the documents render the chart with.
VALUES = ("dashboards.enabled=true", "prometheusRule.enabled=true", "serviceMonitor.enabled=true")


def chart(release: Release) -> Result:
    """Package the chart, and render the package. Its image has the version of the release."""
    helm = shutil.which("helm", path=str(DEPLOY_TOOLS)) or shutil.which("helm")
    if helm is None:
        return Result("skipped", "helm is not installed: make deploy-tools")
    run([helm, "package", release.root / CHART, "--destination", release.scratch], cwd=release.scratch)
    package = release.scratch / f"redis-pulse-{__version__}.tgz"
    words = [word for value in VALUES for word in ("--set", value)]
    text = run([helm, "template", "r", package, *words], cwd=release.scratch)
    manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
    kinds = sorted({manifest["kind"] for manifest in manifests})
    errors = []
    if f"image: {_repository(release.root)}:{__version__}" not in text.replace('"', ""):
        errors.append(f"no pod has an image of version {__version__}")
    boards = [
        manifest for manifest in manifests if manifest["kind"] == "ConfigMap" and "overview.json" in str(manifest)
    ]
    if not boards:
        errors.append("the package has no dashboards")
    return of_errors(errors, f"{package.name}, {len(manifests)} objects: {', '.join(kinds)}")


def _repository(root: Path) -> str:
    values = yaml.safe_load((root / CHART / "values.yaml").read_text(encoding="utf-8"))
    return str(values["image"]["repository"])


def image(release: Release) -> Result:
    """Build the image and run it, if a container engine runs and the base image is available."""
    docker = shutil.which("docker")
    if docker is None or not _works([docker, "info"]):
        return Result("skipped", "no container engine runs here")
    line = next(line for line in (release.root / "Dockerfile").read_text().splitlines() if line.startswith("ARG BASE="))
    base = line.removeprefix("ARG BASE=")
    if not _works([docker, "image", "inspect", base]) and not _works([docker, "pull", "--quiet", base]):
        return Result("skipped", f"the base image {base} is not available here")
    tag = "redis-pulse:release-check"
    try:
        run([docker, "build", "--quiet", "--tag", tag, release.root], cwd=release.scratch)
        version = run(
            [docker, "run", "--rm", "--read-only", "--network", "none", tag, "--version"], cwd=release.scratch
        )
        size = run([docker, "image", "inspect", "--format", "{{.Size}}", tag], cwd=release.scratch)
    finally:
        _works([docker, "rmi", "--force", tag])
    errors = [] if version.strip() == f"redis-pulse {__version__}" else [f"the image prints {version.strip()}"]
    return of_errors(errors, f"{version.strip()}, {int(size) // 10**6} MB")


def _works(words: list[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, timeout=300, check=False).returncode == 0  # noqa: S603
    except subprocess.TimeoutExpired:
        return False


def workflows(release: Release) -> Result:
    """Examine the workflows with zizmor and actionlint."""
    outcomes = [(tool.name, *workflows_check.examine(tool, release.root)) for tool in workflows_check.ALL]
    if found := [f"{name}:\n{output}" for name, code, output in outcomes if code == 1]:
        return Result("failed", "\n".join(found))
    if missing := [output for _, code, output in outcomes if code == 2]:
        return Result("skipped", "; ".join(missing))
    return Result("ok", f"{' and '.join(name for name, *_ in outcomes)} found nothing")
