"""Checks 7 to 15: each signature is its signer's, each signer was certified for the role, each stamp is good.

A time stamp dates the act whose signature value it is over, and every act inside that one.  A path is judged
at the proven time; where the time is only claimed, a later revocation takes the claim away.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Final

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant
from e2s.commerce.bankcard.exhibits import Exhibit, Exhibits
from e2s.crypto import oids
from e2s.crypto.acts import check_act_signature
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms import check_signature
from e2s.crypto.stamps import Stamp, read_token
from e2s.crypto.suites import CHOSEN, signature_suite_of
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.verifier import Verifier

_SIGNATURE: Final = {
    "altered-content": 7,
    "bad-signature": 7,
    "wrong-certificate": 8,
    "algorithm-substituted": 9,
    "suite-unknown": 9,
}
_PURPOSE: Final = {"wrong-purpose": 11, "wrong-name": 11, "revoked": 12, "revocation-unknown": 12}
_EXPECTED: Final = {
    7: "a signature over exactly this content",
    8: "the certificate that the signature names",
    9: "the algorithms that the signer named",
    10: "a path to a given root, valid at {at}",
    11: "a certificate for the role {role}",
    12: "fresh revocation data that does not revoke it at {at}",
    13: "an authority's good time stamp",
}
_URN = "urn:e2s:"


def check_signatures(exhibits: Exhibits) -> None:
    """Checks 7 to 9 on every act; a bad one is no longer good for anything."""
    used: set[str] = set()
    for exhibit in exhibits.acts.values():
        _try(exhibits, exhibit)
        try:
            suite = signature_suite_of(exhibit.act.certificate.public_key).name
        except Refusal:
            continue
        used.add(suite)
        if suite not in CHOSEN["signature"]:
            exhibits.fail(9, exhibit.place, "a permitted suite", suite)
    exhibits.compare(9, "manifest.json suites", " ".join(sorted(used)), " ".join(exhibits.bundle.suites))


def _try(exhibits: Exhibits, exhibit: Exhibit) -> None:
    try:
        check_act_signature(exhibit.act)
    except Refusal as refusal:
        number = _SIGNATURE.get(refusal.rule, 7)
        exhibits.fail(number, exhibit.place, _EXPECTED[number], f"{refusal.rule}: {refusal.message}")
        exhibit.good = False


def check_stamps(exhibits: Exhibits, verifier: Verifier, at: datetime | None) -> None:
    """Checks 13 to 15, and the dating of every act that a good stamp covers."""
    for name, octets in exhibits.bundle.of("stamp"):
        try:
            stamp = read_token(octets)
            check_signature(stamp.signed)
        except Refusal as refusal:
            exhibits.fail(13, name, _EXPECTED[13], f"{refusal.rule}: {refusal.message}")
            continue
        if _authority(exhibits, verifier, name, stamp) and _over(exhibits, name, stamp):
            _date(exhibits, name, stamp, at)


def _authority(exhibits: Exhibits, verifier: Verifier, name: str, stamp: Stamp) -> bool:
    """The stamp's signer is a time-stamp authority, certified and not revoked then."""
    verdict = verifier.judge(
        stamp.signed.signer_certificate,
        _untrusted(exhibits, stamp.signed.certificates),
        exhibits.crls,
        at=stamp.at,
        purpose=oids.EKU_TIME_STAMPING,
        name=None,
        later=True,
    )
    if not verdict.accepted:
        exhibits.fail(13, name, _EXPECTED[13], f"{verdict.rule}: {verdict.reason}")
    return verdict.accepted


def _over(exhibits: Exhibits, name: str, stamp: Stamp) -> bool:
    """The stamp is over the signature value of the act that its file names."""
    id_ = "sha-256:" + name.rpartition("/")[2].removesuffix(".tst")
    copies = exhibits.by_id(id_)
    if not copies:
        exhibits.fail(14, name, "a time stamp of an act in the bundle", f"no act {id_}")
        return False
    if not any(sha256(one.act.signature).digest() == stamp.imprint for one in copies):
        exhibits.fail(14, name, f"the digest of the signature of {copies[0].place}", stamp.imprint.hex())
        return False
    return True


