"""An escrow with its officers, an owner whose key it keeps, who asks for it and who gets it: all in one process."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.rights import TableAuthoriser
from e2s.base.wire import Document
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import KeyOpener
from e2s.security.ceremonies.ceremony import write_record
from e2s.security.escrow import approving, casefile, cases, deposits, governing, recovering, store, tables
from e2s.security.escrow.policy import Policy, Terms, shipped
from e2s.security.escrow.vault import Vault
from e2s.security.escrow.words import sign_at
from e2s.security.pki.rights import RIGHTS
from tests.worlds.pki import Pki, SetClock

DOMAIN = "authority-ca"
PARTY = "urn:e2s:market:authority"
VAULT = f"{PARTY}:escrow"
PIA, PAUL, RITA, OTTO = (f"{PARTY}:{name}" for name in ("pia", "paul", "rita", "otto"))
LENA, ANNA = f"{PARTY}:lena", "urn:e2s:market:alpha:anna"
HOLDERS = tuple(f"{PARTY}:keeper-{n}" for n in range(1, 9))


class Person:
    """Somebody with a key that signs and one that opens."""

    def sign(self, document: Document) -> bytes:
        return sign_at(document, self.signer)

    def __init__(self, pki: Pki, name: str, kind: str = "officer", suite: str = "p256-sha256") -> None:
        self.name = name
        self.signer: KeySigner = pki.signer(kind, name)
        self.certificate, _, self.key = pki.issue(f"{kind}-agreement", name, suite=suite)
        self.opener = KeyOpener(self.certificate, self.key)


def known(pki: Pki, name: str, kind: str = "officer") -> Person:
    """The one person of this name under a trust centre: making keys anew for each world takes most of its time."""
    people = pki.__dict__.setdefault("people", {})
    if name not in people:
        people[name] = Person(pki, name, kind)
    return people[name]


class World:
    """``keepers`` hold shares; ``rita`` may open cases, ``pia`` and ``paul`` set policy, ``otto`` holds no right."""

    def __init__(
        self, folder: Path, pki: Pki, *, keepers: int = 3, threshold: int = 2, governed: bool = True, **terms
    ) -> None:
        self.folder, self.pki = folder, pki
        self.clock = SetClock(pki.at)
        self.pia, self.paul, self.rita, self.otto = (known(pki, name) for name in (PIA, PAUL, RITA, OTTO))
        self.lena, self.anna = known(pki, LENA, "person"), known(pki, ANNA, "person")
        self.keepers = [known(pki, name) for name in HOLDERS[: keepers + 2]]
        self.signer = pki.signer("component", VAULT)
        self.rights = frozenset(
            {
                (PIA, RIGHTS.policy, DOMAIN),
                (PAUL, RIGHTS.policy, DOMAIN),
                (RITA, RIGHTS.open_case, DOMAIN),
                *((one.name, RIGHTS.recover, DOMAIN) for one in self.keepers),
            }
        )
        self.terms = replace(shipped(), threshold=threshold, persons=threshold + 2, **terms)
        self.vault = self.opened()
        if governed:
            self.govern(self.keepers[:keepers])

    def opened(self) -> Vault:
        return Vault(
            community="market",
            component="escrow",
            domain=DOMAIN,
            signer=self.signer,
            database=Database.open(self.folder / "escrow.sqlite", tables.TABLES),
            trust=self.pki.trust(self.clock),
            authoriser=Rights(self),
            clock=self.clock,
            random=secrets.token_bytes,
            records=self.records,
        )

    def records(self) -> Sequence[bytes]:
        """One record of the root: the rights, as of long ago."""
        signer = self.pki.root_ca.signer
        return [write_record(signer, community="market", rights=self.rights, at=self.pki.at)]

    def reopen(self) -> None:
        self.vault.database.close()
        self.vault = self.opened()

    # -------------------------------------------------------------- policy
    def govern(self, officers: Sequence[Person], terms: Terms | None = None, *, agree: bool = True) -> str:
        """A new policy with these officers."""
        vault = self.vault
        said = governing.policy_document(
            vault,
            PIA,
            terms or self.terms,
            [one.certificate for one in officers],
            party="authority",
            jurisdiction="Utopia",
            location="Alpha, cellar",
        )
        told = governing.take_policy(vault, sign_at(said, self.pia.signer), (self.pki.operating,))
        if agree:
            agreed = governing.agree_document(vault, PAUL, told["policy"])
            governing.take_policy(vault, sign_at(agreed, self.paul.signer))
        return told["policy"]

    @property
    def policy(self) -> Policy:
        with self.vault.database.reading() as connection:
            return self.vault.in_force(connection)

    # -------------------------------------------------------------- cases
    def deposit(self, owner: Person | None = None, **more) -> str:
        owner = owner or self.anna
        return deposits.deposit(self.vault, owner.name, owner.certificate, owner.key, **more)

    def open(self, *ids: str, by: Person | None = None, to: Person | None = None, **given) -> str:
        """Open a case; its short name."""
        return self.said_open(*ids, by=by, to=to, **given)["case"]

    def case_word(self, *ids: str, by: Person | None = None, to: Person | None = None, **given) -> bytes:
        by, to = by or self.rita, to or self.lena
        members = {
            "number": "7 O 12/26",
            "basis": "inquiry",
            "reason": "her mail of May is evidence",
            **given,
        }
        said = cases.case_document(self.vault, by.name, ids or (self.deposit(),), [to.certificate], **members)
        return sign_at(said, by.signer)

    def said_open(self, *ids: str, **given):
        return cases.take(self.vault, self.case_word(*ids, **given))

    def approval(self, case: str, keeper: Person) -> tuple[bytes, list[bytes]]:
        handed = approving.given(self.vault, case, keeper.name)
        said, boxes = approving.approval(self.vault, handed, [keeper.opener], secrets.token_bytes)
        return sign_at(said, keeper.signer), boxes

    def approve(self, case: str, *keepers: Person):
        told = {}
        for keeper in keepers or self.keepers[: self.policy.threshold]:
            told = cases.take(self.vault, *self.approval(case, keeper))
        return told

    def release(self, case: str):
        return cases.release(self.vault, case)

    def recover(self, case: str, to: Person | None = None) -> list[PrivateKey]:
        package = recovering.package(self.vault, case)
        return [one.key for one in recovering.recover(package, (to or self.lena).opener)]

    def receive(self, case: str, to: Person | None = None):
        to = to or self.lena
        return cases.take(self.vault, sign_at(cases.receipt_document(self.vault, to.name, case), to.signer))

    def stop(self, case: str, by: Person, why: str = "I object"):
        return cases.take(self.vault, sign_at(cases.stop_document(self.vault, by.name, case, why), by.signer))

    def released(self, *keepers: Person, **given) -> str:
        """A case from its opening to its release."""
        case = self.open(**given)
        self.approve(case, *keepers)
        self.clock.forward(hours=80)
        self.release(case)
        return case

    # -------------------------------------------------------------- what is seen
    def state(self, case: str) -> str:
        return str(casefile.case_row(self.vault, case).state)

    def deposited(self, certificate: Certificate) -> str:
        """The deposit of this certificate's key."""
        with self.vault.database.reading() as connection:
            row = store.deposit_of(connection, certificate.id)
        assert row is not None
        return str(row.id)

    def events(self) -> list[dict]:
        with self.vault.database.reading() as connection:
            waiting = tables.OUTBOX.waiting(connection, "audit", 100_000)
        return [wire.decode(body) for _, body in waiting]

    def kinds(self) -> list[str]:
        return [event["kind"].removeprefix("escrow.") for event in self.events()]

    def notices(self) -> list[dict]:
        with self.vault.database.reading() as connection:
            return [wire.decode(body) for _, body in tables.OUTBOX.waiting(connection, cases.NOTICE)]


class Rights:
    """The rights as the world has them now."""

    def __init__(self, world: World) -> None:
        self._world = world

    def decide(self, subject: str, right: str, context: str):
        return TableAuthoriser(self._world.rights).decide(subject, right, context)
