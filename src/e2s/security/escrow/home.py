"""A vault's home is a folder: settings, its own key, whom it believes, and what it keeps, sealed.

::

    escrow.toml    settings: community, names, folders of revocation lists; no secret
    vault.pse      the vault's own key, which signs and opens nothing (or key.toml: in which token it lives)
    root.pem       the community's root
    ceremonies/    the records of the root's ceremonies: which officers have which rights
    policy.toml    the conditions that a new policy states, where they are not those that come with E2S
    lists/*.crl    revocation lists; those of other folders that the settings name are read too
    escrow.sqlite  policies, deposits, cases
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.base.instants import Clock
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.security.ceremonies.folder import CEREMONIES, ROOT_LIST, copy_records
from e2s.security.ceremonies.standalone import look
from e2s.security.certificates.certify import request
from e2s.security.escrow import tables
from e2s.security.escrow.policy import MAX_POLICY_BYTES, Terms, read_policy, shipped
from e2s.security.escrow.vault import Vault
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.key_place import InSealedFile, Where
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import make_key, open_key
from e2s.security.registration.home import FolderLists, RecordedOfficers
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

SETTINGS: Final = "escrow.toml"
BOOK: Final = "escrow.sqlite"
ROOT: Final = "root.pem"
POLICY: Final = "policy.toml"
LISTS: Final = "lists"
LABEL: Final = "vault"
REQUEST: Final = "request.p10"
_MAX_BYTES: Final = 64 * 1024
_MAX_LIST_BYTES: Final = 64 * 1024 * 1024
_TEXTS: Final = ("community", "name", "domain")
_HERE: Final = InSealedFile()


@dataclass(frozen=True, kw_only=True)
class Edges:
    """What only the edge of a process may read, and how a key that is made is kept."""

    clock: Clock
    random: Callable[[int], bytes] = field(repr=False)
    suite: str = "p256-sha256"
    cost: Cost | None = None
    where: Where = _HERE


def found_home(
    folder: Path, ca_folder: Path, phrase: Phrase, name: str, edges: Edges, lists: Sequence[Path] = ()
) -> bytes:
    """Make a home for the vault ``name`` in the domain of the CA in ``ca_folder``; its key's request, DER.

    Nothing secret of the CA's folder is read.  Repeated it goes on with the same key.  Raises :class:`Misuse`
    ``home-exists`` once the key is certified, ``bad-name``, ``no-ca``.
    """
    parts = name.split(":")
    if len(parts) < 5 or parts[:2] != ["urn", "e2s"]:
        raise Misuse("bad-name", "a vault is called urn:e2s:COMMUNITY:PARTY:NAME", name=name)
    if (folder / f"{LABEL}.pse").exists() or (folder / f"{LABEL}.pem").exists():
        raise Misuse("home-exists", "there already is a vault here", home=str(folder))
    seen = look(ca_folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / LISTS).mkdir(exist_ok=True, mode=0o700)
    replace_file(folder / ROOT, seen.root.pem, 0o644)
    copy_records(ca_folder, folder, seen.root)
    _copy_list(folder, ca_folder)
    texts = {"community": parts[2], "name": name, "domain": seen.component}
    lines = [f"{key} = {_quoted(value)}\n" for key, value in texts.items()]
    lines.append(f"lists = [{', '.join(_quoted(str(one.absolute())) for one in lists)}]\n")
    replace_file(folder / SETTINGS, "".join(lines).encode(), 0o644)
    Database.open(folder / BOOK, tables.TABLES).close()
    new = make_key(
        folder, edges.where, phrase, edges.suite, label=LABEL, random=edges.random, cost=edges.cost
    )
    try:
        return request(new.key, (name,))
    finally:
        new.close()


def certified(folder: Path, phrase: Phrase, chain: Sequence[Certificate], edges: Edges) -> Certificate:
    """Put the vault's first certificate, or a newer one of the same key, into its home.

    Raises :class:`Misuse` ``no-home``, ``key-mismatch``, ``other-name``.
    """
    own, *issuers = chain
    settings = _settings(folder)
    if settings["name"] not in own.names:
        raise Misuse("other-name", "the certificate does not name this vault", name=settings["name"])
    if (folder / f"{LABEL}.pse").exists() or (folder / f"{LABEL}.pem").exists():
        opened = open_key(folder, phrase, label=LABEL)
        opened.recertified(own, tuple(issuers), phrase, random=edges.random)
    else:
        new = make_key(
            folder, edges.where, phrase, edges.suite, label=LABEL, random=edges.random, cost=edges.cost
        )
        opened = new.certified(own, tuple(issuers))
    opened.close()
    return own


def update_home(folder: Path, ca_folder: Path) -> int:
    """Take newer records of ceremonies and the root's newest list from the CA; how many records there are."""
    _settings(folder)
    (root,) = read_certificates(_read(folder / ROOT, _MAX_BYTES))
    chain = copy_records(ca_folder, folder, root)
    _copy_list(folder, ca_folder)
    return len(chain.records)


