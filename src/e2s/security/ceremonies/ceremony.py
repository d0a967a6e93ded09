"""The root is founded once, certifies the CAs in recorded ceremonies, and is closed again after each.

Its first record names the community's first officers and their rights: nobody authorises the first, so
everybody can read who they are.  The root's key never leaves its sealed file or token.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.rights import Authoriser, TableAuthoriser
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.crypto.ports import Signer
from e2s.security.ceremonies import ceremony_record
from e2s.security.ceremonies.ceremony_record import Record
from e2s.security.ceremonies.folder import (
    KEY,
    OWN,
    RECORD,
    REGISTER,
    ROOT,
    Setting,
    copy_records,
    officers,
    open_folder_key,
    publish_own,
    read_chain,
    read_root,
)
from e2s.security.ceremonies.occasion import PLAIN, Occasion, certified, put_record
from e2s.security.ceremonies.root import ROOT_NAME, Root
from e2s.security.ceremonies.standalone import is_founded
from e2s.security.certificates.certify import Wish, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.place_file import read_places
from e2s.security.certificates.profiles import profile, profiles_in
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import OpenedKey, make_key
from e2s.security.pki import holdings, store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.rights import Right, require_apart

__all__ = [
    "RECORD",
    "ROOT_NAME",
    "Occasion",
    "Root",
    "Setting",
    "copy_records",
    "found_authority",
    "found_root",
    "officer_rights",
    "officers",
    "open_authority",
    "open_root",
    "read_chain",
    "read_record",
    "write_record",
]


def officer_rights(officer: str, cas: Iterable[str]) -> frozenset[Right]:
    """All rights of one officer at the named CAs, by their components; at the root also to name officers."""
    known = tuple(cas)
    rights = {(officer, right, ca) for ca in known for right in (RIGHTS.certify, RIGHTS.revoke)}
    return frozenset(rights | {(officer, RIGHTS.name, ca) for ca in known if ca == ROOT_NAME})


def found_root(
    folder: Path,
    phrase: Phrase,
    *,
    community: str,
    rights: frozenset[Right],
    setting: Setting,
    officer: str = "",
    occasion: Occasion = PLAIN,
    inherited: bool = False,
) -> Root:
    """Found the community's root in ``folder``: its key, certificate, register and first record.

    Repeated after a kill it goes on.  Raises :class:`Misuse` ``root-exists`` where there already is a CA,
    :class:`Refusal` ``duties-not-separate`` unless the rights are ``inherited`` from a root that was lost.
    """
    require_apart(rights, (ROOT_NAME,), before=rights if inherited else ())
    if any((folder / file).exists() for file in (REGISTER, ROOT)):
        raise Misuse("root-exists", "a root was already founded here", folder=str(folder))
    opened = _root_key(folder, phrase, community, setting)
    root, at = opened.signer().certificate, setting.clock.now()
    founding = replace(
        _founding(root, community, rights, at),
        officer=officer or _founder(rights),
        present=occasion.present,
        items=(certified(root, "root", ROOT_NAME),),
        software=setting.software,
        note=occasion.note,
    )
    if not (folder / RECORD).exists():
        put_record(folder, founding, opened.signer())
    publish_own(folder, (root,), root)
    return Root(folder, opened, setting)


def open_root(folder: Path, phrase: Phrase, *, setting: Setting) -> Root:
    """Take the root out of its folder again; its officers are those of its newest record.

    Raises what :func:`~e2s.security.ceremonies.folder.read_chain` raises for records, ``ceremony-cut`` or
    ``register-cut`` where they and the register differ, ``root-in-use``, and ``wrong-root`` where certificate
    and key do not belong together.
    """
    known = read_root(folder)
    key = open_folder_key(folder, phrase)
    try:
        if key.signer().certificate != known:
            raise Refusal("wrong-root", "the root's certificate in the folder is not that of its key")
        root = Root(folder, key, setting)
    except BaseException:
        key.close()
        raise
    try:
        root.require_recorded()
    except BaseException:
        root.close()
        raise
    return root


def found_authority(
    root: Root,
    folder: Path,
    phrase: Phrase,
    *,
    kind: str,
    name: str,
    component: str,
    officer: str,
    authoriser: Authoriser | None,
    setting: Setting,
    occasion: Occasion = PLAIN,
) -> Authority:
    """Found a CA of profile ``kind`` named ``name`` in ``folder``, certified by the open root.

    The occasion's rights are given in the same ceremony; without an ``authoriser`` the records' are asked.
    What its certificates say of places stands in the folder's :mod:`~e2s.security.certificates.place_file`.
    Repeated after a kill it goes on with the same key.  Raises ``component-taken`` where another CA has the
    component's name and ``officer`` may not name officers.
    """
    waiting = NewCa(kind, name, component, occasion)
    key = _certified_key(root, folder, phrase, waiting, officer=officer, setting=setting)
    chain = copy_records(root.folder, folder, root.certificate)
    return _opened(folder, key, kind, component, authoriser or chain.authoriser(), setting)


def open_authority(
    folder: Path,
    phrase: Phrase,
    *,
    kind: str,
    component: str,
    authoriser: Authoriser,
    setting: Setting,
) -> Authority:
    """Open an operating or card CA at its start; raises :class:`Misuse` ``no-ca`` or ``not-certified``."""
    return _opened(folder, open_folder_key(folder, phrase), kind, component, authoriser, setting)


def write_record(signer: Signer, *, community: str, rights: frozenset[Right], at: datetime) -> bytes:
    """The record of a founding that says no more than the officers' rights, signed by the root."""
    return ceremony_record.sign_record(_founding(signer.certificate, community, rights, at), signer)


