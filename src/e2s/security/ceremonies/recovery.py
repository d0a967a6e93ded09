"""When a CA or the root is lost, everything valid is certified again for the same keys.

A plan is data, on disk before the first step: what is to be certified again, in order.  Each step is an
order with an approval of its own, which leads to one certificate however often it is carried out; so whoever
was killed begins again, and nothing is done twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from e2s.base.database import Database
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.profiles import NO_LIMITS, Limits, profile
from e2s.security.keys.durable import replace_file
from e2s.security.pki import holdings, store
from e2s.security.pki.ca import Authority
from e2s.security.pki.holdings import Holding
from e2s.security.pki.orders import Order
from e2s.security.verification.traits import traits

#: How many are certified in one group.
GROUP: Final = 250
_LEVELS: Mapping[str, str] = {oid: level for level, oid in oids.CONFIDENCE.items()}

_FORMS: Final[Mapping[type, str]] = {
    x509.DNSName: "dns",
    x509.RFC822Name: "mail",
    x509.UniformResourceIdentifier: "uri",
    x509.IPAddress: "ip",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of a plan; ``state`` is good or held."""

    serial: str
    profile: str
    name: str
    state: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an entry: the new serial, or the rule and sentence that stood against it."""

    old: str
    profile: str
    name: str
    new: str = ""
    rule: str = ""
    message: str = ""


@dataclass(frozen=True)
class Plan:
    """A plan in a file, one entry a line; ``case`` names it."""

    path: Path
    case: str

    @classmethod
    def make(cls, path: Path, case: str, database: Database, at: datetime) -> Plan:
        """The plan at ``path``, made of what ``database`` has that is valid unless it is there already."""
        if not path.exists():
            with database.reading() as connection:
                _write(path, (_entry(one) for one in holdings.valid(connection, at)))
        return cls(path, case)

    def __len__(self) -> int:
        """How many entries it has."""
        with self.path.open("rb") as file:
            return sum(1 for _ in file)

    def __iter__(self) -> Iterator[Entry]:
        """The entries in order; raises :class:`Refusal` ``bad-plan``."""
        with self.path.open("rb") as file:
            for line in file:
                try:
                    yield msgspec.json.decode(line, type=Entry)
                except msgspec.DecodeError as error:
                    raise Refusal("bad-plan", "the plan was altered", path=str(self.path)) from error

    def approval(self, entry: Entry) -> bytes:
        """What an entry's order follows from."""
        return sha256(f"{self.case}\n{entry.serial}".encode()).digest()


def carry_out(
    plan: Plan, source: Database, authority: Authority, *, officer: str, tell: Callable[[int, int], None]
) -> list[Outcome]:
    """Certify every entry's key again by ``authority``; ``source`` has the old certificates.

    ``tell`` hears how many of how many are done.  What one entry is refused for does not stop the others.
    """
    whole = len(plan)
    outcomes: list[Outcome] = []
    entries, found = iter(plan), store.finder()
    while group := list(islice(entries, GROUP)):
        with source.reading() as connection:
            at = authority.clock.now()
            olds = [holdings.of_serial(connection, int(one.serial, 16), at, found) for one in group]
        outcomes += _group(plan, group, olds, authority, officer)
        tell(len(outcomes), whole)
    return outcomes


