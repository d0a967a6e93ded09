"""An OCSP answer counts when the issuer, or whom it delegated, gave it of this very certificate, freshly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.security.verification.ocsp import Answer
from e2s.security.verification.verifier import Verifier
from tests.security.forge import MERCHANT, NAME, Node, ca, leaf, root
from tests.worlds.pki import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GOOD, REVOKED, UNKNOWN = (getattr(ocsp.OCSPCertStatus, one) for one in ("GOOD", "REVOKED", "UNKNOWN"))


def answer(
    of,
    issuer,
    *,
    status=GOOD,
    by=None,
    at=START,
    until=START + HOUR,
    since=None,
    hashing=None,
    by_key=True,
    inside=True,
    reason=None,
):
    by = by or issuer
    revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=of.certificate.x509,
        issuer=issuer.certificate.x509,
        algorithm=hashing or hashes.SHA256(),
        cert_status=status,
        this_update=at,
        next_update=until,
        revocation_time=(since or START - HOUR) if revoked else None,
        revocation_reason=reason,
    )
    how = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(how, by.certificate.x509)
    if inside:
        builder = builder.certificates([by.certificate.x509])
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def world():
    top = root()
    middle = ca(top)
    return top, middle, leaf(middle)


def judged(world, answers, crls=None, at=START):
    top, middle, end = world
    lists = [top.crl()] if crls is None else crls
    return Verifier([top.certificate]).judge(
        end.certificate, [middle.certificate], lists, at=at, purpose=MERCHANT, name=NAME, ocsp=answers
    )


def responder(issuer, **more):
    given = {"ekus": (oids.EKU_OCSP,), "extra": ((x509.OCSPNoCheck(), False),)} | more
    return Node("responder", issuer=issuer, **given)


@pytest.mark.parametrize("by_key", [True, False])
@pytest.mark.parametrize("hashing", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_the_issuer_answers(world, hashing, by_key):
    _, middle, end = world
    assert judged(world, [answer(end, middle, hashing=hashing, by_key=by_key)]).accepted
    assert judged(world, []).rule == "revocation-unknown"


def test_a_delegate_answers(world):
    _, middle, end = world
    assert judged(world, [answer(end, middle, by=responder(middle))]).accepted


def test_a_delegate_that_must_be_checked(world):
    top, middle, end = world
    checked = responder(middle, extra=())
    said = answer(end, middle, by=checked)
    assert judged(world, [said]).rule == "revocation-unknown"
    # a list that revokes the delegate knows the end's status itself
    assert judged(world, [said], [top.crl(), middle.crl((checked, START - HOUR))]).accepted
    assert judged(world, [said], [top.crl()]).rule == "revocation-unknown"


def test_answers_that_do_not_count(world):
    top, middle, end = world
    other = leaf(middle, "other")
    stranger, impostor = root(), ca(root())
    for said in (
        answer(other, middle),
        answer(end, middle, at=START - DAY, until=START - HOUR),
        answer(end, middle, at=START + DAY, until=START + 2 * DAY),
        answer(end, middle, status=UNKNOWN),
        answer(end, impostor, by_key=False),
        answer(end, middle, by=impostor, by_key=False),
        answer(end, stranger),
        answer(end, middle, by=top),
        answer(end, middle, by=other),
        answer(end, middle, by=responder(top)),
        answer(end, middle, by=responder(middle, ekus=(oids.EKU_SERVER,))),
        answer(end, middle, by=responder(middle, usage="agree")),
        answer(end, middle, by=responder(middle, sign_as=stranger)),
        answer(end, middle, by=responder(middle, not_before=START - 2 * DAY, not_after=START - DAY)),
        answer(end, middle, by=responder(middle), inside=False),
        answer(end, middle)[:-1],
        answer(end, middle, hashing=hashes.SHA224()),
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            Encoding.DER
        ),
        b"garbage",
    ):
        assert judged(world, [said]).rule == "revocation-unknown"


def test_revoked_wins_over_good(world):
    top, middle, end = world
    good, bad = (
        answer(end, middle),
        answer(end, middle, status=REVOKED, reason=x509.ReasonFlags.key_compromise),
    )
    both = [top.crl(), middle.crl()]
    for answers, lists in (([bad], None), ([good, bad], None), ([bad], both), ([bad, good], both)):
        assert judged(world, answers, lists).rule == "revoked"
    assert judged(world, [good], [top.crl(), middle.crl((end, START - HOUR))]).rule == "revoked"


def test_a_revocation_counts_from_its_instant_and_for_ever(world):
    top, middle, end = world
    later = answer(end, middle, status=REVOKED, since=START + HOUR, until=START + DAY)
    assert judged(world, [later], [top.crl(), middle.crl()]).accepted
    old = answer(end, middle, status=REVOKED, at=START - DAY, until=START - HOUR, since=START - 2 * DAY)
    assert judged(world, [old], [top.crl(), middle.crl()]).rule == "revoked"
    held = answer(
        end,
        middle,
        status=REVOKED,
        at=START - DAY,
        until=START - HOUR,
        since=START - 2 * DAY,
        reason=x509.ReasonFlags.certificate_hold,
    )
    assert judged(world, [held], [top.crl(), middle.crl()]).accepted


@given(st.binary(max_size=300))
def test_garbage(octets):
    with pytest.raises(Refusal, match="bad-ocsp"):
        Answer.read(octets)


def test_too_large():
    with pytest.raises(Refusal, match="bad-ocsp"):
        Answer.read(bytes(300_000))
