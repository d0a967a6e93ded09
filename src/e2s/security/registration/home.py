"""A registration authority's home is a folder: settings, register, whom it trusts, the ceremonies' records.

::

    ra.toml        settings: community, names, how the CA is reached; no secret
    root.pem       the community's root
    ceremonies/    the records of the root's ceremonies: which officers have which rights
    policy.toml    the policy of evidence, where it is not the one that comes with E2S
    profiles.toml  the CA's own profiles, where it has some
    lists/*.crl    revocation lists; those of the spool are read too
    data.db        the register

An officer's home holds her own sealed file, ``pse``; the registration authority never sees her key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Exchange
from e2s.base.instants import Clock
from e2s.base.rights import Granted, Refused
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.network.sessions.link import Link, read_key
from e2s.security.ceremonies.folder import CEREMONIES, ROOT_LIST, copy_records, officers
from e2s.security.ceremonies.standalone import look
from e2s.security.certificates.makers import makers_in
from e2s.security.certificates.profiles import FILE as PROFILES
from e2s.security.certificates.profiles import profiles_in
from e2s.security.keys.durable import replace_file
from e2s.security.pki.spool import Spool
from e2s.security.registration import tables
from e2s.security.registration.office import Office
from e2s.security.registration.ordering import Ask
from e2s.security.registration.policy import Policy, read_policy, shipped
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

SETTINGS: Final = "ra.toml"
BOOK: Final = "data.db"
ROOT: Final = "root.pem"
POLICY: Final = "policy.toml"
LISTS: Final = "lists"
#: The label of an officer's key in her sealed file.
OFFICER: Final = "officer"
PSE: Final = "pse"
_MAX_BYTES: Final = 64 * 1024
_MAX_LIST_BYTES: Final = 64 * 1024 * 1024
_MAX_LISTS: Final = 64
_TEXTS: Final = ("community", "component", "ca", "spool", "origin", "link")


@dataclass(frozen=True, kw_only=True)
class Edges:
    """What only the edge of a process may read; ``exchange`` carries a link."""

    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    exchange: Exchange | None = None


@dataclass(frozen=True, kw_only=True)
class Home:
    """An open home: the office, and how it reaches its CA."""

    office: Office
    ask: Ask

    def close(self) -> None:
        """Give back the register."""
        self.office.database.close()


class FolderLists:
    """The revocation lists that lie in folders now (a ``CrlSource``); how fresh they are is not its word."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Each file ``*.crl`` in one of ``folders`` is read, DER."""
        self._folders = tuple(folders)
        self._held: dict[Path, tuple[tuple[int, int], bytes]] = {}

    def crls(self, *certificates: Certificate) -> Sequence[bytes]:
        """All lists; a file is read again only when it changed."""
        del certificates
        paths = [path for folder in self._folders for path in sorted(folder.glob("*.crl"))][:_MAX_LISTS]
        held: dict[Path, tuple[tuple[int, int], bytes]] = {}
        for path in paths:
            try:
                stat = path.stat()
                mark = (stat.st_mtime_ns, stat.st_ino)
                before = self._held.get(path)
                held[path] = before if before and before[0] == mark else (mark, _read(path, _MAX_LIST_BYTES))
            except FileNotFoundError:
                continue
        self._held = held
        return tuple(octets for _, octets in held.values())


class RecordedOfficers:
    """The officers' rights by the newest ceremony on record; a new record is read when it is there."""

    def __init__(self, folder: Path, root: Certificate) -> None:
        """``folder`` holds ``ceremonies``; raises :class:`Refusal` for records that are not good."""
        self._folder, self._root = folder, root
        self._mark = self._marked()
        self._table = officers(folder, root)

    def decide(self, subject: str, right: str, context: str) -> Granted | Refused:
        """As the newest record says; records that are not good grant nothing."""
        mark = self._marked()
        if mark != self._mark:
            try:
                self._table = officers(self._folder, self._root)
            except Refusal as refusal:
                return Refused(f"the ceremonies' records are not good: {refusal.rule}")
            self._mark = mark
        return self._table.decide(subject, right, context)

    def _marked(self) -> int:
        path = self._folder / CEREMONIES
        return path.stat().st_mtime_ns if path.exists() else 0


