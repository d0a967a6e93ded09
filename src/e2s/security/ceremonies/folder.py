"""A CA is a folder: its sealed key, its register, its certificate and root, and the root's ceremonies.

::

    ca.pse            the key, sealed (or key.toml: in which token it lives)
    register.sqlite   every certificate, revocation, list and event
    root.pem, ca.pem  the root's certificate; the CA's own with those between
    root.crl          the root's list, as it was brought here
    ceremonies/       0001.cms, 0002.cms...: the record of each ceremony, signed by the root
    ceremonies/open   there while a ceremony is held
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import Clock
from e2s.base.rights import TableAuthoriser
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.security.ceremonies import ceremony_record
from e2s.security.ceremonies.ceremony_record import MAX_RECORD_BYTES, MAX_RECORDS, Chain
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.key_place import FILE as KEY_PLACE
from e2s.security.keys.key_place import InSealedFile, Where
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import LABEL, OpenedKey, open_key

KEY: Final = f"{LABEL}.pse"
REGISTER: Final = "register.sqlite"
ROOT: Final = "root.pem"
OWN: Final = f"{LABEL}.pem"
#: The same as in a community's homes.
ROOT_LIST: Final = "root.crl"
CEREMONIES: Final = "ceremonies"
OPEN: Final = f"{CEREMONIES}/open"
#: The record of the founding.
RECORD: Final = f"{CEREMONIES}/0001.cms"
_RECORDS: Final = re.compile(r"(\d{4})\.cms", re.ASCII)


#: Where a key lives unless something else is said.
SEALED: Final = InSealedFile()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the machine gives: clock and randomness, what a derivation may cost, and the software's name.

    ``suite`` and ``where`` are those of keys that are made.
    """

    clock: Clock
    random: Callable[[int], bytes]
    suite: str = "p256-sha256"
    cost: Cost | None = None
    where: Where = SEALED
    software: str = "e2s"


def open_folder_key(folder: Path, secret: Phrase) -> OpenedKey:
    """The certified key of the CA in ``folder``; raises :class:`Misuse` ``no-ca`` or ``not-certified``."""
    if not any((folder / file).exists() for file in (KEY, OWN)):
        waits = (folder / f"{LABEL}.pending").exists() or (folder / KEY_PLACE).exists()
        rule = "not-certified" if waits else "no-ca"
        raise Misuse(rule, "there is no CA in this folder that was certified", folder=str(folder))
    return open_key(folder, secret, label=LABEL)


def publish_own(folder: Path, own: Sequence[Certificate], root: Certificate) -> None:
    """Put the CA's own certificate with those between, and the root's, beside the key."""
    replace_file(folder / ROOT, root.pem, 0o644)
    if own[0] != root:
        replace_file(folder / OWN, b"".join(one.pem for one in own), 0o644)


def read_root(folder: Path) -> Certificate:
    """The root in the folder; raises :class:`Misuse` ``no-ca``."""
    return _certificates(folder / ROOT)[0]


def read_own(folder: Path) -> tuple[Certificate, ...]:
    """The CA's own certificate and those between; a root's own is the root; raises ``no-ca``."""
    return _certificates(folder / (OWN if (folder / OWN).exists() else ROOT))


def read_chain(folder: Path, root: Certificate) -> Chain:
    """Every ceremony in the folder, checked; raises ``bad-ceremony``, ``ceremony-cut``..."""
    records = []
    for name in _names(folder):
        record = ceremony_record.read(_octets(folder / CEREMONIES / name), root)
        if name != f"{record.number:04d}.cms":
            raise Refusal("ceremony-order", "a record's file has another number than it", file=name)
        records.append(record)
    return ceremony_record.chain(records)


def officers(folder: Path, root: Certificate) -> TableAuthoriser:
    """The officers' rights that the newest ceremony in the folder left in force."""
    return read_chain(folder, root).authoriser()


def copy_records(source: Path, target: Path, root: Certificate) -> Chain:
    """Copy the ceremonies' records of ``source``, which may only add to those that ``target`` has already."""
    found = read_chain(source, root)
    if _names(target):
        found.require_extends(read_chain(target, root))
    for name in _names(source):
        replace_file(target / CEREMONIES / name, _octets(source / CEREMONIES / name), 0o644)
    return found


def _names(folder: Path) -> list[str]:
    """The records' files in order; raises ``bad-ceremony`` for any other file among them."""
    try:
        present = sorted(path.name for path in (folder / CEREMONIES).iterdir())
    except OSError:
        return []
    names = [name for name in present if not name.startswith(".") and name != "open"]
    if len(names) > MAX_RECORDS or not all(_RECORDS.fullmatch(name) for name in names):
        raise Refusal("bad-ceremony", "among the records there is something else", folder=str(folder))
    return names


def _octets(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_RECORD_BYTES + 1)


def _certificates(path: Path) -> tuple[Certificate, ...]:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise Misuse("no-ca", "there is no CA in this folder", path=str(path)) from error
    return read_certificates(octets)
