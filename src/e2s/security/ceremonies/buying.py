"""A buying organisation's own CA is run by its purchasing manager and certifies none but its own people.

Whoever certifies it confines it to the names of its party; which officers it has is its own affair, so its
records are signed by its own key, and the first names the manager.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2s.base.errors import Misuse
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.ceremonies.ceremony import officer_rights
from e2s.security.ceremonies.ceremony_record import Record
from e2s.security.ceremonies.folder import KEY, OWN, RECORD, Setting, open_folder_key, publish_own
from e2s.security.ceremonies.occasion import certified, put_record
from e2s.security.ceremonies.root import Root
from e2s.security.ceremonies.standalone import is_founded, look, open_ca
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import Limits
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.where import OpenedKey, make_key
from e2s.security.pki import holdings
from e2s.security.pki.ca import RIGHTS, Authority

PROFILE = "buying-ca"


@dataclass(frozen=True, kw_only=True)
class Buying:
    """The CA of which party, by URN, under which component name, run by whom, with which mail domains."""

    party: str
    component: str
    manager: str
    mail_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-name`` unless the manager is one of the party's people."""
        if not self.manager.startswith(f"{self.party}:"):
            raise Misuse("bad-name", "the manager is one of the party's people", manager=self.manager)


def found_buying(
    issuer: Root | Authority,
    folder: Path,
    phrase: Phrase,
    wanted: Buying,
    *,
    root: Certificate,
    officer: str,
    setting: Setting,
) -> Authority:
    """Found the CA in ``folder``, certified by ``issuer``, the ``root`` or a CA beneath it.

    Repeated after a kill it goes on.
    ``officer`` is the issuer's.  Raises :class:`Misuse` ``ca-exists``.
    """
    if is_founded(folder):
        raise Misuse("ca-exists", "there already is a CA in this folder", folder=str(folder))
    between = () if isinstance(issuer, Root) else (issuer.certificate, *issuer.chain)
    key = _key(issuer, folder, phrase, wanted, between, officer=officer, setting=setting)
    signer = key.signer()
    own = signer.certificate
    if not (folder / RECORD).exists():
        rights = officer_rights(wanted.manager, (wanted.component,))
        record = Record(
            number=1,
            previous="",
            act="founding",
            at=setting.clock.now(),
            community=own.name.split(":")[2],
            root=own.id,
            rights=rights | {(wanted.manager, RIGHTS.name, wanted.component)},
            officer=wanted.manager,
            items=(certified(own, PROFILE, wanted.component),),
            software=setting.software,
        )
        put_record(folder, record, signer)
    key.close()
    publish_own(folder, (own, *between), root)
    return open_ca(look(folder), phrase, setting=setting)


def _key(
    issuer: Root | Authority,
    folder: Path,
    phrase: Phrase,
    wanted: Buying,
    between: tuple[Certificate, ...],
    *,
    officer: str,
    setting: Setting,
) -> OpenedKey:
    """The folder's key, certified; the one that an earlier call left there if there is one."""
    if (folder / KEY).exists() or (folder / OWN).exists():
        return open_folder_key(folder, phrase)
    new = make_key(folder, setting.where, phrase, setting.suite, random=setting.random, cost=setting.cost)
    certificate = _certified(issuer, new.public_key, wanted, officer)
    return new.certified(certificate, between)


def _certified(issuer: Root | Authority, key: PublicKey, wanted: Buying, officer: str) -> Certificate:
    """The key's certificate, made once."""
    authority = issuer.authority if isinstance(issuer, Root) else issuer
    with authority.database.reading() as connection:
        before = holdings.good_of_key(connection, spki_of(key), PROFILE, authority.clock.now())
    if before is not None:
        return before
    community, party = wanted.party.split(":")[2:4]
    subject = distinguished(community=community, party=party, common=wanted.component)
    limits = Limits(permitted=tuple(f"mail:{domain}" for domain in wanted.mail_domains))
    names = (wanted.party,)
    if isinstance(issuer, Root):
        return issuer.issue(
            PROFILE, key, names, officer=officer, component=wanted.component, subject=subject, limits=limits
        )
    return issuer.issue(PROFILE, key, names, officer=officer, subject=subject, limits=limits)
