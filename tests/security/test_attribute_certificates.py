"""Attributes count for their holder alone, from their giver alone, where and while they are given (RFC 5755)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.verification.attribute_certificates import AttributeCertificate, judge
from tests.security.forge import Node, ca, leaf, root
from tests.worlds.pki import START

DAY = timedelta(days=1)
SHOP = "urn:e2s:market:volt"
ROLE = "urn:e2s:market:role:buyer"
ECDSA = der.sequence(der.oid(oids.ECDSA_SHA256))


def names(*parts):
    return der.sequence(*parts)


def directory(name):
    return der.tlv(0xA4, name)


def uri(text):
    return der.tlv(0x86, text.encode())


def extension(oid, value, *, critical=False):
    return der.sequence(
        der.oid(oid), *([der.tlv(der.BOOLEAN, b"\xff")] if critical else []), der.octet_string(value)
    )


NO_REVOCATION = extension("2.5.29.56", der.tlv(der.NULL, b""))


def targets(*uris, critical=True):
    each = b"".join(der.tlv(0xA0, uri(one)) for one in uris)
    return extension("2.5.29.55", der.sequence(der.tlv(der.SEQUENCE, each)), critical=critical)


def role(text):
    return der.sequence(der.oid("2.5.4.72"), der.tlv(der.SET, der.sequence(der.tlv(0xA1, uri(text)))))


def attributes_of(
    holder,
    giver,
    *,
    by_name=False,
    extensions=(NO_REVOCATION,),
    attributes=None,
    since=START - DAY,
    until=START + DAY,
    serial=7,
    algorithm=ECDSA,
    inside=ECDSA,
    version=1,
    issuer=None,
    holder_der=None,
):
    slices = holder.certificate.slices
    if by_name:
        held = der.sequence(der.tlv(0xA1, directory(slices.subject)))
    else:
        held = der.sequence(der.tlv(0xA0, names(directory(slices.issuer)) + slices.serial))
    info = der.sequence(
        der.integer(version),
        holder_der or held,
        der.tlv(0xA0, issuer or names(directory(giver.certificate.slices.subject))),
        inside,
        der.integer(serial),
        der.sequence(der.generalized_time(since), der.generalized_time(until)),
        der.sequence(*([role(ROLE)] if attributes is None else attributes)),
        *([der.sequence(*extensions)] if extensions else []),
    )
    signature = giver.key.sign(info, ec.ECDSA(hashes.SHA256()))
    return der.sequence(info, algorithm, der.tlv(der.BIT_STRING, b"\0" + signature))


@pytest.fixture(scope="module")
def world():
    top = root()
    middle = ca(top)
    return leaf(middle), Node("attributes", issuer=middle), leaf(middle, unit="other")


def judged(octets, holder, giver, *, at=START, target=SHOP, **more):
    return judge(
        AttributeCertificate.read(octets), holder.certificate, giver.certificate, at=at, target=target, **more
    )


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    "extensions", [(NO_REVOCATION,), (targets(SHOP, "urn:e2s:market:zest"), NO_REVOCATION)]
)
def test_given(world, by_name, extensions):
    holder, giver, _ = world
    found = judged(attributes_of(holder, giver, by_name=by_name, extensions=extensions), holder, giver)
    assert found.roles == (ROLE,)


def test_withdrawn(world):
    holder, giver, _ = world
    octets = attributes_of(holder, giver, extensions=())
    assert judged(octets, holder, giver, revoked=[8]).serial == 7
    for revoked, rule in (([7], "revoked"), (None, "revocation-unknown")):
        with pytest.raises(Refusal, match=rule):
            judged(octets, holder, giver, revoked=revoked)


def test_another_holder_or_giver(world):
    holder, giver, other = world
    good = attributes_of(holder, giver)
    impostor = Node("attributes", issuer=giver.issuer)
    for of, by, rule in (
        (other, giver, "wrong-holder"),
        (giver, giver, "wrong-holder"),
        (holder, other, "wrong-giver"),
        (holder, giver.issuer, "wrong-giver"),
        (holder, impostor, "bad-signature"),
    ):
        with pytest.raises(Refusal, match=rule):
            judged(good, of, by)
    with pytest.raises(Refusal, match="wrong-holder"):
        judged(attributes_of(holder, giver, holder_der=der.sequence()), holder, giver)


def test_when_and_where(world):
    holder, giver, _ = world
    octets = attributes_of(holder, giver, extensions=(targets("urn:e2s:market:zest"), NO_REVOCATION))
    for words, rule in (
        ({"at": START - 2 * DAY}, "not-yet-valid"),
        ({"at": START + 2 * DAY}, "expired"),
        ({}, "wrong-target"),
    ):
        with pytest.raises(Refusal, match=rule):
            judged(octets, holder, giver, **words)
    with pytest.raises(Refusal, match="wrong-target"):
        judged(attributes_of(holder, giver, extensions=(targets(), NO_REVOCATION)), holder, giver)


def test_forms_that_are_refused(world):
    holder, giver, _ = world
    sha384 = der.sequence(der.oid(oids.ECDSA_SHA384))
    for words in (
        {"version": 0},
        {"inside": sha384},
        {"extensions": (extension("1.2.3", b"", critical=True),)},
        {"extensions": (NO_REVOCATION, NO_REVOCATION)},
        {"attributes": [role(ROLE), role(ROLE)]},
        {"issuer": names(uri("urn:e2s:market:volt"))},
        {"issuer": names()},
        {"holder_der": der.sequence(der.tlv(0xA2, b""))},
    ):
        with pytest.raises(Refusal, match="bad-attribute-certificate"):
            AttributeCertificate.read(attributes_of(holder, giver, **words))


@given(place=st.integers(0, 2**16), change=st.integers(1, 255))
def test_every_octet_counts(world, place, change):
    holder, giver, _ = world
    octets = bytearray(attributes_of(holder, giver))
    octets[place % len(octets)] ^= change
    with pytest.raises(Refusal):
        judged(bytes(octets), holder, giver)


@given(st.binary(max_size=300))
def test_garbage(octets):
    with pytest.raises(Refusal, match="bad-attribute-certificate"):
        AttributeCertificate.read(octets)
