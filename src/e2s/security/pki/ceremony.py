"""The root is founded once, in its own folder, certifies the CAs, signs its list, and is closed again.

The ceremony's record, signed by the root, names the community's first officers and their rights: nobody
authorises the first, so everybody can read who they are.  The root's key never leaves its sealed file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import Clock, format_instant
from e2s.base.rights import Authoriser, TableAuthoriser
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.cms.signed import check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer
from e2s.security.keys.container import Cost
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.pki import store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.certify import Wish, certify_root
from e2s.security.pki.names import distinguished
from e2s.security.pki.profiles import profile

LABEL = "ca"
RECORD = "ceremony.cms"
_MAX_RECORD_BYTES = 256 * 1024
_FILES = ("ca.pse", "register.sqlite", RECORD)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the machine gives: clock and randomness, and what a derivation may cost."""

    clock: Clock
    random: Callable[[int], bytes]
    suite: str = "p256-sha256"
    cost: Cost | None = None


def officer_rights(officer: str, cas: Iterable[str]) -> frozenset[tuple[str, str, str]]:
    """All rights of one officer at the named CAs."""
    return frozenset((officer, right, ca) for ca in cas for right in (RIGHTS.certify, RIGHTS.revoke))


def found_root(
    folder: Path,
    phrase: Phrase,
    *,
    community: str,
    rights: frozenset[tuple[str, str, str]],
    setting: Setting,
) -> Authority:
    """Found the community's root in ``folder`` (``ca.pse``, ``root.pem``, register, ``ceremony.cms``).

    Raises :class:`Misuse` ``root-exists`` where there already is one.
    """
    if any((folder / file).exists() for file in _FILES):
        raise Misuse("root-exists", "a root was already founded here", folder=str(folder))
    at = setting.clock.now()
    key = generate(setting.suite, setting.random)
    wish = Wish(
        profile=profile("root"),
        names=(),
        subject=distinguished(community=community, common="root"),
        public_key=key.public_key(),
    )
    root = certify_root(wish, key, serial=serial_number(setting.random), at=at)
    entries = {LABEL: Entry(private_key=key, certificate=root)}
    pse = SoftwarePse.create(folder / "ca.pse", phrase, entries, cost=setting.cost, random=setting.random)
    record = write_record(pse.signer(LABEL), community=community, rights=rights, at=at)
    replace_file(folder / RECORD, record, 0o644)
    replace_file(folder / "root.pem", root.pem, 0o644)
    return _authority(folder, pse, kind="root", component="root", authoriser=None, setting=setting)


def found_authority(
    root: Authority,
    folder: Path,
    phrase: Phrase,
    *,
    kind: str,
    name: str,
    component: str,
    officer: str,
    authoriser: Authoriser,
    setting: Setting,
) -> Authority:
    """Found an ``operating-ca`` or ``card-ca`` named ``name`` in ``folder``, certified by the open root."""
    key = generate(setting.suite, setting.random)
    community, party = name.split(":")[2:4]
    certificate = root.issue(
        kind,
        key.public_key(),
        (name,),
        officer=officer,
        subject=distinguished(community=community, party=party, common=component),
    )
    entries = {LABEL: Entry(private_key=key, certificate=certificate)}
    pse = SoftwarePse.create(folder / "ca.pse", phrase, entries, cost=setting.cost, random=setting.random)
    return _authority(folder, pse, kind=kind, component=component, authoriser=authoriser, setting=setting)


def open_root(folder: Path, phrase: Phrase, *, setting: Setting) -> Authority:
    """Take the root out of its folder again; its officers are those of its own record."""
    pse = SoftwarePse.open(folder / "ca.pse", phrase)
    return _authority(folder, pse, kind="root", component="root", authoriser=None, setting=setting)


def open_authority(
    folder: Path, phrase: Phrase, *, kind: str, component: str, authoriser: Authoriser, setting: Setting
) -> Authority:
    """Open an operating or card CA at its start."""
    pse = SoftwarePse.open(folder / "ca.pse", phrase)
    return _authority(folder, pse, kind=kind, component=component, authoriser=authoriser, setting=setting)


def write_record(
    signer: Signer, *, community: str, rights: frozenset[tuple[str, str, str]], at: datetime
) -> bytes:
    """The ceremony's record, signed by the root."""
    document = {
        "type": "e2s/1/ceremony",
        "at": format_instant(at),
        "community": community,
        "root": signer.certificate.id,
        "rights": [list(right) for right in sorted(rights)],
    }
    return sign(wire.encode(document), oids.DATA, signer, at)


def read_record(octets: bytes, root: Certificate) -> TableAuthoriser:
    """The officers' rights as the root's record has them; raises :class:`Refusal` ``bad-ceremony``."""
    if len(octets) > _MAX_RECORD_BYTES:
        raise Refusal("bad-ceremony", "the record is larger than may be read")
    signed = read_signed(octets)
    if signed.signer_certificate != root:
        raise Refusal("bad-ceremony", "the record is not signed by this root")
    check_signature(signed)
    document = wire.decode(signed.octets)
    rights = document.get("rights")
    if document.get("type") != "e2s/1/ceremony" or not isinstance(rights, list):
        raise Refusal("bad-ceremony", "the document is no ceremony's record")
    for right in rights:
        if not isinstance(right, list) or len(right) != 3 or not all(isinstance(part, str) for part in right):
            raise Refusal("bad-ceremony", "a right names subject, right and context")
    return TableAuthoriser(frozenset((subject, right, context) for subject, right, context in rights))


def _authority(
    folder: Path,
    pse: SoftwarePse,
    *,
    kind: str,
    component: str,
    authoriser: Authoriser | None,
    setting: Setting,
) -> Authority:
    """Join key, register and rights; the root's rights come from its own record."""
    if authoriser is None:
        authoriser = read_record((folder / RECORD).read_bytes(), pse.certificate(LABEL))
    return Authority(
        pse.signer(LABEL),
        Database.open(folder / "register.sqlite", store.TABLES),
        kind=kind,
        component=component,
        clock=setting.clock,
        random=setting.random,
        authoriser=authoriser,
    )