def write_report(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Put what became of each entry at ``path``, one a line, durably."""
    replace_file(path, b"".join(msgspec.json.encode(one) + b"\n" for one in outcomes), 0o644)


def order_again(
    old: Holding, *, officer: str, not_after: datetime | None = None, approval: bytes = b"", case: str = ""
) -> Order:
    """What certifies the key of ``old`` again as it was; as long as its profile says, or ``not_after``."""
    certificate = old.certificate
    return Order(
        profile=old.profile,
        key=certificate.public_key,
        names=names_of(certificate),
        officer=officer,
        pan_commit=_pan_commit(certificate),
        not_after=not_after,
        subject=certificate.x509.subject,
        confidence=confidence_of(certificate) if profile(old.profile).confidence else None,
        approval=approval,
        case=case,
        limits=limits_of(certificate) if profile(old.profile).is_ca else NO_LIMITS,
    )


def again(
    authority: Authority, old: Holding, *, officer: str, not_after: datetime | None = None
) -> Certificate:
    """Certify the key of ``old`` again by ``authority``: same names, subject, profile and confidence."""
    (made,) = authority.issue_all((order_again(old, officer=officer, not_after=not_after),))
    if isinstance(made, Certificate):
        return made
    raise made


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """The names in the certificate, as an order gives them and in their order."""
    alternative = certificate.values.get(x509.SubjectAlternativeName, ())
    return tuple(str(name.value) for name in alternative)


def limits_of(certificate: Certificate) -> Limits:
    """What confines a CA beyond what its profile says of all: mappings, subtrees that an order can name."""
    constraints = certificate.values.get(x509.NameConstraints)
    length = certificate.values[x509.BasicConstraints].path_length
    return Limits(
        path_length=length,
        mappings=tuple(sorted(traits(certificate).mappings)),
        permitted=_subtrees(constraints.permitted_subtrees if constraints else None),
        excluded=_subtrees(constraints.excluded_subtrees if constraints else None),
    )


def _subtrees(names: Iterable[x509.GeneralName] | None) -> tuple[str, ...]:
    """Subtrees as orders write them; a confined CA's own party follows from its profile."""
    return tuple(f"{_FORMS[type(one)]}:{one.value}" for one in names or () if type(one) in _FORMS)


def confidence_of(certificate: Certificate) -> str | None:
    """The level of confidence that the certificate states, the highest if it states several."""
    policies = certificate.values.get(x509.CertificatePolicies, ())
    stated = {_LEVELS.get(one.policy_identifier.dotted_string) for one in policies}
    return next((level for level in ("high", "substantial", "low") if level in stated), None)


def _entry(one: Holding) -> Entry:
    return Entry(serial=f"{one.serial:x}", profile=one.profile, name=one.name, state=one.state)


def _write(path: Path, entries: Iterable[Entry]) -> None:
    """The plan in its place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        for entry in entries:
            file.write(msgspec.json.encode(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _group(
    plan: Plan, group: list[Entry], olds: list[Holding | None], authority: Authority, officer: str
) -> list[Outcome]:
    """Certify a group again, in two commits; what was held is held again."""
    orders = [_order(plan, entry, old, officer) for entry, old in zip(group, olds, strict=True)]
    wanted = [one for one in orders if isinstance(one, Order)]
    made = iter(authority.issue_all(wanted))
    outcomes = []
    for entry, order in zip(group, orders, strict=True):
        result = next(made) if isinstance(order, Order) else order
        if isinstance(result, Certificate) and entry.state == "held":
            authority.hold(result.serial, officer=officer)
        outcomes.append(_outcome(entry, result))
    return outcomes


def _order(plan: Plan, entry: Entry, found: Holding | None, officer: str) -> Order | E2SError:
    if found is None:
        return Misuse("no-such-certificate", "the register lacks a certificate of the plan")
    if found.state == "expired":
        return Refusal("expired", "it has expired meanwhile")
    if found.state == "revoked":
        return Refusal("revoked", "it was revoked meanwhile")
    return order_again(
        found,
        officer=officer,
        not_after=found.certificate.not_after,
        approval=plan.approval(entry),
        case=plan.case,
    )


def _outcome(entry: Entry, result: Certificate | E2SError) -> Outcome:
    told = {"old": entry.serial, "profile": entry.profile, "name": entry.name}
    if isinstance(result, Certificate):
        return Outcome(**told, new=f"{result.serial:x}")
    return Outcome(**told, rule=result.rule, message=result.message)


def _pan_commit(certificate: Certificate) -> bytes | None:
    """The commitment to a card number, of a card-holder's certificate."""
    for extension in certificate.values.get(x509.UnrecognizedExtension, ()):
        if extension.oid.dotted_string == oids.PAN_COMMIT:
            return bytes(extension.value[2:])
    return None
