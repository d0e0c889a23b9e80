"""Convert groups of targets, as file_sd and http_sd list them, to targets."""

from collections.abc import Callable, Iterable, Iterator

from redis_pulse.config import SourceSettings, TargetGroup, TargetSettings, closest_name, label_error, parse_url

#: Records that an entry is not used: a reason, and a description without secrets.
Reject = Callable[[str, str], None]

MODULE_LABEL, NAME_LABEL = "__module", "__name"
UNREADABLE = "unreadable"
MAX_NAME_LENGTH = 200


def targets_of(
    groups: Iterable[TargetGroup], settings: SourceSettings, location: str, reject: Reject
) -> list[TargetSettings]:
    """Return the targets of all groups; an invalid entry is rejected, and all others stay.

    ``location`` is the file or the response that contains the groups; messages name it. The name of a target is the
    label ``__name`` if its group has no other target, and else its address.
    """
    return [
        target
        for number, group in enumerate(groups)
        for target in _targets_of_group(group, settings, f"{location}[{number}]", reject)
    ]


def _targets_of_group(
    group: TargetGroup, settings: SourceSettings, location: str, reject: Reject
) -> Iterator[TargetSettings]:
    template = settings.template
    if (module := group.labels.get(MODULE_LABEL)) is not None:
        if module not in settings.modules:
            suggestion = closest_name(module, settings.modules)
            hint = f": did you mean {suggestion}?" if suggestion else ""
            reject(UNREADABLE, f"{location}.labels.{MODULE_LABEL} is not the name of a module{hint}")
            return
        template = settings.modules[module]
    labels = {name: value for name, value in group.labels.items() if not name.startswith("__")}
    if error := label_error(labels):
        reject(UNREADABLE, f"{location}.labels {error}")
        return
    name = group.labels.get(NAME_LABEL) if len(group.targets) == 1 else None
    for index, text in enumerate(group.targets):
        try:
            yield _target(text, name, labels, template)
        except ValueError as error:
            reject(UNREADABLE, f"{location}.targets[{index}] {error}")


def _target(text: str, name: str | None, labels: dict[str, str], template: TargetSettings) -> TargetSettings:
    if "@" in text:
        raise ValueError("must not contain a user name or password: name a module that has them")
    is_address = "://" not in text and not text.startswith("/")
    url = parse_url(f"{'rediss' if template.endpoint.tls else 'redis'}://{text}" if is_address else text)
    if name is not None and not _is_valid_name(name):
        raise ValueError(f"has a {NAME_LABEL} that is not printable text of at most {MAX_NAME_LENGTH} characters")
    return template.at(url.endpoint, name or url.endpoint.address, labels, url.db)


def _is_valid_name(name: str) -> bool:
    return bool(name.strip()) and name.isprintable() and len(name) <= MAX_NAME_LENGTH and "://" not in name
