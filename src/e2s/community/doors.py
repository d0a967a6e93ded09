"""The doors of enrolment side by side: each is a room of its own, and all ask one desk.

A door is imported when it is first made; who needs no ACME pays for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import Final, cast

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.http import Handler, Request, Response
from e2s.base.outbox import Outbox
from e2s.security.enrolment.asking import Desk
from e2s.security.enrolment.setting import Closing, DoorSetting, Factory, Quick, Telling, Ticking

#: Of each door: where it is made, and at which paths it is.
DOORS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "enrol": ("e2s.security.enrolment.service", ("/enrol",)),
        "acme": ("e2s.security.acme.service", ("/acme",)),
        "est": ("e2s.security.est.service", ("/.well-known/est",)),
        "cmp": ("e2s.security.cmp.service", ("/.well-known/cmp", "/cmp")),
        "scep": ("e2s.security.scep.service", ("/scep",)),
        "pse": ("e2s.security.environments.service", ("/pse",)),
    }
)
_FACTORY: Final = "door"
#: In a component's folder: where events wait, the desk's own first.
STORES: Final = ("enrolment.sqlite", "acme.sqlite", "est.sqlite", "cmp.db", "pse.db")


def door_of(name: str, desk: Desk, setting: DoorSetting) -> Handler:
    """The door of this name; raises :class:`Misuse` ``no-such-door``."""
    if name not in DOORS:
        known = " ".join(DOORS)
        raise Misuse("no-such-door", f"the doors of enrolment are {known}", door=name[:40])
    factory = cast(Factory, getattr(import_module(DOORS[name][0]), _FACTORY))
    return factory(desk, setting)


class Doors:
    """Several doors as one handler, by the beginning of the path."""

    def __init__(self, desk: Desk, setting: DoorSetting, names: Sequence[str] | None = None) -> None:
        """The doors called ``names``, or all that there are."""
        chosen = tuple(DOORS) if names is None else tuple(names)
        self.doors = {name: door_of(name, desk, setting) for name in chosen}
        self._paths = tuple((path, self.doors[name]) for name in chosen for path in DOORS[name][1])

    def __call__(self, request: Request) -> Response:
        """The answer of the door that the path leads to; 404 where it leads to none."""
        path = request.path.partition("?")[0]
        for prefix, door in self._paths:
            if path == prefix or path.startswith(f"{prefix}/"):
                return door(request)
        return Response(404, b"", {"e2s-rule": "no-such-door"})

    def leads(self, path: str) -> bool:
        """Whether the path leads to a door."""
        plain = path.partition("?")[0]
        return any(plain == prefix or plain.startswith(f"{prefix}/") for prefix, _ in self._paths)

    def quick(self, request: Request) -> bool:
        """Whether the door that the path leads to answers at once."""
        path = request.path.partition("?")[0]
        for prefix, door in self._paths:
            if path == prefix or path.startswith(f"{prefix}/"):
                made: object = door
                return isinstance(made, Quick) and made.quick(request)
        return True

    def tick(self, now: datetime) -> None:
        """What each door has to do in time; one that fails holds up no other."""
        made: Iterable[object] = self.doors.values()
        with ExitStack() as stack:
            for door in made:
                if isinstance(door, Ticking):
                    stack.callback(door.tick, now)

    @property
    def outboxes(self) -> tuple[tuple[str, Database, Outbox], ...]:
        """Where the doors' own events wait, each by its door's name."""
        found = []
        for name, door in self.doors.items():
            if hasattr(door, "outbox") and hasattr(door, "database"):
                telling = cast(Telling, door)
                found.append((name, telling.database, telling.outbox))
        return tuple(found)

    def close(self) -> None:
        """Give back what the doors hold."""
        made: Iterable[object] = self.doors.values()
        for door in made:
            if isinstance(door, Closing):
                door.close()