def read_record(octets: bytes, root: Certificate) -> TableAuthoriser:
    """The officers' rights as one record of the root has them; raises :class:`Refusal` ``bad-ceremony``."""
    return TableAuthoriser(ceremony_record.read(octets, root).rights)


class NewCa(NamedTuple):
    """A CA that waits for its certificate: profile, URN, component name, and the occasion."""

    kind: str
    name: str
    component: str
    occasion: Occasion


def _certified_key(
    root: Root, folder: Path, phrase: Phrase, wanted: NewCa, *, officer: str, setting: Setting
) -> OpenedKey:
    """The folder's key, certified by ``root``; the key that an earlier call left there if there is one."""
    if (folder / KEY).exists() or (folder / OWN).exists():
        opened = open_folder_key(folder, phrase)
        own = opened.signer().certificate
        if _issued(root, own.spki, wanted.kind) != own or is_founded(folder):
            opened.close()
            raise Misuse("ca-exists", "there already is a CA in this folder", folder=str(folder))
        publish_own(folder, (own,), root.certificate)
        return opened
    key = make_key(folder, setting.where, phrase, setting.suite, random=setting.random, cost=setting.cost)
    certificate = certify_ca(root, key.public_key, wanted, officer=officer)
    opened = key.certified(certificate)
    publish_own(folder, (certificate,), root.certificate)
    return opened


def certify_ca(root: Root, key: PublicKey, wanted: NewCa, *, officer: str) -> Certificate:
    """Certify a CA's waiting key in a ceremony, once; what a killed one did is put on record.

    Raises :class:`Refusal` ``not-authorised`` also where another CA has the component's name, for an officer
    who may not name officers.
    """
    kind, name, component, occasion = wanted
    before = _issued(root, spki_of(key), kind)
    on_record = [item for item in root.chain.items("certificate") if item.component == component]
    if before is not None and any(item.digest == before.id for item in on_record):
        return before
    act = "replacing" if occasion.lost else "certifying"
    with root.ceremony(act, officer=officer, present=occasion.present, note=occasion.note) as held:
        if occasion.lost is not None:
            root.revoke_lost(occasion.lost, occasion.reason, officer=officer)
        if on_record and occasion.rights - held.rights:
            root.require_namer(officer)
        wanted_rights = held.rights | occasion.rights
        require_apart(wanted_rights, (ROOT_NAME,), before=held.rights)
        held.rights = wanted_rights
        if before is not None:
            held.items.append(certified(before, kind, component))
        community, party = name.split(":")[2:4]
        certificate = before or root.issue(
            kind,
            key,
            (name,),
            officer=officer,
            component=component,
            subject=distinguished(community=community, party=party, common=component),
        )
        if occasion.list_too:
            root.crl()
    return certificate


def _root_key(folder: Path, phrase: Phrase, community: str, setting: Setting) -> OpenedKey:
    """The root's key with its own certificate; the one that an earlier call left there if there is one."""
    subject = distinguished(community=community, common=ROOT_NAME)
    if (folder / KEY).exists() or (folder / OWN).exists():
        opened = open_folder_key(folder, phrase)
        own = opened.signer().certificate.x509
        if (own.subject, own.issuer) != (subject, subject):
            opened.close()
            raise Misuse("root-exists", "there is another CA in this folder", folder=str(folder))
        return opened
    key = make_key(folder, setting.where, phrase, setting.suite, random=setting.random, cost=setting.cost)
    wish = Wish(profile=profile("root"), names=(), subject=subject, public_key=key.public_key)
    serial, at = serial_number(setting.random), setting.clock.now()
    return key.certified(certify_root(wish, key.key, serial=serial, at=at))


def _issued(root: Root, spki: bytes, kind: str) -> Certificate | None:
    """The good certificate that the root gave that key already."""
    with root.authority.database.reading() as connection:
        return holdings.good_of_key(connection, spki, kind, root.setting.clock.now())


def _opened(
    folder: Path,
    key: OpenedKey,
    kind: str,
    component: str,
    authoriser: Authoriser,
    setting: Setting,
) -> Authority:
    authority = Authority(
        key.signer(),
        Database.open(folder / REGISTER, store.TABLES),
        kind=kind,
        component=component,
        clock=setting.clock,
        random=setting.random,
        authoriser=authoriser,
        places=read_places(folder),
        profiles=profiles_in(folder),
    )
    authority.on_close = key.close
    return authority


def _founding(root: Certificate, community: str, rights: frozenset[Right], at: datetime) -> Record:
    return Record(
        number=1, previous="", act="founding", at=at, community=community, root=root.id, rights=rights
    )


def _founder(rights: frozenset[Right]) -> str:
    """Who may name officers, where nobody was said to have founded the root."""
    return min((subject for subject, right, _ in rights if right == RIGHTS.name), default="")
