"""From groups of targets, as file_sd and http_sd list them, to targets."""

from collections.abc import Callable, Iterable, Iterator

from redis_pulse.config import SourceSettings, TargetGroup, TargetSettings, closest_name, label_error, parse_url

#: Told why an entry is not taken, and what, in words that hold no secret.
Refuse = Callable[[str, str], None]

MODULE, NAME = "__module", "__name"
UNREADABLE = "unreadable"


def targets_of(
    groups: Iterable[TargetGroup], settings: SourceSettings, where: str, refuse: Refuse
) -> list[TargetSettings]:
    """Return the targets of groups; an entry that cannot be one is refused, and harms no other.

    ``where`` says in messages where the groups stand. A target is called ``__name`` when its group has only it, else by
    its address.
    """
    return [
        target
        for number, group in enumerate(groups)
        for target in _of_group(group, settings, f"{where}[{number}]", refuse)
    ]


def _of_group(group: TargetGroup, settings: SourceSettings, where: str, refuse: Refuse) -> Iterator[TargetSettings]:
    template = settings.template
    if (module := group.labels.get(MODULE)) is not None:
        if module not in settings.modules:
            guess = closest_name(module, settings.modules)
            hint = f": did you mean {guess}?" if guess else ""
            refuse(UNREADABLE, f"{where}.labels.{MODULE} is no module{hint}")
            return
        template = settings.modules[module]
    labels = {name: value for name, value in group.labels.items() if not name.startswith("__")}
    if trouble := label_error(labels):
        refuse(UNREADABLE, f"{where}.labels {trouble}")
        return
    name = group.labels.get(NAME) if len(group.targets) == 1 else None
    for index, text in enumerate(group.targets):
        try:
            yield _target(text, name, labels, template)
        except ValueError as error:
            refuse(UNREADABLE, f"{where}.targets[{index}] {error}")


def _target(text: str, name: str | None, labels: dict[str, str], template: TargetSettings) -> TargetSettings:
    if "@" in text:
        raise ValueError("must not hold a user name or password: name a module that has them")
    bare = "://" not in text and not text.startswith("/")
    url = parse_url(f"{'rediss' if template.endpoint.tls else 'redis'}://{text}" if bare else text)
    if name is not None and (not name.strip() or not name.isprintable() or len(name) > 200 or "://" in name):
        raise ValueError(f"has a {NAME} that is no printable text of at most 200 characters")
    return template.at(url.endpoint, name or url.endpoint.address, labels, url.db)
