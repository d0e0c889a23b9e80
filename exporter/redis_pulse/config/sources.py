"""Where a setting lives in the models, and what it is called in the environment and on the command line.

The sources besides the file: command line, environment, ``.env``, the folder of secrets.
"""

import argparse
import errno
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.layered_source import (
    ConfigSource,
    InheritedSettings,
    InheritVariables,
    SettingPath,
    resolve_paths,
)
from redis_pulse.config.problems import ConfigError, Problem, closest_name
from redis_pulse.config.settings import Module, Settings, split_urls

PREFIX = "REDIS_PULSE_"
CONFIG = "REDIS_PULSE_CONFIG"
SECRETS_DIR = "REDIS_PULSE_SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets/redis-pulse"
#: Names that redis_exporter reads: the weakest in the environment.
REDIS_EXPORTER_ENV: dict[str, tuple[SettingPath, ...]] = {
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
UNPREFIXED_ENV: dict[str, tuple[SettingPath, ...]] = {
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
COMMAND_LINE: dict[str, SettingPath] = {
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


def model_at(path: SettingPath, root: type[BaseModel] = Settings) -> type[BaseModel] | None:
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


def leaves(model: type[BaseModel] = Settings, path: SettingPath = ()) -> Iterator[tuple[SettingPath, FieldInfo]]:
    """Yield every setting of a model that is no group; what a list or a mapping of models holds is left out."""
    for name, field in model.model_fields.items():
        inner, container = model_of(field.annotation)
        if inner is not None and container is None:
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name), field


def env_name(path: SettingPath) -> str:
    """Return the name in the environment of a setting: ``REDIS_PULSE_PROBE_INTERVAL``."""
    return PREFIX + "_".join(map(str, path)).upper()


def _table() -> dict[str, tuple[SettingPath, ...]]:
    table = REDIS_EXPORTER_ENV | UNPREFIXED_ENV
    for path, _ in leaves():
        table[PREFIX + "__".join(map(str, path)).upper()] = (path,)
        table[env_name(path)] = (path,)
    return table


#: Every name in the environment, the weakest first, and what it sets.
ENVIRONMENT: dict[str, tuple[SettingPath, ...]] = _table()


def module_path(name: str) -> SettingPath | None:
    """Return what ``REDIS_PULSE_MODULES__PROD__TLS__CA_FILE`` sets, or None when it sets nothing."""
    group, *steps = name.removeprefix(PREFIX).lower().split("__")
    if group != "modules" or len(steps) < 2 or not steps[0]:
        return None
    known = {path for path, _ in leaves(Module)}
    return ("modules", *steps) if tuple(steps[1:]) in known else None


#: Settings that are no single value: from the environment they come as JSON too.
_JSON = frozenset({"redis_url", "collectors", "modules", "targets", "labels", "buckets", "files", "http", "dns"})
#: Text that is a list in JSON; an IPv6 address begins with a bracket too.
_JSON_LIST = re.compile(r'\[\s*["\]]')
_MAX_BYTES = 1 << 20


def command_line(arguments: argparse.Namespace | None, directory: FilePath) -> ConfigSource:
    """Return what the options of the command line set."""
    layer = ConfigSource()
    for option, path in COMMAND_LINE.items():
        value = getattr(arguments, option[2:].replace("-", "_"), None)
        if path == ("redis_url",) and value:
            value = [url for text in value for url in split_urls(text)]
        if value is not None and value != []:
            layer.put(path, value, option)
    layer.data = resolve_paths(layer.data, directory)
    return layer


def environment(environ: Mapping[str, str], directory: FilePath, *, prefix: str = "") -> tuple[ConfigSource, list[str]]:
    """Return what the environment sets, and a warning for every name of ours that sets nothing.

    An empty value sets nothing. ``prefix`` stands before the names in messages. Raises ConfigError for bad JSON.
    """
    layer, warnings = ConfigSource(), []
    for name, paths in ENVIRONMENT.items():
        if value := environ.get(name):
            for path in paths:
                layer.put(path, _decoded(path, value, prefix + name), prefix + name)
    for name in environ:
        if not name.startswith(PREFIX) or name in ENVIRONMENT or name in (CONFIG, SECRETS_DIR):
            continue
        if (module := module_path(name)) is not None:
            layer.put(module, _decoded(module, environ[name], prefix + name), prefix + name)
        elif not SERVICE_LINK.fullmatch(name):
            known = [one for one in (*ENVIRONMENT, CONFIG, SECRETS_DIR) if one.startswith(PREFIX)]
            # The prefix, which they share, would make all of them alike.
            guess = closest_name(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known])
            warnings.append(f"{prefix}{name} is no setting" + (f": did you mean {PREFIX}{guess}?" if guess else ""))
    if environ.get("REDIS_URL") and environ.get("REDIS_ADDR"):
        warnings.append(f"{prefix}REDIS_ADDR is not used, since REDIS_URL is set")
    layer.data = resolve_paths(layer.data, directory)
    return layer, warnings


def inherited(
    environ: Mapping[str, str], directory: FilePath, inherit: InheritVariables | None
) -> tuple[ConfigSource, InheritedSettings]:
    """Return what the variables of redis_exporter set that are no settings of ours, and what else they say."""
    layer = ConfigSource()
    theirs = {
        name: value
        for name, value in environ.items()
        if value and name.startswith(PEER) and (name in ENVIRONMENT or not SERVICE_LINK.fullmatch(name))
    }
    if first := next(iter(theirs), "REDIS_ADDR" if environ.get("REDIS_ADDR") else None):
        # Who set these asks for /health as redis_exporter answers it: 200 while it lives.
        layer.put(("web", "health_status"), "always-200", first)
    unknown = {name: value for name, value in theirs.items() if name not in ENVIRONMENT}
    said = inherit(unknown) if inherit is not None and unknown else InheritedSettings()
    for path, value, name in said.values:
        layer.put(path, value, name)
    layer.data = resolve_paths(layer.data, directory)
    return layer, said


def _decoded(path: SettingPath, value: str, place: str) -> Any:
    is_json = _JSON_LIST.match(value.lstrip()) if path == ("redis_url",) else value.lstrip().startswith(("[", "{"))
    if path[-1] in _JSON and is_json:
        try:
            return json.loads(value)
        except ValueError:
            raise ConfigError([Problem(place, "is not valid JSON")]) from None
    return split_urls(value) if path == ("redis_url",) else value


def dotenv(directory: FilePath) -> dict[str, str]:
    """Return the variables of the file ``.env``, which need not be there; raises ConfigError when it cannot be read."""
    file = directory / ".env"
    try:
        if not file.is_file():
            return {}
        if file.stat().st_size > _MAX_BYTES:
            raise OSError(errno.EFBIG, f"longer than {_MAX_BYTES} bytes")  # noqa: TRY301
        found = DotEnvSettingsSource(Settings, env_file=file, env_file_encoding="utf-8", case_sensitive=True).env_vars
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be read: {error.strerror}")]) from None
    return {name: value for name, value in found.items() if value}


def secrets(folder: str | None, directory: FilePath) -> ConfigSource:
    """Return what the files of the folder of secrets set: each is named as the setting and holds its value.

    ``folder`` None means the usual folder, which need not be there. Raises ConfigError when one cannot be read. Files
    with other names are left alone: targets may refer to them with ``password_file``.
    """
    place = FilePath(DEFAULT_SECRETS_DIR) if folder is None else directory / FilePath(folder).expanduser()
    layer = ConfigSource()
    try:
        if folder is None and not place.is_dir():
            return layer
        files = sorted(place.iterdir())
    except OSError as error:
        raise ConfigError([Problem(SECRETS_DIR, f"names a folder that cannot be read: {error.strerror}")]) from None
    for file in files:
        name = file.name.upper()
        name = name if name in ENVIRONMENT or name.startswith(PREFIX) else PREFIX + name
        module = module_path(name)
        for path in ENVIRONMENT.get(name, () if module is None else (module,)):
            layer.put(path, _decoded(path, _secret(file), str(file)), str(file))
    layer.data = resolve_paths(layer.data, place)
    return layer


def _secret(file: FilePath) -> str:
    try:
        text = read_regular_file(file, _MAX_BYTES).decode("utf-8")
        return text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        what = "is too large for a secret" if error.errno == errno.EFBIG else f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(file), what)]) from None
