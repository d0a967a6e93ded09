"""The root between its opening and its closing: every act at it is a ceremony that leaves a record.

What the root's register has and no record names is refused at the next opening, unless a ceremony was
interrupted; then the next record says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.base.rights import Granted, Refused, TableAuthoriser
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey
from e2s.security.ceremonies.ceremony_record import Chain, Item, Record
from e2s.security.ceremonies.folder import OPEN, REGISTER, Setting, read_chain
from e2s.security.ceremonies.occasion import certified, listed, put_record
from e2s.security.certificates.place_file import read_places
from e2s.security.keys.durable import replace_file
from e2s.security.keys.where import OpenedKey
from e2s.security.pki import holdings, store
from e2s.security.pki.ca import RIGHTS, Authority
from e2s.security.pki.rights import Right, require_apart

#: The root's component name.
ROOT_NAME: Final = "root"


@dataclass
class Ceremony:
    """What is done between a ceremony's beginning and its record."""

    act: str
    officer: str
    rights: frozenset[Right]
    present: tuple[str, ...] = ()
    note: str = ""
    items: list[Item] = field(default_factory=list)


class Root:
    """The root's key, register and records, until :meth:`close`; nobody else opens the folder meanwhile."""

    def __init__(self, folder: Path, key: OpenedKey, setting: Setting) -> None:
        """Made by :mod:`~e2s.security.ceremonies.ceremony`; raises of records, or ``root-in-use``."""
        self.folder = folder
        self.setting = setting
        self._key = key
        self._held: Ceremony | None = None
        signer = key.signer()
        self.chain = read_chain(folder, signer.certificate)
        self._lock = _locked(folder)
        try:
            self.authority = Authority(
                signer,
                Database.open(folder / REGISTER, store.TABLES),
                kind="root",
                component=ROOT_NAME,
                clock=setting.clock,
                random=setting.random,
                authoriser=_Standing(self),
                places=read_places(folder),
            )
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def certificate(self) -> Certificate:
        """The root's certificate."""
        return self.authority.certificate

    @property
    def community(self) -> str:
        """The community that the root was founded for."""
        return self.chain.newest.community

    @property
    def rights(self) -> frozenset[Right]:
        """The officers' rights as of now: of the ceremony that is held, else of the newest record."""
        return self._held.rights if self._held else self.chain.newest.rights

    @contextlib.contextmanager
    def ceremony(
        self, act: str, *, officer: str = "", present: Sequence[str] = (), note: str = ""
    ) -> Iterator[Ceremony]:
        """Hold a ceremony: what the root does in the block stands in one record, written at its end.

        ``officer`` is the founder where none is said.  When the block raises, what was done before is
        recorded all the same, and why it ended; rights stay as they were.  Within another ceremony it is a
        part of that one.
        """
        if self._held is not None:
            yield self._held
            return
        self.authority.signer  # noqa: B018 - a closed root holds no ceremony
        newest = self.chain.newest
        held = Ceremony(act, officer or self.chain.founder, newest.rights, tuple(present), note)
        held.items += self._unrecorded()
        started = {"act": act, "at": format_instant(self.setting.clock.now()), "officer": held.officer}
        replace_file(self.folder / OPEN, wire.encode(started), 0o644)
        self._held = held
        try:
            yield held
            self._record(held)
        except Exception as error:
            rule = error.rule if isinstance(error, E2SError) else type(error).__name__
            ended = replace(
                held, rights=newest.rights, note="; ".join(filter(None, (note, f"ended: {rule}")))
            )
            if held.items and self.chain.newest is newest:
                self._record(ended)
            (self.folder / OPEN).unlink(missing_ok=True)
            raise
        else:
            (self.folder / OPEN).unlink(missing_ok=True)
        finally:
            self._held = None

    def issue(
        self,
        kind: str,
        key: PublicKey | bytes,
        names: Sequence[str],
        *,
        officer: str,
        component: str = "",
        **more: Any,
    ) -> Certificate:
        """Certify a CA, as :meth:`~e2s.security.pki.ca.Authority.issue`, on record."""
        with self.ceremony("certifying", officer=officer) as held:
            certificate = self.authority.issue(kind, key, names, officer=officer, **more)
            held.items.append(certified(certificate, kind, component))
        return certificate

    def revoke(self, serial: int, reason: str, *, officer: str, **more: Any) -> None:
        """Withdraw what the root certified, on record."""
        with self.ceremony("revoking", officer=officer) as held:
            self.authority.revoke(serial, reason, officer=officer, **more)
            with self.authority.database.reading() as connection:
                found = holdings.of_serial(connection, serial, self.setting.clock.now())
            if found is not None:
                digest = found.certificate.id
                held.items.append(Item(kind="revocation", digest=digest, name=found.name, detail=reason))

    def revoke_lost(self, lost: Certificate, reason: str, *, officer: str) -> None:
        """Revoke a CA, and put it on record, unless both were done before.

        Raises :class:`Misuse` ``not-of-this-root``.
        """
        with self.authority.database.reading() as connection:
            found = holdings.of_serial(connection, lost.serial, self.setting.clock.now())
        if found is None or found.certificate != lost:
            raise Misuse("not-of-this-root", "this root certified no such CA", certificate=lost.id)
        if found.state != "revoked":
            self.revoke(lost.serial, reason, officer=officer)
        elif all(item.digest != lost.id for item in self.chain.items("revocation")):
            with self.ceremony("revoking", officer=officer) as held:
                item = Item(kind="revocation", digest=lost.id, name=found.name, detail=found.reason)
                held.items.append(item)

    def crl(self) -> bytes:
        """A new list, on record."""
        with self.ceremony("listing") as held:
            der = self.authority.crl()
            held.items.append(listed(der))
        return der

    def current_crl(self) -> bytes:
        """The newest list, or a new one where it is time, on record."""
        der = self.authority.current_crl()
        made = listed(der)
        if made not in self.chain.items("list"):
            with self.ceremony("listing") as held:
                held.items.append(made)
        return der

    def give(self, rights: Iterable[Right], *, officer: str) -> None:
        """Give officers rights from now on; raises ``not-authorised`` or ``duties-not-separate``."""
        self.require_namer(officer)
        wanted = self.rights | frozenset(rights)
        require_apart(wanted, (ROOT_NAME,), before=self.rights)
        with self.ceremony("officers", officer=officer) as held:
            held.rights = wanted

    def withdraw(self, rights: Iterable[Right], *, officer: str) -> None:
        """Take rights away from now on; somebody who may name officers is left.

        Raises :class:`Refusal` ``not-authorised`` or ``last-officer``.
        """
        self.require_namer(officer)
        left = self.rights - frozenset(rights)
        if not any(right[1:] == (RIGHTS.name, ROOT_NAME) for right in left):
            raise Refusal("last-officer", "somebody must be left who may name officers")
        with self.ceremony("officers", officer=officer) as held:
            held.rights = left

    def require_namer(self, officer: str) -> None:
        """Raise :class:`Refusal` ``not-authorised`` unless the officer may name officers."""
        decision = TableAuthoriser(self.rights).decide(officer, RIGHTS.name, ROOT_NAME)
        if isinstance(decision, Refused):
            raise Refusal("not-authorised", decision.because, officer=officer, right=RIGHTS.name)

    def require_recorded(self) -> None:
        """Raise ``ceremony-cut`` or ``register-cut`` unless records and register name the same."""
        left = self._unrecorded()
        if left and not (self.folder / OPEN).exists():
            sentence = "the root's register has a certificate that no record names"
            raise Refusal("ceremony-cut", sentence, certificate=left[0].digest)
        with self.authority.database.reading() as connection:
            found = {one.certificate.id for one in holdings.holdings(connection, self.setting.clock.now())}
        for item in self.chain.items("certificate"):
            if item.digest not in found and item.profile != "root":
                sentence = "the root's register lacks a certificate that a record names"
                raise Refusal("register-cut", sentence, certificate=item.digest)

    def close(self) -> None:
        """Forget the key and give back register and folder."""
        self.authority.close()
        self._key.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _record(self, held: Ceremony) -> None:
        newest = self.chain.newest
        require_apart(held.rights, (ROOT_NAME,), before=newest.rights)
        record = Record(
            number=newest.number + 1,
            previous=newest.digest,
            act=held.act,
            # A clock may be set back, and the chain goes on.
            at=max(self.setting.clock.now(), newest.at),
            community=newest.community,
            root=self.certificate.id,
            rights=held.rights,
            officer=held.officer,
            present=held.present,
            # what an interrupted ceremony certified may be told better by this one
            items=tuple({(item.kind, item.digest): item for item in held.items}.values()),
            software=self.setting.software,
            note=held.note,
        )
        put = put_record(self.folder, record, self.authority.signer)
        self.chain = Chain((*self.chain.records, put))

    def _unrecorded(self) -> list[Item]:
        """What an interrupted ceremony certified and did not record."""
        known = {item.digest for item in self.chain.items("certificate")}
        with self.authority.database.reading() as connection:
            found = list(holdings.holdings(connection, self.setting.clock.now()))
        return [
            replace(certified(one.certificate, one.profile), detail="by a ceremony that was interrupted")
            for one in found
            if one.certificate.id not in known
        ]


@dataclass(frozen=True)
class _Standing:
    """The rights that stand at a root now."""

    root: Root

    def decide(self, subject: str, right: str, context: str) -> Granted | Refused:
        """As the record, or the ceremony that is held, has it."""
        return TableAuthoriser(self.root.rights).decide(subject, right, context)


def _locked(folder: Path) -> int:
    """The folder, held for this process; raises :class:`Refusal` ``root-in-use``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Refusal("root-in-use", "a ceremony is held here already", folder=str(folder)) from error
    return handle
