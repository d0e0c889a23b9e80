"""Merge the layers of settings of a target: the top of the file, a module, and the target itself."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from redis_pulse.config.layered_source import SettingPath
from redis_pulse.config.models import PollSettings, TlsSettings
from redis_pulse.config.settings import Module, Settings
from redis_pulse.config.types import Collectors, Options
from redis_pulse.config.url import ParsedUrl

#: The collectors of a target and their options.
CollectorOptions = dict[str, dict[str, Any]]
_Group = TypeVar("_Group", bound=Options)


class SettingsLayer(NamedTuple):
    """Settings that apply to a target, and their path: the top of the file, a module, or the target."""

    settings: Settings | Module
    path: SettingPath

    def sets(self, group: str, key: str) -> bool:
        """Whether this layer sets a key of a group."""
        options = getattr(self.settings, group)
        return options is not None and key in options.model_fields_set


def merge_group(model: type[_Group], group: str, layers: Sequence[SettingsLayer], **defaults: Any) -> _Group:
    """Return a merged group. ``defaults`` replace the defaults of the model."""
    return model(**(defaults | _merge_fields(group, layers)))


def _merge_fields(group: str, layers: Sequence[SettingsLayer]) -> dict[str, Any]:
    """Return what the layers set in a group. Keys that no layer sets are left out."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if (options := getattr(layer.settings, group)) is not None:
            merged |= {name: getattr(options, name) for name in options.model_fields_set}
    return merged


def of_targets(group: str, layers: Sequence[SettingsLayer], *common: str) -> dict[str, Any]:
    """Return what the layers set in a group, without the keys that are the same for all targets."""
    merged = _merge_fields(group, layers)
    for key in common:
        merged.pop(key, None)
    return merged


def merge_poll(layers: Sequence[SettingsLayer]) -> PollSettings:
    """Return the poll settings. Defaults depend on ``interval``. If a user set it, scrapes must not add polls."""
    own, merged = PollSettings(), _merge_fields("poll", layers)
    interval, least = (merged.get("interval", default) for default in (own.interval, own.min_interval))
    timeout = min(own.timeout, interval)
    return merge_group(PollSettings, "poll", layers, timeout=timeout, max_age=3 * interval, min_interval=least)


def merge_tls(layers: Sequence[SettingsLayer], url: ParsedUrl) -> TlsSettings:
    """Return the TLS settings. ``ssl_cert_reqs`` of a URL is the strongest."""
    merged = _merge_fields("tls", layers)
    if url.cert_reqs is not None:
        merged["cert_reqs"] = url.cert_reqs
    if merged.get("cert_reqs") == "none":
        # An unchecked certificate has no name to check either.
        merged.setdefault("check_hostname", False)
    return TlsSettings(**merged)


def merge_collectors(layers: Sequence[SettingsLayer], sets: Mapping[str, Sequence[str]]) -> CollectorOptions | None:
    """Return the collectors of the strongest layer that names some, or None for the default ones."""
    named = [layer.settings.collectors for layer in layers if layer.settings.collectors is not None]
    return enabled_collectors(named[-1], sets) if named else None


def enabled_collectors(collectors: Collectors, sets: Mapping[str, Sequence[str]]) -> CollectorOptions:
    """Return the collectors that run, with their options: sets are replaced by their members."""
    # ``sets.items()`` would import the collectors even when no set is named.
    enabled: CollectorOptions = {
        member: {} for name in sets if collectors.get(name) is not None for member in sets[name]
    }
    for name, options in collectors.items():
        if name in sets:
            continue
        if options is None:
            enabled.pop(name, None)
        else:
            enabled[name] = options
    return enabled


def strongest_layer(layers: Sequence[SettingsLayer], group: str, key: str) -> int:
    """Return the index of the strongest layer that sets a key, or -1 if no layer does."""
    return next((index for index in reversed(range(len(layers))) if layers[index].sets(group, key)), -1)


def path_of_setting(layers: Sequence[SettingsLayer], key: tuple[str, str]) -> SettingPath:
    """Return the path at which the strongest layer sets a key. If no layer does, return its path at the top."""
    return (*layers[max(0, strongest_layer(layers, *key))].path, *key)
