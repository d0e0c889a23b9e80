"""Where a setting lives in the models, and what it is called in the environment and on the command line."""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.config.settings import Module, Settings

#: A place in the settings: ``("targets", 2, "password")``.
Path = tuple[str | int, ...]

PREFIX = "REDIS_PULSE_"
CONFIG = "REDIS_PULSE_CONFIG"
SECRETS_DIR = "REDIS_PULSE_SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets/redis-pulse"

#: Names that redis_exporter reads: the weakest in the environment.
ALIASES: dict[str, tuple[Path, ...]] = {
    "REDIS_ADDR": (("redis_url",),),
    "REDIS_USER": (("username",),),
    "REDIS_PASSWORD": (("password",),),
    "REDIS_PASSWORD_FILE": (("password_file",),),
    "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": (("listen",),),
    "REDIS_EXPORTER_WEB_TELEMETRY_PATH": (("telemetry_path",),),
    "REDIS_EXPORTER_LOG_FORMAT": (("log", "format"),),
    "REDIS_EXPORTER_CONNECTION_TIMEOUT": (("connection", "socket_timeout"), ("connection", "socket_connect_timeout")),
}

#: Names that do not begin with ``REDIS_PULSE_``.
FIXED: dict[str, tuple[Path, ...]] = {
    "REDIS_URL": (("redis_url",),),
    "REDIS_MAX_CONNECTIONS": (("connection", "max_connections"),),
    "REDIS_SOCKET_TIMEOUT": (("connection", "socket_timeout"),),
    "REDIS_SOCKET_CONNECT_TIMEOUT": (("connection", "socket_connect_timeout"),),
    "REDIS_SOCKET_KEEPALIVE": (("connection", "socket_keepalive"),),
    "REDIS_HEALTH_CHECK_INTERVAL": (("connection", "health_check_interval"),),
    "REDIS_RETRY_ON_TIMEOUT": (("connection", "retry_on_timeout"),),
    "REDIS_SSL_CERT_REQS": (("tls", "cert_reqs"),),
    "DEBUG": (("debug",),),
    "LOG_LEVEL": (("log", "level"),),
}

#: Options of the command line that set something; ``--config`` is none of them.
COMMAND_LINE: dict[str, Path] = {
    "--redis-url": ("redis_url",),
    "--listen": ("listen",),
    "--telemetry-path": ("telemetry_path",),
    "--username": ("username",),
    "--password-file": ("password_file",),
    "--collectors": ("collectors",),
    "--probe-interval": ("probe", "interval"),
    "--probe-timeout": ("probe", "timeout"),
    "--poll-interval": ("poll", "interval"),
    "--poll-timeout": ("poll", "timeout"),
    "--probe-log": ("probe_log", "file"),
    "--shard": ("shard",),
    "--log-level": ("log", "level"),
    "--log-format": ("log", "format"),
    "--debug": ("debug",),
}

#: What the variables of redis_exporter begin with, but for those of the login.
PEER = "REDIS_EXPORTER_"

#: What Kubernetes puts into every container beside a service called redis-pulse, or redis-exporter-….
SERVICE_LINK = re.compile(
    r"REDIS_(PULSE|EXPORTER(_\w+)?)_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def model_of(annotation: Any) -> tuple[type[BaseModel] | None, type | None]:
    """Return the model inside an annotation and the container (``tuple``, ``dict`` or None) that holds it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return model_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        found = [model_of(part) for part in get_args(annotation) if part is not type(None)]
        return found[0] if len(found) == 1 else (None, None)
    if origin in (tuple, dict):
        model, _ = model_of(get_args(annotation)[0 if origin is tuple else 1])
        return (model, origin) if model else (None, None)
    return (annotation, None) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else (None, None)


def model_at(path: Path, root: type[BaseModel] = Settings) -> type[BaseModel] | None:
    """Return the model whose keys stand at ``path``, or None when there is none."""
    steps, model = list(path), root
    while steps:
        field = model.model_fields.get(str(steps.pop(0)))
        inner, container = model_of(field.annotation) if field else (None, None)
        if inner is None or (container is not None and not steps):
            return None
        if container is not None:
            steps.pop(0)
        model = inner
    return model


def leaves(model: type[BaseModel] = Settings, path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Yield every setting of a model that is no group; what a list or a mapping of models holds is left out."""
    for name, field in model.model_fields.items():
        inner, container = model_of(field.annotation)
        if inner is not None and container is None:
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), field


def own_name(path: Path) -> str:
    """Return the name in the environment of a setting: ``REDIS_PULSE_PROBE_INTERVAL``."""
    return PREFIX + "_".join(map(str, path)).upper()


def _table() -> dict[str, tuple[Path, ...]]:
    table = ALIASES | FIXED
    for path, _ in leaves():
        table[PREFIX + "__".join(map(str, path)).upper()] = (path,)
        table[own_name(path)] = (path,)
    return table


#: Every name in the environment, the weakest first, and what it sets.
ENVIRONMENT: dict[str, tuple[Path, ...]] = _table()


def module_path(name: str) -> Path | None:
    """Return what ``REDIS_PULSE_MODULES__PROD__TLS__CA_FILE`` sets, or None when it sets nothing."""
    group, *steps = name.removeprefix(PREFIX).lower().split("__")
    if group != "modules" or len(steps) < 2 or not steps[0]:
        return None
    known = {path for path, _ in leaves(Module)}
    return ("modules", *steps) if tuple(steps[1:]) in known else None
