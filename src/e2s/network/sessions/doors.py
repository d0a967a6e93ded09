"""The outside's whole part in sessions: it carries three paths to the inside and understands none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from e2s.base.http import Handler, Request, Response, route
from e2s.network.sessions.calls import LOGIN_PATH, PAGE_PATH, RECORD_PATH
from e2s.network.sessions.link import Door
from e2s.network.sessions.merchant import Serve, Sessions

Ask: TypeAlias = Callable[[str, bytes], bytes]


def front(ask: Ask) -> Handler:
    """The public handler: page, login and record, each given to ``ask``: a link's, or :func:`direct`."""

    def carry(request: Request) -> Response:
        path = request.path.split("?", 1)[0]
        return Response(200, ask(path, request.body), {"content-type": "application/octet-stream"})

    doors = {("GET", PAGE_PATH): carry, ("POST", LOGIN_PATH): carry, ("POST", RECORD_PATH): carry}
    return lambda request: route(doors, request)


def inside(sessions: Sessions, serve: Serve) -> Mapping[str, Door]:
    """The doors of a link from the outside to ``sessions``."""
    return {
        PAGE_PATH: lambda _peer, _body: sessions.page(),
        LOGIN_PATH: lambda _peer, body: sessions.login(body),
        RECORD_PATH: lambda _peer, body: sessions.receive(body, serve),
    }


def direct(sessions: Sessions, serve: Serve) -> Ask:
    """Outside and inside in one process, with no link between."""
    doors = inside(sessions, serve)
    return lambda path, body: doors[path]("outside", body)
