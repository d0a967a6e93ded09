"""A person's page: behind the gate, a table of doors; what is in no table is no page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from e2s.base.http import Request, Response
from e2s.network.sessions.gate import Asked, Gate
from e2s.network.sessions.style import PATH, style

Doors: TypeAlias = Mapping[tuple[str, str], Callable[[Asked], Response]]


class OwnerPage(ABC):
    """What the buyer's and the manager's pages have in common."""

    def __init__(self, *, port: int, random: Callable[[int], bytes]) -> None:
        """``port`` is where it is served on loopback; :attr:`start_path` opens it, once."""
        self._gate = Gate(self._answer, port=port, random=random)
        self._doors = self.doors()

    @property
    def start_path(self) -> str:
        """The link with its token; good once."""
        return self._gate.start_path

    def handle(self, request: Request) -> Response:
        """One request; ``/style.css`` is no secret."""
        if request.method == "GET" and request.path == PATH:
            return style()
        return self._gate.handle(request)

    @abstractmethod
    def doors(self) -> Doors:
        """The page's doors by method and path."""

    @abstractmethod
    def _show(
        self, asked: Asked, template: str, *, status: int = 200, alert: str = "", **values: Any
    ) -> Response:
        """Render ``template`` with what every page of this owner shows."""

    def _answer(self, asked: Asked) -> Response:
        door = self._doors.get((asked.method, asked.path))
        return self._elsewhere(asked) if door is None else door(asked)

    def _elsewhere(self, asked: Asked) -> Response:
        """A path that stands in no table."""
        return self._show(asked, "error.html", status=404, alert="There is no such page.")
