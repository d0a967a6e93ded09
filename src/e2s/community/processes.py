"""Components are started and stopped as processes; one is ours only if its start instant says so too.

A process number alone may have passed to a stranger since; so the file beside it has the kernel's start
time and boot, and signals go through a descriptor of the very process that was compared.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from e2s.base.errors import E2SError, Unreachable
from e2s.base.http import Exchange, Request
from e2s.community.chapter4 import start_order
from e2s.community.description import Community, Component
from e2s.community.home import CommunityHome, ComponentHome
from e2s.security.keys.durable import replace_file

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_LOG_LINES: Final = 12
_MAX_LOG_BYTES: Final = 8 * 1024

Tell = Callable[[str], None]


class _Known(msgspec.Struct, forbid_unknown_fields=True):
    """What stands in a component's ``pid`` file."""

    pid: int
    started: int
    boot: str


class _Health(msgspec.Struct):
    """What a health door says."""

    component: str
    pid: int


@dataclass(frozen=True, kw_only=True)
class State:
    """One component as it is now: ``ready``, ``starting`` (alive, no answer) or ``stopped``."""

    name: str
    party: str
    kind: str
    origin: str
    pid: int | None
    state: str


def remember_process(home: ComponentHome, pid: int) -> None:
    """Write which process the component is."""
    known = _Known(pid=pid, started=_started(pid) or 0, boot=_boot())
    replace_file(home.pid, msgspec.json.encode(known))


def process_of(home: ComponentHome) -> int | None:
    """The component's living process, or None."""
    held = _hold(home)
    if held is None:
        return None
    os.close(held[1])
    return held[0]


def states(community: Community, whole: CommunityHome, exchange: Exchange) -> list[State]:
    """Every component in the file's order."""
    found = []
    for component in community.components.values():
        pid = process_of(whole.component(component))
        state = "stopped" if pid is None else "ready" if _ready(component, pid, exchange) else "starting"
        found.append(
            State(
                name=component.name,
                party=component.party,
                kind=component.kind,
                origin=component.origin,
                pid=pid,
                state=state,
            )
        )
    return found


def start(
    community: Community,
    whole: CommunityHome,
    file: Path,
    exchange: Exchange,
    tell: Tell,
    names: Sequence[str] = (),
) -> list[str]:
    """Start what is not running (of ``names``, or all) and wait until each answers; gives what was started.

    Raises :class:`Unreachable` ``not-started`` with the last lines of its log when one ends or stays
    silent; what this call has started is then stopped again.
    """
    chosen = [c for c in start_order(community) if not names or c.name in names]
    if not names:
        # A person who took her pass phrase away serves her page herself (e2s wallet serve).
        absent = [c for c in chosen if c.person and not whole.component(c).phrase.exists()]
        for component in absent:
            tell(f"{component.name} is left to {component.person}: there is no pass phrase in its home")
        chosen = [c for c in chosen if c not in absent]
    begun: dict[str, int] = {}
    try:
        for component in chosen:
            if process_of(whole.component(component)) is None:
                begun[component.name] = _spawn(file, component, whole.component(component))
        _await_ready([c for c in chosen if c.name in begun], begun, whole, exchange, tell)
    except BaseException:
        # Our own children: their numbers are not given to others before we reap them.
        _terminate([(pid, os.pidfd_open(pid)) for pid in begun.values() if not _ended(pid)], STOP_SECONDS)
        raise
    return list(begun)


def stop(community: Community, whole: CommunityHome, tell: Tell) -> list[str]:
    """Stop every component, those that need others first; gives the names of those that ran."""
    held: dict[str, tuple[int, int]] = {}
    for component in reversed(start_order(community)):
        process = _hold(whole.component(component))
        if process is not None:
            held[component.name] = process
    killed = _terminate(held.values(), STOP_SECONDS)
    for name, (pid, _) in held.items():
        tell(f"{name} {'did not end in time and was killed' if pid in killed else 'ended'}")
    return list(held)


def _spawn(file: Path, component: Component, home: ComponentHome) -> int:
    """Start the component in a session of its own; everything it says goes to its log."""
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    command = [sys.executable, "-m", "e2s.cli.main", "component", str(file), component.name]
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(log)
        os.close(null)


def _await_ready(
    waiting: list[Component], begun: Mapping[str, int], whole: CommunityHome, exchange: Exchange, tell: Tell
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while waiting:
        for component in list(waiting):
            pid = begun[component.name]
            if _ready(component, pid, exchange):
                tell(f"{component.name} ready at {component.origin} (process {pid})")
                waiting.remove(component)
            elif _ended(pid) or time.monotonic() > deadline:
                said = _last_lines(whole.component(component).log)
                raise Unreachable(
                    "not-started", f"{component.name} did not start: {said}", component=component.name
                )
        time.sleep(_POLL_SECONDS)


def _ready(component: Component, pid: int, exchange: Exchange) -> bool:
    """Whether the component itself, and not another process at its address, answers."""
    try:
        response = exchange.send(component.origin, Request("GET", "/health"))
        health = msgspec.json.decode(response.body, type=_Health)
    except (E2SError, msgspec.MsgspecError):
        return False
    return response.status == 200 and health.component == component.name and health.pid == pid


def _ended(pid: int) -> bool:
    """Whether the process has ended; our own child is reaped."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return _started(pid) is None


def _hold(home: ComponentHome) -> tuple[int, int] | None:
    """The component's process and a descriptor of it; compared after it is held, so it is the very one."""
    try:
        known = msgspec.json.decode(home.pid.read_bytes(), type=_Known)
        descriptor = os.pidfd_open(known.pid)
    except (OSError, msgspec.MsgspecError):
        return None
    if known.boot == _boot() and _started(known.pid) == known.started:
        return known.pid, descriptor
    os.close(descriptor)
    return None


def _terminate(processes: Iterable[tuple[int, int]], seconds: float) -> set[int]:
    """SIGTERM to each (number, descriptor), then wait; SIGKILL to who is left, and these are the value."""
    held = dict(processes)
    for descriptor in held.values():
        _signal(descriptor, signal.SIGTERM)
    killed: set[int] = set()
    deadline = time.monotonic() + seconds
    for pid, descriptor in held.items():
        left = max(0.0, deadline - time.monotonic())
        if not _ends(descriptor, left):
            killed.add(pid)
            _signal(descriptor, signal.SIGKILL)
            _ends(descriptor, seconds)
        os.close(descriptor)
        _ended(pid)
    return killed


def _ends(descriptor: int, seconds: float) -> bool:
    """Whether the process ends within ``seconds``; ``select`` would refuse descriptors above 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _signal(descriptor: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


def _started(pid: int) -> int | None:
    """The kernel's start time of a process (proc(5), stat, field 22); None for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _last_lines(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _MAX_LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "it wrote no log"
    return " | ".join(text.strip().splitlines()[-_LOG_LINES:]) or "its log is empty"