def found_home(
    folder: Path,
    ca_folder: Path,
    *,
    component: str,
    spool: Path | None,
    origin: str = "",
    link: Path | None = None,
) -> dict[str, str]:
    """Make a home for a registration authority of the CA in ``ca_folder``; gives its settings.

    Nothing secret of the CA's folder is read.  Raises :class:`Misuse` ``home-exists``, ``no-way-to-ca`` or
    ``no-ca``.
    """
    if (folder / SETTINGS).exists():
        raise Misuse("home-exists", "there already is a registration authority here", home=str(folder))
    if (spool is None) == (not origin):
        raise Misuse("no-way-to-ca", "the CA is reached through a spool or at an origin: say one")
    seen = look(ca_folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(folder / ROOT, seen.root.pem, 0o644)
    copy_records(ca_folder, folder, seen.root)
    (folder / LISTS).mkdir(exist_ok=True, mode=0o700)
    _copy_files(folder, ca_folder)
    settings = {
        "community": seen.own.name.split(":")[2] if seen.own.name.startswith("urn:e2s:") else "",
        "component": component,
        "ca": seen.component,
    }
    if spool is not None:
        for part in ("ask", "answer", LISTS):
            (spool / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        settings["spool"] = str(spool.absolute())
    else:
        settings |= {"origin": origin, "link": str((link or folder / "links" / "ca.key").absolute())}
    text = "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())
    replace_file(folder / SETTINGS, text.encode(), 0o644)
    Database.open(folder / BOOK, tables.TABLES).close()
    return settings


def update_home(folder: Path, ca_folder: Path) -> int:
    """Take newer records of ceremonies, the root's newest list and profiles from the CA; how many records.

    Raises :class:`Misuse` ``no-home``, :class:`Refusal` for records that do not continue those that are here.
    """
    _settings(folder)
    (root,) = read_certificates(_read(folder / ROOT, _MAX_BYTES))
    copy_records(ca_folder, folder, root)
    _copy_files(folder, ca_folder)
    return sum(1 for _ in (folder / CEREMONIES).glob("*.cms"))


def _copy_files(folder: Path, ca_folder: Path) -> None:
    """The root's list, which no spool brings and a ceremony changes, and the CA's own profiles."""
    for name, target in ((ROOT_LIST, folder / LISTS), (PROFILES, folder)):
        if (ca_folder / name).exists():
            replace_file(target / name, _read(ca_folder / name, _MAX_LIST_BYTES), 0o644)


def open_home(folder: Path, edges: Edges) -> Home:
    """Open a home that stands alone; raises :class:`Misuse` ``no-home``, ``bad-settings``."""
    settings = _settings(folder)
    (root,) = read_certificates(_read(folder / ROOT, _MAX_BYTES))
    lists = [folder / LISTS]
    if settings["spool"]:
        lists.append(Path(settings["spool"]) / LISTS)
    office = Office(
        community=settings["community"],
        component=settings["component"],
        ca=settings["ca"],
        database=Database.open(folder / BOOK, tables.TABLES),
        trust=Trust(Verifier((root,)), FolderLists(lists)),
        authoriser=RecordedOfficers(folder, root),
        clock=edges.clock,
        random=edges.random,
        policy=policy_in(folder),
        makers=makers_in(folder),
        profiles=profiles_in(folder),
        parties=frozenset(settings["parties"]),
    )
    return Home(office=office, ask=_ask(settings, edges))


def policy_in(folder: Path) -> Policy:
    """The policy of a home: its own file, or the one that comes with E2S."""
    path = folder / POLICY
    return read_policy(_read(path, _MAX_BYTES), str(path)) if path.exists() else shipped()


def _ask(settings: dict[str, Any], edges: Edges) -> Ask:
    if settings["spool"]:
        return Spool(Path(settings["spool"])).ask
    if edges.exchange is None:
        raise Misuse("no-way-to-ca", "this CA is reached over a link, and none is at hand")
    key = read_key(Path(settings["link"]))
    me, peer = settings["component"], settings["ca"]
    return Link(me, peer, key, edges.exchange, settings["origin"], edges.clock, edges.random).ask


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    if not path.exists():
        raise Misuse(
            "no-home", f"there is no {SETTINGS} in this folder: e2s ra init makes one", home=str(folder)
        )
    try:
        read: dict[str, Any] = tomllib.loads(_read(path, _MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-settings", "the settings are not TOML", file=str(path)) from error
    parties = read.pop("parties", [])
    texts = dict.fromkeys(_TEXTS, "") | read
    good = isinstance(parties, list) and all(isinstance(each, str) for each in (*parties, *texts.values()))
    if not good or set(texts) != set(_TEXTS) or not all(texts[name] for name in _TEXTS[:3]):
        raise Misuse("bad-settings", f"the settings are {' '.join(_TEXTS)} and parties", file=str(path))
    if bool(texts["spool"]) == bool(texts["origin"]):
        raise Misuse("bad-settings", "the CA is reached through a spool or at an origin", file=str(path))
    return {**texts, "parties": parties}


def _quoted(value: str) -> str:
    """A basic string of TOML."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise Misuse("bad-settings", "a setting is text that can be shown")
    return f'"{escaped}"'


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Misuse(
            "no-home", "a file of the home cannot be read", file=str(path), why=error.strerror
        ) from error
    if len(octets) > most:
        raise Misuse("too-large", "a file of the home is larger than is read", file=str(path))
    return octets
