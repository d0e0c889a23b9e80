"""Which events happen, to what, and when. It is a pure function of the seed, so a seed repeats a round."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Single servers that are declared in the configuration file.
SOLO = ("redis", "valkey", "tls", "auth", "acl", "mover")
#: Targets in the discovery files at the start.
FOUND = ("found-0", "found-1", "found-2")
#: The server in the network namespace.
FAR = "far"
SINGLE = (*SOLO, *FOUND, FAR)

#: Seconds within which the events of one burst begin.
SPREAD = 4.0


@dataclass(frozen=True)
class EventKind:
    """One kind of event, with its possible subjects and variants."""

    name: str
    subjects: tuple[str, ...]
    variants: tuple[str, ...] = ("",)
    #: the shortest and the longest time until it is undone, in seconds
    duration: tuple[float, float] = (2.0, 9.0)
    weight: int = 2
    #: Whether it may last until the end of the next burst. Then a server is down in a quiet period.
    stays: bool = False


KINDS = (
    EventKind("kill", SINGLE, stays=True, weight=3),
    EventKind("freeze", SINGLE, stays=True, weight=3),
    EventKind("restart", SINGLE, duration=(0.0, 0.0)),
    EventKind("failover", ("queue",), ("command", "kill", "freeze"), (3.0, 9.0), stays=True, weight=4),
    EventKind("failover", ("cart",), ("command", "kill", "freeze"), (4.0, 9.0), weight=2),
    EventKind("replica", ("queue", "cart"), ("kill", "freeze", "restart"), stays=True),
    EventKind("sentinel", ("queue",), ("kill", "freeze"), weight=1),
    EventKind("reshard", ("cart",), duration=(1.0, 4.0)),
    EventKind("move", ("mover",), weight=3, duration=(0.0, 5.0)),
    EventKind("move", ("found",), weight=2, duration=(0.0, 5.0)),
    EventKind("leave", ("mover", "tls", "found-0", "found-1", "found-2"), ("freeze", "kill"), weight=4),
    EventKind("password", ("auth",), ("file first", "server first")),
    EventKind("acl", ("acl",), ("off", "commands", "password")),
    EventKind("certificate", ("tls",), ("same authority", "new authority")),
    EventKind("files", ("found",), ("remove", "add", "half", "rename"), weight=3),
    EventKind("storm", ("configuration",), ("labels", "targets", "settings"), duration=(0.5, 3.0), weight=3),
    EventKind("slow readers", ("pages",)),
    EventKind("descriptors", ("limits",)),
    EventKind("blocked log", ("log",)),
    EventKind("clock", ("clock",), ("+3600", "-3600", "+0.7", "-2")),
    EventKind("cut", (FAR,), ("drop", "reject", "drop replies", "link"), stays=True, weight=3),
    EventKind("restart daemon", ("daemon",), duration=(0.0, 0.0), weight=1),
)


@dataclass(frozen=True)
class Step:
    """One event of a burst. It begins after ``at`` seconds, and is undone ``duration`` seconds later.

    An event that ``stays`` is undone at the end of the next burst instead.
    """

    kind: str
    subject: str
    variant: str
    at: float
    duration: float
    stays: bool
    #: a random number that selects, for example, a replica or a server
    pick: int

    def __str__(self) -> str:
        variant = f" ({self.variant})" if self.variant else ""
        until = "until the end of the next burst" if self.stays else f"for {self.duration:.1f} s"
        return f"{self.at:4.1f} s: {self.kind} {self.subject}{variant} {until}, pick {self.pick}"


@dataclass(frozen=True)
class Settings:
    """Random settings of a whole round."""

    #: whether the daemon runs under libfaketime, so that an event can step its clock
    faketime: bool
    #: software of the Sentinel set and of the cluster
    queue: str
    cart: str
    #: whether the Sentinel set and its Sentinels use TLS; only Redis supports it there
    queue_tls: bool
    #: the longest time for which a breaker is open, in seconds
    open_interval_max: float
    #: the servers that hang when the daemon is stopped at the end
    hung_at_end: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """One action of a burst: begin a step, or undo it."""

    at: float
    step: Step
    undo: bool


@dataclass(frozen=True)
class Burst:
    """Two to four events that overlap. A quiet period follows."""

    steps: tuple[Step, ...]

    def moments(self) -> list[Moment]:
        """Return the actions in their order. Events that stay are not undone here."""
        moments = [Moment(step.at, step, undo=False) for step in self.steps]
        moments += [Moment(step.at + step.duration, step, undo=True) for step in self.steps if not step.stays]
        return sorted(moments, key=lambda moment: (moment.at, moment.undo))


@dataclass
class Plan:
    """The settings of a round, and an endless sequence of bursts. They depend on nothing but the seed."""

    seed: int
    settings: Settings = field(init=False)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"redis-pulse chaos {self.seed}")
        choose = self._random.choice
        queue_tls = choose((True, False))
        self.settings = Settings(
            faketime=choose((True, False)),
            queue="redis" if queue_tls else "valkey",
            cart=choose(("redis", "valkey")),
            queue_tls=queue_tls,
            open_interval_max=choose((2.0, 60.0)),
            hung_at_end=tuple(self._random.sample(("redis", "tls", "acl", "mover"), self._random.randint(0, 2))),
        )

    def bursts(self) -> Iterator[Burst]:
        """Yield bursts without end. Call it only once, because it draws from the random numbers of the plan."""
        staying: set[str] = set()
        while True:
            steps: list[Step] = []
            taken = set(staying)
            count = self._random.randint(2, 4)
            while len(steps) < count:
                step = self._step()
                if step.subject not in taken:
                    taken.add(step.subject)
                    steps.append(step)
            staying = {step.subject for step in steps if step.stays}
            yield Burst(tuple(sorted(steps, key=lambda step: step.at)))

    def _step(self) -> Step:
        kinds = [kind for kind in KINDS if self.settings.faketime or kind.name != "clock"]
        (kind,) = self._random.choices(kinds, [kind.weight for kind in kinds])
        return Step(
            kind=kind.name,
            subject=self._random.choice(kind.subjects),
            variant=self._random.choice(kind.variants),
            at=round(self._random.uniform(0, SPREAD), 1),
            duration=round(self._random.uniform(*kind.duration), 1),
            stays=kind.stays and self._random.random() < 0.25,
            pick=self._random.randrange(1000),
        )