@contextmanager
def open_home(folder: Path, phrase: Phrase, edges: Edges) -> Iterator[Vault]:
    """The vault in ``folder`` until the block ends; raises ``no-home``, ``not-certified``..."""
    settings = _settings(folder)
    (root,) = read_certificates(_read(folder / ROOT, _MAX_BYTES))
    if not (folder / f"{LABEL}.pse").exists() and not (folder / f"{LABEL}.pem").exists():
        sentence = "the vault's key has no certificate yet: e2s escrow create DIR --certificate FILE"
        raise Misuse("not-certified", sentence, home=str(folder))
    key = open_key(folder, phrase, label=LABEL)
    database = Database.open(folder / BOOK, tables.TABLES)
    places = [folder / LISTS, *map(Path, settings["lists"])]
    try:
        yield Vault(
            community=settings["community"],
            component=settings["name"].rsplit(":", 1)[-1],
            domain=settings["domain"],
            signer=key.signer(),
            database=database,
            trust=Trust(Verifier((root,)), FolderLists(places)),
            authoriser=RecordedOfficers(folder, root),
            clock=edges.clock,
            random=edges.random,
            records=lambda: _records(folder),
        )
    finally:
        database.close()
        key.close()


def terms_in(folder: Path) -> Terms:
    """The conditions of a home: its own file, or the one that comes with E2S."""
    path = folder / POLICY
    return read_policy(_read(path, MAX_POLICY_BYTES + 1), str(path)) if path.exists() else shipped()


def _records(folder: Path) -> list[bytes]:
    return [_read(path, 2 * _MAX_LIST_BYTES) for path in sorted((folder / CEREMONIES).glob("*.cms"))]


def _copy_list(folder: Path, ca_folder: Path) -> None:
    """The root's list, which a ceremony changes."""
    if (ca_folder / ROOT_LIST).exists():
        replace_file(folder / LISTS / ROOT_LIST, _read(ca_folder / ROOT_LIST, _MAX_LIST_BYTES), 0o644)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    if not path.exists():
        sentence = f"there is no {SETTINGS} in this folder: e2s escrow create makes one"
        raise Misuse("no-home", sentence, home=str(folder))
    try:
        read: dict[str, Any] = tomllib.loads(_read(path, _MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse("bad-settings", "the settings are not TOML", file=str(path)) from error
    lists = read.get("lists")
    if set(read) != {*_TEXTS, "lists"} or not isinstance(lists, list):
        raise Misuse("bad-settings", f"the settings are {' '.join(_TEXTS)} and lists", file=str(path))
    if not all(isinstance(one, str) and one for one in [*lists, *(read[name] for name in _TEXTS)]):
        raise Misuse("bad-settings", "a setting is text", file=str(path))
    return read


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
    except OSError as error:
        raise Misuse("no-home", "a file of the home cannot be read", file=str(path)) from error
    if len(octets) > most:
        raise Misuse("too-large", "a file of the home is larger than is read", file=str(path))
    return octets
