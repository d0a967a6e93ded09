"""One component runs in the foreground: it holds its home's lock, says who it is, serves, and ends clean.

Whoever starts it waits at its health door; whoever stops it sends SIGTERM.  Between the two it ships its
events to the party's sequencer at each tick.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec

from e2s.base import meter
from e2s.base.errors import E2SError, Misuse
from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.community.description import Community
from e2s.community.home import CommunityHome, ComponentHome
from e2s.community.kinds import KINDS
from e2s.community.place import Assembled, Place
from e2s.community.processes import remember_process
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.server import serve
from e2s.network.sessions.tls import TlsFiles
from e2s.server.audit.shipping import ship

HEALTH = "/health"
#: Names the point at which a component kills itself, for rehearsals of failure.
DRILL = "E2S_DRILL_KILL_AT"
_LOG = logging.getLogger("e2s.component")


def place_of(
    community: Community, whole: CommunityHome, name: str, *, clock: Clock, random: Callable[[int], bytes]
) -> Place:
    """The place of the component ``name``, with an exchange over sockets that trusts the community's root."""
    component = community.component(name)
    anchors = b"".join(anchor.pem for anchor in whole.anchors())
    exchange = HttpExchange(anchors=anchors, proxy=component.settings.get("proxy", ""))
    return Place(
        community=community, component=component, whole=whole, clock=clock, exchange=exchange, random=random
    )


def assemble(place: Place) -> Assembled:
    """Import the factory of the component's kind and build it, with health door and shipping."""
    module, _, function = KINDS[place.component.kind].factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise Misuse(
            "no-factory", f"nothing builds a {place.component.kind}", component=place.name
        ) from error
    built: Assembled = factory(place)
    built = _with_renewing(place, built)
    return replace(built, handle=_with_health(place, built), tick=_with_shipping(place, built))


def run_component(place: Place, ready: Callable[[], None] | None = None) -> None:
    """Serve the component until SIGTERM; raises :class:`Misuse` ``already-running`` for a second one."""
    component, home = place.component, place.home
    if os.environ.get(DRILL):
        _drill(os.environ[DRILL])
    with locked(home):
        remember_process(home, os.getpid())
        tls = (
            TlsFiles(certificate_file=home.tls_certificate, key_file=home.tls_key) if component.tls else None
        )
        built = assemble(place)
        gc.collect()
        gc.freeze()  # what stands from here on is never looked through again
        try:
            host = component.listen.host.strip("[]")
            serve(
                built.handle,
                host=host,
                port=component.listen.port,
                tls=tls,
                ready=ready,
                tick=built.tick,
                quick=built.quick,
            )
        finally:
            built.close()


def _drill(point: str) -> None:
    """Kill this process without warning at an exact point, ``WHAT:N``: at the N-th commit, sign, hop..."""
    what, _, number = point.partition(":")
    if not number.isdigit():
        raise Misuse("bad-drill", f"{DRILL} is written WHAT:N, for example commit:3", given=point)

    def watcher(counted: str, times: int) -> None:
        if counted == what and times == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    meter.watch(watcher)


@contextmanager
def locked(home: ComponentHome) -> Iterator[None]:
    """Hold the home's lock: two processes on one home would each believe to be the only one."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Misuse("not-founded", "this component has no home yet", path=str(home.path)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Misuse("already-running", "another process holds this home", path=str(home.path)) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _with_renewing(place: Place, built: Assembled) -> Assembled:
    if not (built.renews or place.component.tls):
        return built
    from e2s.community.renewing import renewing  # noqa: PLC0415  # late: most components renew nothing

    renew = renewing(place, built)

    def tick() -> None:
        try:
            built.tick()
        finally:
            renew()

    return replace(built, tick=tick)


def _with_health(place: Place, built: Assembled) -> Callable[[Request], Response]:
    told = {"community": place.community.name, "component": place.name, "pid": os.getpid(), "state": "ready"}
    body = msgspec.json.encode(told)

    def handle(request: Request) -> Response:
        if request.path == HEALTH and request.method == "GET":
            return Response(200, body, {"content-type": "application/json"})
        return built.handle(request)

    return handle


def _with_shipping(place: Place, built: Assembled) -> Callable[[], None]:
    sequencers = place.peers("audit")
    if not sequencers or not built.outboxes:
        return built.tick
    link = place.link(sequencers[0])

    def tick() -> None:
        try:
            built.tick()
        finally:
            for name, database, outbox in built.outboxes:
                try:
                    ship(database, outbox, link, name=name)
                except E2SError as error:
                    _LOG.warning("events wait: %s", error)

    return tick