def _date(exhibits: Exhibits, name: str, stamp: Stamp, at: datetime | None) -> None:
    """Check 15, then date the act and all inside it; two honest clocks may be twice the clock error apart."""
    id_ = "sha-256:" + name.rpartition("/")[2].removesuffix(".tst")
    for exhibit in exhibits.by_id(id_):
        if sha256(exhibit.act.signature).digest() != stamp.imprint or not exhibit.good:
            continue
        if stamp.at < exhibit.act.at - 2 * DELTA:
            earliest = format_instant(exhibit.act.at - 2 * DELTA)
            exhibits.fail(15, name, f"not before {earliest}", stamp.at)
            continue
        if at is not None and stamp.at > at + DELTA:
            exhibits.fail(15, name, f"not after {format_instant(at)}", stamp.at)
            continue
        for one in _inside(exhibit):
            if one.act.at > stamp.at + 2 * DELTA:
                expected = f"made before its stamp at {format_instant(stamp.at)}"
                exhibits.fail(15, one.place, expected, one.act.at)
            elif not one.dated_by or stamp.at < one.at:
                one.at, one.dated_by = stamp.at, id_


def _inside(exhibit: Exhibit) -> Iterator[Exhibit]:
    yield exhibit
    for one in exhibit.inner:
        yield from _inside(one)


def check_paths(exhibits: Exhibits, verifier: Verifier, at: datetime | None) -> None:
    """Checks 10 to 12 on every signer, at the proven time or at the claimed one."""
    indexes = _indexes(exhibits)
    for exhibit in exhibits.acts.values():
        certificate, role = exhibit.act.certificate, exhibit.part.role
        if at is not None and not exhibit.dated_by and exhibit.act.at > at + DELTA:
            exhibits.fail(15, exhibit.place, f"not after {format_instant(at)}", exhibit.act.at)
        verdict = verifier.judge(
            certificate,
            _untrusted(exhibits, exhibit.act.certificates),
            exhibits.crls,
            at=exhibit.at,
            purpose=oids.SIGNING[role],
            name=None,
            later=True,
        )
        if not verdict.accepted:
            number = _PURPOSE.get(verdict.rule, 10)
            expected = _EXPECTED[number].format(at=format_instant(exhibit.at), role=role)
            who = verdict.culprit.name or verdict.culprit.subject if verdict.culprit else ""
            exhibits.fail(number, exhibit.place, expected, f"{verdict.rule}: {who}: {verdict.reason}")
            exhibit.good = False
        elif not exhibit.dated_by:
            _later(exhibits, exhibit, verdict.path, indexes)
        _named(exhibits, exhibit)


def _later(
    exhibits: Exhibits, exhibit: Exhibit, path: tuple[Certificate, ...], indexes: list[CrlIndex]
) -> None:
    """Check 12: a claimed time does not stand against a revocation, whenever that was."""
    for certificate, issuer in pairwise(path):
        for crl in indexes:
            since = crl.revoked.get(certificate.serial) if crl.readable else None
            if since is not None and crl.names(issuer) and crl.signed_by(issuer):
                expected = "a time stamp from before the revocation"
                found = f"time claimed only; revoked since {format_instant(since.at)}"
                exhibits.fail(12, exhibit.place, expected, found)
                exhibit.good = False
                return


def _named(exhibits: Exhibits, exhibit: Exhibit) -> None:
    """Check 11: the names have the form of the role: parties, or persons of a party."""
    names = exhibit.act.certificate.names
    parties = [name for name in names if name.startswith(_URN)]
    if not parties or names[0] != parties[0]:
        exhibit.good = False
        exhibits.fail(11, exhibit.place, "the URN of a party or person", " ".join(names) or "no name")
    elif exhibit.part.role in {"buyer", "manager"} and not (
        len(parties) > 1 and parties[0].startswith(parties[1] + ":")
    ):
        exhibit.good = False
        exhibits.fail(11, exhibit.place, "a person and the organisation", " ".join(names))


def _untrusted(exhibits: Exhibits, inside: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    return tuple(dict.fromkeys((*inside, *exhibits.certificates)))


def _indexes(exhibits: Exhibits) -> list[CrlIndex]:
    """The CRLs that can be read; check 12 notes the others."""
    found: list[CrlIndex] = []
    for name, octets in exhibits.bundle.of("crl"):
        try:
            found.append(CrlIndex.read(octets))
        except Refusal as refusal:
            exhibits.fail(12, name, "a certificate revocation list", refusal.message)
    return found


def excess(exhibit: Exhibit) -> timedelta:
    """How much later than claimed the act is proven (reported under check 15)."""
    return max(exhibit.at - exhibit.act.at, timedelta(0))
