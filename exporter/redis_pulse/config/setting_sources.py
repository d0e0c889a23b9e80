"""Read the command line, the environment, ``.env`` and the folder of secrets, each into a ``ConfigSource``.

The first half of this module lists names: which setting each option and each variable sets. The second half reads
the sources. ``file_reader`` reads the configuration file.
"""

import argparse
import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
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
#: Variables of redis_exporter that this exporter reads too. They are the weakest in the environment.
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
#: Variables of this exporter that do not begin with ``REDIS_PULSE_``.
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
#: Options of the command line that set something. ``--config`` does not: it names a source.
COMMAND_LINE: dict[str, SettingPath] = {
    "--redis-url": ("redis_url",),
    "--listen": ("listen",),
    "--telemetry-path": ("telemetry_path",),
    "--web.config.file": ("web", "config_file"),
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
#: All variables of redis_exporter begin with this, except those of the address and the login.
REDIS_EXPORTER_PREFIX = "REDIS_EXPORTER_"
#: Variables that Kubernetes sets in every container for a service called redis-pulse or redis-exporter-….
SERVICE_LINK = re.compile(
    r"REDIS_(PULSE|EXPORTER(_\w+)?)_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
#: Settings that are not a single value. In the environment they may be JSON.
_JSON_SETTINGS = frozenset(
    {"redis_url", "collectors", "modules", "targets", "labels", "buckets", "files", "http", "dns", "allowed_hosts"}
)
#: A JSON list of texts. A bracket alone does not tell: an IPv6 address begins with one too.
_JSON_LIST = re.compile(r'\[\s*["\]]')
_MAX_BYTES = 1 << 20


# Names


def nested_model(annotation: Any) -> tuple[type[BaseModel] | None, type | None]:
    """Return the model inside an annotation, and the container around it: ``tuple``, ``dict`` or None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return nested_model(get_args(annotation)[0])
    if origin in (Union, UnionType):
        nested = [nested_model(part) for part in get_args(annotation) if part is not type(None)]
        return nested[0] if len(nested) == 1 else (None, None)
    if origin in (tuple, dict):
        model, _ = nested_model(get_args(annotation)[0 if origin is tuple else 1])
        return (model, origin) if model else (None, None)
    return (annotation, None) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else (None, None)


def model_at(path: SettingPath, root: type[BaseModel] = Settings) -> type[BaseModel] | None:
    """Return the model that has the keys at ``path``, or None if there is no model."""
    keys, model = list(path), root
    while keys:
        field = model.model_fields.get(str(keys.pop(0)))
        inner, container = nested_model(field.annotation) if field else (None, None)
        if inner is None or (container is not None and not keys):
            return None
        if container is not None:
            keys.pop(0)
        model = inner
    return model


def setting_fields(
    model: type[BaseModel] = Settings, path: SettingPath = ()
) -> Iterator[tuple[SettingPath, FieldInfo]]:
    """Yield every setting of a model and of its groups. A list or a mapping of models is one setting."""
    for name, field in model.model_fields.items():
        inner, container = nested_model(field.annotation)
        if inner is not None and container is None:
            yield from setting_fields(inner, (*path, name))
        else:
            yield (*path, name), field


def env_name(path: SettingPath) -> str:
    """Return the variable of a setting: ``REDIS_PULSE_PROBE_INTERVAL``."""
    return PREFIX + "_".join(map(str, path)).upper()


def _all_variables() -> dict[str, tuple[SettingPath, ...]]:
    variables = REDIS_EXPORTER_ENV | UNPREFIXED_ENV
    for path, _ in setting_fields():
        variables[PREFIX + "__".join(map(str, path)).upper()] = (path,)
        variables[env_name(path)] = (path,)
    return variables


#: Every variable, the weakest first, and what it sets.
ENVIRONMENT: dict[str, tuple[SettingPath, ...]] = _all_variables()


def module_path(name: str) -> SettingPath | None:
    """Return the path that ``REDIS_PULSE_MODULES__PROD__TLS__CA_FILE`` sets, or None if it sets nothing."""
    group, *keys = name.removeprefix(PREFIX).lower().split("__")
    if group != "modules" or len(keys) < 2 or not keys[0]:
        return None
    known = {path for path, _ in setting_fields(Module)}
    return ("modules", *keys) if tuple(keys[1:]) in known else None


# Readers


def command_line(arguments: argparse.Namespace | None, directory: Path) -> ConfigSource:
    """Return what the options of the command line set."""
    source = ConfigSource()
    for option, path in COMMAND_LINE.items():
        value = getattr(arguments, option[2:].replace("-", "_"), None)
        if path == ("redis_url",) and value:
            value = [url for text in value for url in split_urls(text)]
        if value is not None and value != []:
            source.put(path, value, option)
    source.data = resolve_paths(source.data, directory)
    return source


def environment(environ: Mapping[str, str], directory: Path, *, prefix: str = "") -> tuple[ConfigSource, list[str]]:
    """Return what the environment sets, and a warning for each ``REDIS_PULSE_…`` variable that sets nothing.

    An empty value sets nothing. Messages write ``prefix`` before the names. Raises ConfigError for bad JSON.
    """
    source = ConfigSource()
    warnings = []
    has_both = bool(environ.get("REDIS_PASSWORD") and environ.get("REDIS_PASSWORD_FILE"))
    if has_both:  # the chart of Bitnami sets both, for the same password
        warnings.append(f"{prefix}REDIS_PASSWORD is not used, because REDIS_PASSWORD_FILE is set")
    for name, paths in ENVIRONMENT.items():
        if (value := environ.get(name)) and not (has_both and name == "REDIS_PASSWORD"):
            _put_text(source, paths, value, prefix + name)
    for name in environ:
        if not name.startswith(PREFIX) or name in ENVIRONMENT or name in (CONFIG, SECRETS_DIR):
            continue
        if (path := module_path(name)) is not None:
            _put_text(source, [path], environ[name], prefix + name)
        elif not SERVICE_LINK.fullmatch(name):
            warnings.append(f"{prefix}{name} is not a setting{_did_you_mean(name)}")
    if environ.get("REDIS_URL") and environ.get("REDIS_ADDR"):
        warnings.append(f"{prefix}REDIS_ADDR is not used, because REDIS_URL is set")
    source.data = resolve_paths(source.data, directory)
    return source, warnings


def _did_you_mean(variable: str) -> str:
    known = [name for name in (*ENVIRONMENT, CONFIG, SECRETS_DIR) if name.startswith(PREFIX)]
    # Compare without the prefix: all variables share it, so it would make every pair of them look alike.
    guess = closest_name(variable.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
    return f": did you mean {PREFIX}{guess}?" if guess else ""


def inherited(
    environ: Mapping[str, str], directory: Path, inherit: InheritVariables | None
) -> tuple[ConfigSource, InheritedSettings]:
    """Return what the other variables of redis_exporter set, as ``inherit`` translates them.

    ``environment`` reads those of ``REDIS_EXPORTER_ENV``.
    """
    source = ConfigSource()
    exporter_variables = {
        name: value
        for name, value in environ.items()
        if value
        and name.startswith(REDIS_EXPORTER_PREFIX)
        and (name in ENVIRONMENT or not SERVICE_LINK.fullmatch(name))
    }
    if first := next(iter(exporter_variables), "REDIS_ADDR" if environ.get("REDIS_ADDR") else None):
        # A user of these variables expects /health to answer as that of redis_exporter: 200 while the process lives.
        source.put(("web", "health_status"), "always-200", first)
    unknown = {name: value for name, value in exporter_variables.items() if name not in ENVIRONMENT}
    translated = inherit(unknown) if inherit is not None and unknown else InheritedSettings()
    for path, value, name in translated.values:
        source.put(path, value, name)
    source.data = resolve_paths(source.data, directory)
    return source, translated


def _is_foreign(status: os.stat_result) -> bool:
    """Return whether another user may choose the content of a file. It can switch off the checks of certificates."""
    return status.st_uid not in (0, os.geteuid()) or bool(status.st_mode & stat.S_IWOTH)


def dotenv(directory: Path) -> dict[str, str]:
    """Return the variables of the file ``.env``, which is optional. Raises ConfigError if it cannot be read."""
    file = directory / ".env"
    try:
        if not file.is_file():
            return {}
        if file.stat().st_size > _MAX_BYTES:
            raise OSError(errno.EFBIG, f"longer than {_MAX_BYTES} bytes")  # noqa: TRY301
        if _is_foreign(file.stat()):
            message = "belongs to another user, or other users may write it"
            raise ConfigError([Problem(str(file), message, "run chmod o-w on it, or start in another folder")])
        variables = DotEnvSettingsSource(
            Settings, env_file=file, env_file_encoding="utf-8", case_sensitive=True
        ).env_vars
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be read: {error.strerror}")]) from None
    return {name: value for name, value in variables.items() if value}


def secrets(folder: str | None, directory: Path) -> ConfigSource:
    """Return what the files of the folder of secrets set. Each is named as a setting and holds its value.

    Without ``folder``, the default folder is read, which is optional. Files with other names are ignored, because
    ``password_file`` may refer to them. Raises ConfigError if a file or the folder cannot be read.
    """
    path = Path(DEFAULT_SECRETS_DIR) if folder is None else directory / Path(folder).expanduser()
    source = ConfigSource()
    try:
        if folder is None and not path.is_dir():
            return source
        files = sorted(path.iterdir())
    except OSError as error:
        raise ConfigError([Problem(SECRETS_DIR, f"names a folder that cannot be read: {error.strerror}")]) from None
    for file in files:
        name = file.name.upper()
        name = name if name in ENVIRONMENT or name.startswith(PREFIX) else PREFIX + name
        of_module = module_path(name)
        for setting in ENVIRONMENT.get(name, () if of_module is None else (of_module,)):
            _put_text(source, [setting], _read_secret(file), str(file))
    source.data = resolve_paths(source.data, path)
    return source


def _put_text(source: ConfigSource, paths: Sequence[SettingPath], text: str, location: str) -> None:
    """Set the settings at ``paths`` to a text, which may be JSON or a list of URLs."""
    for path in paths:
        source.put(path, _parse_text(path, text, location), location)


def _parse_text(path: SettingPath, text: str, location: str) -> Any:
    start = text.lstrip()
    is_json = _JSON_LIST.match(start) if path == ("redis_url",) else start.startswith(("[", "{"))
    if path[-1] in _JSON_SETTINGS and is_json:
        try:
            return json.loads(text)
        except ValueError:
            raise ConfigError([Problem(location, "is not valid JSON")]) from None
    return split_urls(text) if path == ("redis_url",) else text


def _read_secret(file: Path) -> str:
    try:
        text = read_regular_file(file, _MAX_BYTES).decode("utf-8")
        return text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        message = "is too large for a secret" if error.errno == errno.EFBIG else f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(file), message)]) from None
