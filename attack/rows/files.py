"""Attacks by files, and by the environment of the process."""

import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from attack.rows.base import Row
from attack.world import ROOT, World


def _discovery_folder(world: World) -> None:
    (world.folder / "found").mkdir()
    world.discovery(files=[{"path": str(world.folder / "found" / "*.json"), "interval": "1s"}])


def _link_to_zero(world: World) -> None:
    (world.folder / "found" / "b.json").symlink_to("/dev/zero")
    entry = [{"targets": ["127.0.0.3:1"], "labels": {"__name": "late"}}]
    world.write("found/c.json", json.dumps(entry))


def _late_is_taken(world: World) -> Iterator[str]:
    if world.daemon.page(10).value("redis_up", target="late") is None:
        yield "a good file beside it is not read"


def _password_file(world: World) -> None:
    server = world.real("login", requirepass="FIFO-PASSWORD-S3K")
    world.notes["server"] = server
    path = world.write("password", "FIFO-PASSWORD-S3K")
    world.secrets.append("FIFO-PASSWORD-S3K")
    world.config["targets"].append({"name": "bad", "url": server.url, "password_file": str(path)})


def _replace_by_fifo(world: World) -> None:
    path = world.folder / "password"
    path.unlink()
    os.mkfifo(path)
    world.notes["server"].disconnect_clients()


def _replace_by_zero(world: World) -> None:
    path = world.folder / "password"
    path.unlink()
    path.symlink_to("/dev/zero")
    world.notes["server"].disconnect_clients()


def _check_odd_files(world: World) -> Iterator[str]:
    """``check-config`` refuses password files that are no regular files, and ends."""
    for name, make in (("a FIFO", os.mkfifo), ("/dev/zero", lambda path: Path(path).symlink_to("/dev/zero"))):
        path = world.folder / f"odd-{name.strip('/').replace('/', '-').replace(' ', '-')}"
        make(path)
        world.write("odd.yaml", json.dumps({"targets": [{"url": "redis://127.0.0.1:1", "password_file": str(path)}]}))
        ran = world.run_command("check-config", "odd.yaml", timeout=15)
        if ran is None:
            yield f"check-config does not end with {name} as password_file"
        elif "Traceback" in ran.stderr:
            yield f"check-config ends with a traceback with {name} as password_file"
        elif ran.returncode == 0:
            yield f"check-config accepts {name} as password_file"


def _probe_log(world: World) -> None:
    victim = world.write("victim", "keep\n")
    log = world.folder / "probes.csv"
    log.symlink_to(victim)
    world.config["probe_log"] = {"file": str(log)}


def _victim_is_untouched(world: World) -> Iterator[str]:
    if (world.folder / "victim").read_text() != "keep\n":
        yield "the probe log was written through a symbolic link"


def _probe_log_file(world: World) -> None:
    world.config["probe_log"] = {"file": str(world.folder / "probes.csv")}
    world.config["targets"].append({"name": "=HYPERLINK(1)", "url": "redis://127.0.0.1:1"})


def _probe_log_is_safe(world: World) -> Iterator[str]:
    path = world.folder / "probes.csv"
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o027:
        yield f"the probe log has mode {mode:04o}"
    text = path.read_text()
    if "HYPERLINK" not in text:
        yield "the probe log does not contain the target"
    if any(line.lstrip('"').startswith("=") or ",=" in line or ',"=' in line for line in text.splitlines()):
        yield "a cell of the probe log begins with ="


def _env_file(world: World) -> None:
    """Write a ``.env`` that others may write too. It would make a file, which shows whether it is read."""
    world.write(".env", f"REDIS_PULSE_PROBE_LOG_FILE={world.folder / 'made'}\n", 0o666)
    world.daemon.reload()


def _env_file_is_ignored(world: World) -> Iterator[str]:
    if (world.folder / "made").exists():
        yield "the file .env of the working directory is stronger than --config"
    ran = world.run_command("check-config", "redis-pulse.yaml")
    if ran is None or ran.returncode == 0 or ".env" not in ran.stderr + ran.stdout:
        yield "check-config accepts a file .env that others may write"


def _process(world: World) -> Iterator[str]:
    limits = Path(f"/proc/{world.daemon.pid}/limits").read_text()
    (line,) = [one for one in limits.splitlines() if one.startswith("Max core file size")]
    if line.split()[4:6] != ["0", "0"] and line.split()[4] != "0":
        yield f"core dumps are not switched off: {' '.join(line.split()[4:6])}"
    if os.getuid() == 0 and "as root" not in world.log():
        yield "the log does not warn that the daemon runs as root"


def _base_image(world: World) -> Iterator[str]:
    """``make image-digest`` writes the digest where a registry is reachable."""
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith(("ARG BASE", "FROM ")) and "python:" in line and "@sha256:" not in line:
            world.notes["not run"] = "the base image has no digest, run make image-digest"
    makefile = (ROOT / "Makefile").read_text()
    if "image-digest" not in makefile:
        yield "make image-digest does not exist"


def _nothing(_world: World) -> None:
    time.sleep(0)


ROWS = (
    Row("M4a", "discovery file is /dev/zero", _discovery_folder, begin=_link_to_zero, check=_late_is_taken),
    Row("M4b", "password file becomes a FIFO", _password_file, begin=_replace_by_fifo),
    Row("M4c", "password file becomes /dev/zero", _password_file, begin=_replace_by_zero),
    Row("M4d", "check-config with odd files", _nothing, check=_check_odd_files, seconds=4),
    Row("L8a", "probe log is a link", _probe_log, check=_victim_is_untouched, seconds=5),
    Row("L8b", "probe log: mode and formulas", _probe_log_file, check=_probe_log_is_safe, seconds=5),
    Row("L9", ".env that others may write", _nothing, begin=_env_file, check=_env_file_is_ignored, seconds=4),
    Row("L10", "root, core dumps", _nothing, check=_process, seconds=4),
    Row("L13", "base image by digest", _nothing, check=_base_image, seconds=4),
)
