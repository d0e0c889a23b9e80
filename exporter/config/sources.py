"""The sources besides the file: command line, environment, ``.env``, the folder of secrets."""

import argparse
import errno
import json
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic_settings import DotEnvSettingsSource

from exporter.blocking import read_regular_file
from exporter.config.layers import Inherit, Inherited, Layer, anchored
from exporter.config.messages import ConfigError, Problem, nearest
from exporter.config.names import (
    COMMAND_LINE,
    CONFIG,
    DEFAULT_SECRETS_DIR,
    ENVIRONMENT,
    PEER,
    PREFIX,
    SECRETS_DIR,
    SERVICE_LINK,
    Path,
    module_path,
)
from exporter.config.settings import Settings, split_urls

#: Settings that are no single value: from the environment they come as JSON too.
_JSON = frozenset({"redis_url", "collectors", "modules", "targets", "labels", "buckets", "files", "http", "dns"})
#: Text that is a list in JSON; an IPv6 address begins with a bracket too.
_JSON_LIST = re.compile(r'\[\s*["\]]')
_MOST_BYTES = 1 << 20


def command_line(arguments: argparse.Namespace | None, directory: FilePath) -> Layer:
    """Return what the options of the command line set."""
    layer = Layer()
    for option, path in COMMAND_LINE.items():
        value = getattr(arguments, option[2:].replace("-", "_"), None)
        if path == ("redis_url",) and value:
            value = [url for text in value for url in split_urls(text)]
        if value is not None and value != []:
            layer.put(path, value, option)
    layer.data = anchored(layer.data, directory)
    return layer


def environment(environ: Mapping[str, str], directory: FilePath, *, prefix: str = "") -> tuple[Layer, list[str]]:
    """Return what the environment sets, and a warning for every name of ours that sets nothing.

    An empty value sets nothing. ``prefix`` stands before the names in messages. Raises ConfigError for bad JSON.
    """
    layer, warnings = Layer(), []
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
            guess = nearest(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known])
            warnings.append(f"{prefix}{name} is no setting" + (f": did you mean {PREFIX}{guess}?" if guess else ""))
    if environ.get("REDIS_URL") and environ.get("REDIS_ADDR"):
        warnings.append(f"{prefix}REDIS_ADDR is not used, since REDIS_URL is set")
    layer.data = anchored(layer.data, directory)
    return layer, warnings


def inherited(environ: Mapping[str, str], directory: FilePath, inherit: Inherit | None) -> tuple[Layer, Inherited]:
    """Return what the variables of redis_exporter set that are no settings of ours, and what else they say."""
    layer = Layer()
    theirs = {
        name: value
        for name, value in environ.items()
        if value and name.startswith(PEER) and (name in ENVIRONMENT or not SERVICE_LINK.fullmatch(name))
    }
    if first := next(iter(theirs), "REDIS_ADDR" if environ.get("REDIS_ADDR") else None):
        # Who set these asks for /health as redis_exporter answers it: 200 while it lives.
        layer.put(("web", "health_status"), "always-200", first)
    unknown = {name: value for name, value in theirs.items() if name not in ENVIRONMENT}
    said = inherit(unknown) if inherit is not None and unknown else Inherited()
    for path, value, name in said.values:
        layer.put(path, value, name)
    layer.data = anchored(layer.data, directory)
    return layer, said


def _decoded(path: Path, value: str, place: str) -> Any:
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
        if file.stat().st_size > _MOST_BYTES:
            raise OSError(errno.EFBIG, f"longer than {_MOST_BYTES} bytes")  # noqa: TRY301
        found = DotEnvSettingsSource(Settings, env_file=file, env_file_encoding="utf-8", case_sensitive=True).env_vars
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be read: {error.strerror}")]) from None
    return {name: value for name, value in found.items() if value}


def secrets(folder: str | None, directory: FilePath) -> Layer:
    """Return what the files of the folder of secrets set: each is named as the setting and holds its value.

    ``folder`` None means the usual folder, which need not be there. Raises ConfigError when one cannot be read. Files
    with other names are left alone: targets may refer to them with ``password_file``.
    """
    place = FilePath(DEFAULT_SECRETS_DIR) if folder is None else directory / FilePath(folder).expanduser()
    layer = Layer()
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
    layer.data = anchored(layer.data, place)
    return layer


def _secret(file: FilePath) -> str:
    try:
        text = read_regular_file(file, _MOST_BYTES).decode("utf-8")
        return text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), "is not UTF-8 text")]) from None
    except OSError as error:
        what = "is too large for a secret" if error.errno == errno.EFBIG else f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(file), what)]) from None
