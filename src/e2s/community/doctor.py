"""What a machine must have before a community runs on it, asked of the machine itself."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import Clock, format_instant
from e2s.community.description import Community
from e2s.community.home import CommunityHome
from e2s.community.processes import process_of
from e2s.community.publishers import repository_of
from e2s.crypto.certificates import Certificate
from e2s.security.pki.renewals import due
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import crl_path

FINE, ADVICE, LACKS = "fine", "advice", "lacks"
_PYTHON: Final = (3, 11)
_DISK_BYTES: Final = 500 * 1024 * 1024
_PROCESS_BYTES: Final = 80 * 1024 * 1024
_ROOT_LIST_LEFT: Final = timedelta(days=30)
#: Programs that only tests and interoperation use.
_PROGRAMS: Final = {
    "openssl": "to compare our CMS and time stamps with another's (Debian: openssl)",
    "chromium": "to drive the pages in tests (Debian: chromium)",
    "tinyproxy": "to test the wallet through a proxy (Debian: tinyproxy)",
}
#: How many certificates are named.
_SHOWN: Final = 6
_FORGETFUL: Final = frozenset({"tmpfs", "ramfs"})
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})


@dataclass(frozen=True)
class Symptom:
    """One thing looked at: ``fine``, ``advice`` (it works without) or ``lacks``."""

    what: str
    state: str
    detail: str


def examine(folder: Path, clock: Clock, community: Community | None = None) -> list[Symptom]:
    """Look at the machine and, with a community, at memory, ports, the root's list and certificates."""
    found = [_python(), *_packages(), *_programs(), _kernel(), _clock(clock), _disk(folder), _durable(folder)]
    if community:
        whole = CommunityHome(folder)
        found += [_memory(len(community.components)), *_ports(community, whole)]
        if whole.founded:
            found += [_root_list(community, whole, clock), _certificates(community, whole, clock)]
    return found


def _python() -> Symptom:
    shown = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= _PYTHON
    return Symptom("Python", FINE if good else LACKS, f"{shown}, 3.11 or newer is needed")


def _packages() -> Iterator[Symptom]:
    try:
        needed = [text for text in requires("e2s") or [] if "extra ==" not in text]
    except PackageNotFoundError:
        yield Symptom("packages", LACKS, "e2s is not installed: make env")
        return
    missing = []
    for text in needed:
        name = re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    detail = f"missing: {', '.join(missing)}: make env" if missing else f"{len(needed)} of {len(needed)}"
    yield Symptom("packages", LACKS if missing else FINE, detail)


def _programs() -> Iterator[Symptom]:
    for program, purpose in _PROGRAMS.items():
        path = shutil.which(program)
        yield Symptom(program, FINE if path else ADVICE, path or f"not there; it serves {purpose}")


def _kernel() -> Symptom:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return Symptom("kernel", LACKS, "process descriptors (pidfd_open) need Linux 5.3 or newer")
    return Symptom("kernel", FINE, f"{os.uname().sysname} {os.uname().release}")


def _clock(clock: Clock) -> Symptom:
    """A clock that stands before this file was written is certainly wrong."""
    now = clock.now()
    written = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < written:
        return Symptom("clock", LACKS, f"{format_instant(now)} is before E2S was installed")
    if Path("/run/systemd/timesync/synchronized").exists():
        return Symptom("clock", FINE, f"{format_instant(now)}, kept by time synchronisation")
    return Symptom("clock", ADVICE, f"{format_instant(now)}; see that it stays within 120 s of the others'")


def _disk(folder: Path) -> Symptom:
    free = shutil.disk_usage(folder).free
    shown = f"{free // (1024 * 1024)} MiB free in {folder}"
    return Symptom("disk", FINE if free >= _DISK_BYTES else LACKS, shown)


def _durable(folder: Path) -> Symptom:
    """Whether what is written stays: fsync works and the file system is no memory."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"e2s")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Symptom("file system", LACKS, f"{folder} cannot be written durably: {error.strerror}")
    kind = _file_system(folder)
    if kind in _FORGETFUL:
        return Symptom("file system", ADVICE, f"{folder} is in memory ({kind}): a restart loses it")
    if kind in _REMOTE:
        return Symptom("file system", ADVICE, f"{folder} is on {kind}: SQLite's locks need a local disk")
    return Symptom("file system", FINE, f"{folder} is on {kind} and flushes")


def _file_system(folder: Path) -> str:
    """The type of the file system that ``folder`` is on."""
    best, kind = "", "an unknown file system"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        point = fields[1].replace("\\040", " ")
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _memory(components: int) -> Symptom:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    needed = components * _PROCESS_BYTES
    mebibyte = 1024 * 1024
    shown = f"{available // mebibyte} MiB available, {components} processes take about {needed // mebibyte}"
    return Symptom("memory", FINE if available >= needed else ADVICE, shown)


def _ports(community: Community, whole: CommunityHome) -> Iterator[Symptom]:
    """Each address is free, or taken by the component itself."""
    taken = []
    for component in community.components.values():
        if process_of(whole.component(component)) is not None:
            continue
        host = component.listen.host.strip("[]")
        try:
            socket.create_server(
                (host, component.listen.port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            ).close()
        except OSError:
            taken.append(f"{component.name} {host}:{component.listen.port}")
    detail = f"taken by others: {', '.join(taken)}" if taken else "free, or the components' own"
    yield Symptom("addresses", LACKS if taken else FINE, detail)


def _root_list(community: Community, whole: CommunityHome, clock: Clock) -> Symptom:
    """Whether the root's list, which only a ceremony renews, is good for some time yet."""
    (root,) = whole.anchors()
    folder = whole.component(repository_of(community)).path / "repository"
    try:
        until = CrlIndex.read((folder / crl_path(root)[1:]).read_bytes()).next_update
    except (OSError, Refusal) as error:
        return Symptom("root's list", LACKS, f"there is none in the repository: {error}")
    now = clock.now()
    shown = f"good until {format_instant(until)}"
    if now >= until:
        return Symptom("root's list", LACKS, f"{shown}: nothing is trusted until a ceremony makes a new one")
    if now >= until - _ROOT_LIST_LEFT:
        return Symptom("root's list", ADVICE, f"{shown}: hold a ceremony that makes a new one")
    return Symptom("root's list", FINE, shown)


def _certificates(community: Community, whole: CommunityHome, clock: Clock) -> Symptom:
    """Which published certificates are in the last third of their life: what nobody renewed.

    What stands under ``component`` is used by enrolment alone; the repository has its newer certificates for
    answers elsewhere.
    """
    now = clock.now()
    held = {
        f"{component.name} {label}": certificate
        for component in community.components.values()
        for label, certificate in _published(whole, component.name)
        if label != "ocsp" and (label != "component" or component.kind == "enrolment")
    }
    over = sorted(name for name, one in held.items() if now >= one.not_after)
    if over:
        return Symptom("certificates", LACKS, f"over: {_some(over)}")
    old = sorted(name for name, one in held.items() if due(one, now))
    if old:
        return Symptom("certificates", ADVICE, f"a third of the life is left, or less: {_some(old)}")
    return Symptom("certificates", FINE, f"{len(held)} have more than a third of their life left")


def _published(whole: CommunityHome, component: str) -> Iterator[tuple[str, Certificate]]:
    for path in sorted(whole.public(component, "any").parent.glob("*.pem")):
        try:
            yield path.stem, whole.certificates(component, path.stem)[0]
        except (Misuse, Refusal):
            continue


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
