"""A CA that stands alone opens its doors: enrolment, and what it serves to everybody, in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

from e2s.base.http import Request, Response
from e2s.community.authority import ROOT_LIST, OwnLists
from e2s.community.doors import Doors
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PublicKey
from e2s.security.ceremonies.folder import Setting
from e2s.security.ceremonies.serving import Serving
from e2s.security.ceremonies.standalone import Look, open_ca
from e2s.security.enrolment.asking import Issued
from e2s.security.enrolment.certifying import OwnCa
from e2s.security.enrolment.desk import EnrolmentDesk
from e2s.security.enrolment.home import open_office, storage_of
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.keys.deposit import Deposit
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import store
from e2s.security.pki.ca import Authority
from e2s.security.pki.queue import IssueQueue
from e2s.security.registration.home import RecordedOfficers
from e2s.security.verification.trust import Trust
from e2s.security.verification.verifier import Verifier

_SUITE: Final = "p256-sha256"
_PROFILE: Final = "component"
#: Processes for each key whose work would hold up the other doors.
_WORKERS: Final = 1
#: In the CA's folder: whom a TLS client's certificate may come from.
CLIENTS: Final = "enrolment-clients.pem"


class StandingDoors:
    """The doors of an open CA; :meth:`opened` opens and closes it."""

    def __init__(
        self,
        seen: Look,
        authority: Authority,
        queue: IssueQueue,
        *,
        setting: Setting,
        officer: str,
        storage: bytes,
    ) -> None:
        """``officer`` orders what no invitation covers, and certifies the doors' own keys."""
        self._seen, self._authority, self._setting, self._officer = seen, authority, setting, officer
        self._storage = storage
        self._lists = OwnLists(authority, seen.folder / ROOT_LIST)
        self._office = open_office(
            seen,
            setting=setting,
            officer=officer,
            ca=OwnCa(authority, queue.issue_ders),
            trust=Trust(Verifier((seen.root,)), self._lists),
            storage=storage,
        )
        self.desk = EnrolmentDesk(self._office)
        self._serving = Serving(seen, authority, officer=officer, setting=setting)
        self._doors: Doors | None = None

    @classmethod
    @contextmanager
    def opened(cls, seen: Look, phrase: Phrase, *, setting: Setting, officer: str) -> Iterator[Self]:
        """The CA's doors, its key open within the block."""
        storage = storage_of(seen.folder, phrase, setting)
        authority = open_ca(seen, phrase, setting=setting)
        # a ceremony may be held meanwhile: its record counts as soon as it is in the folder
        ruler = seen.own if authority.profile.confined else seen.root
        authority.authoriser = RecordedOfficers(seen.folder, ruler)
        try:
            with IssueQueue(authority) as queue:
                made = cls(seen, authority, queue, setting=setting, officer=officer, storage=storage)
                try:
                    yield made
                finally:
                    made.close()
        finally:
            authority.close()

    def open_doors(
        self, origin: str, names: Sequence[str] | None = None, *, deposit: Deposit | None = None
    ) -> None:
        """Make the doors called ``names``, or all; ``origin`` is how they are reached.

        ``deposit``: where keys go that doors make for others, before they are released.
        """
        setting, office = self._setting, self._office
        self._doors = Doors(
            self.desk,
            DoorSetting(
                clock=setting.clock,
                random=setting.random,
                folder=self._seen.folder,
                origin=origin,
                component=office.component,
                name=self._name,
                policy=office.policy,
                storage=self._storage,
                signer=self._signer(),
                certify=self._certify,
                certificate=self._certificate,
                crls=self._lists.crls,
                workers=_WORKERS,
                deposit=deposit,
            ),
            names,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Which doors are open."""
        return () if self._doors is None else tuple(self._doors.doors)

    def handle(self, request: Request) -> Response:
        """One request of anyone."""
        if self._doors is not None and self._doors.leads(request.path):
            return self._doors(request)
        return self._serving.handle(request)

    def quick(self, request: Request) -> bool:
        """Whether it is answered at once."""
        if self._doors is not None and self._doors.leads(request.path):
            return self._doors.quick(request)
        return self._serving.quick(request)

    def tick(self) -> None:
        """Finish what was left, and keep all that is served up to date; what fails holds up nothing else."""
        now = self._setting.clock.now()
        with ExitStack() as stack:
            stack.callback(self.desk.tick, now)
            if self._doors is not None:
                stack.callback(self._doors.tick, now)
            stack.callback(self._serving.tick)

    def anchors_file(self) -> Path:
        """A file of those whose certificates a TLS client may show."""
        path = self._seen.folder / CLIENTS
        replace_file(path, b"".join(one.pem for one in (self._seen.root, *self._seen.issuers)), 0o644)
        return path

    def close(self) -> None:
        """Give back what the doors hold; the CA is closed by who opened it."""
        if self._doors is not None:
            self._doors.close()
        self._serving.close()
        self._office.database.close()

    @property
    def _name(self) -> str:
        return f"{self._seen.own.name}:enrolment"

    def _signer(self) -> KeySigner | None:
        """A key of this process's own, to sign answers with; none where the CA certifies no components."""
        if _PROFILE not in self._authority.profile.issues:
            return None
        key = generate(_SUITE, self._setting.random)
        certificate = self._authority.issue(_PROFILE, key.public_key(), (self._name,), officer=self._officer)
        return KeySigner(certificate, self._seen.issuers, key)

    def _certify(self, profile: str, names: tuple[str, ...], key: PublicKey) -> Issued:
        """Certify a door's own key, under the component's own names."""
        made = self._authority.issue(profile, key, names or (self._name,), officer=self._officer)
        return Issued(certificate=made.der, chain=tuple(one.der for one in self._seen.issuers))

    def _certificate(self, serial: int) -> bytes | None:
        with self._authority.database.reading() as connection:
            row = store.by_serial(connection, self._authority.finder, serial)
        return None if row is None else row.der
