"""Signatures side by side: good only where all that any of them names are there and good (RFC 5752)."""

from __future__ import annotations

import itertools

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids
from tests.judges.parties import SIGNING, peer
from tests.worlds.crypto import AT, parse, unparse

CONTENT = b"a deed that must hold for fifty years"
PAIR = ("p256", "ml-dsa-65")


def signed_by(*kinds: str, content: bytes = CONTENT, **more) -> bytes:
    signers = [peer(kind, f"notary {place}").signer for place, kind in enumerate(kinds)]
    return cms.sign_parallel(content, more.pop("content_type", oids.DATA), signers, AT, **more)


def verified(octets: bytes, content: bytes | None = None) -> tuple[cms.Signed, ...]:
    signers = cms.read_signers(octets)
    cms.check_parallel(signers, content)
    return signers


def refused(octets: bytes, rule: str, content: bytes | None = None) -> None:
    with pytest.raises(Refusal, match=rule):
        verified(octets, content)


def infos_of(tree: list) -> list:
    """The SignerInfos of a message taken apart."""
    return tree[0][1][1][1][0][1][4][1]


def tidy(tree: list) -> bytes:
    """The message again, its SignerInfos in order and its digests those of its signers."""
    infos = infos_of(tree)
    infos.sort(key=lambda info: unparse([info]))
    digests = {unparse([info[1][2]]) for info in infos}
    tree[0][1][1][1][0][1][1][1] = [parse(one)[0] for one in sorted(digests)]
    return unparse(tree)


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("other", SIGNING)
def test_a_classical_and_any_other_key(other, content_type):
    signers = verified(signed_by("p256", other, content_type=content_type))
    assert {one.signer_certificate for one in signers} == {
        peer("p256", "notary 0").certificate,
        peer(other, "notary 1").certificate,
    }
    assert {(one.content_type, one.content, one.at) for one in signers} == {(content_type, CONTENT, AT)}


def test_three_and_a_detached_content():
    octets = signed_by("ed25519", "ml-dsa-87", "p384", detached=True)
    assert len(verified(octets, CONTENT)) == 3
    refused(octets, "altered-content", CONTENT + b"!")


def test_two_keys_of_one_kind_are_told_apart_by_their_certificates():
    assert len(verified(signed_by("p256", "p256"))) == 2


def test_further_certificates_travel_along():
    other = peer("p384").certificate
    signers = verified(signed_by(*PAIR, certificates=(other,)))
    assert all(other in one.certificates for one in signers)


@pytest.mark.parametrize("gone", range(3))
def test_one_taken_away(gone):
    """Whichever goes, those that stay have named it."""
    tree = parse(signed_by("p256", "ml-dsa-65", "ed25519"))
    del infos_of(tree)[gone]
    refused(tidy(tree), "cms-parallel")


@pytest.mark.parametrize("gone", range(2))
def test_one_of_two_taken_away(gone):
    """What is left is no message of one signer either: neither form of reading takes it."""
    tree = parse(signed_by(*PAIR))
    del infos_of(tree)[gone]
    octets = tidy(tree)
    refused(octets, "cms-parallel")
    with pytest.raises(Refusal, match="cms-parallel"):
        cms.read_signed(octets, cms.FOREIGN)
    with pytest.raises(Refusal, match="cms-signed-attributes"):
        cms.read_signed(octets)


def test_one_put_in_the_place_of_another():
    """A signer's lone signature, or one from beside another, does not fill the gap."""
    lone = cms.sign(CONTENT, oids.DATA, peer("ml-dsa-65", "notary 1").signer, AT)
    elsewhere = cms.sign_parallel(
        CONTENT,
        oids.DATA,
        [peer("p256", "another").signer, peer("ml-dsa-65", "notary 1").signer],
        AT,
    )
    for other in (lone, elsewhere):
        tree = parse(signed_by(*PAIR))
        names = {peer("ml-dsa-65", "notary 1").certificate.issuer_and_serial}
        infos_of(tree)[:] = [
            *(one for one in infos_of(tree) if unparse([one[1][1]]) not in names),
            *(one for one in infos_of(parse(other)) if unparse([one[1][1]]) in names),
        ]
        assert len(infos_of(tree)) == 2
        refused(tidy(tree), "cms-parallel")


def test_one_put_beside_them():
    tree = parse(signed_by(*PAIR))
    infos_of(tree).append(
        infos_of(parse(cms.sign(CONTENT, oids.DATA, peer("p256", "notary 0").signer, AT)))[0]
    )
    refused(tidy(tree), "cms-parallel")


def test_two_that_do_not_name_each_other():
    one, other = (
        cms.sign(CONTENT, oids.DATA, peer(kind, f"notary {n}").signer, AT) for n, kind in enumerate(PAIR)
    )
    tree = parse(one)
    infos_of(tree).append(infos_of(parse(other))[0])
    certificates = {unparse([c]) for t in (tree, parse(other)) for c in t[0][1][1][1][0][1][3][1]}
    tree[0][1][1][1][0][1][3][1] = [parse(c)[0] for c in sorted(certificates)]
    octets = tidy(tree)
    for signed in cms.read_signers(octets):
        cms.check_signature(signed)
    refused(octets, "cms-parallel")


@pytest.mark.parametrize("which", range(2))
def test_one_bad_signature_spoils_all(which):
    tree = parse(signed_by(*PAIR))
    signature = infos_of(tree)[which][1][5]
    signature[1] = signature[1][:-1] + bytes((signature[1][-1] ^ 1,))
    refused(tidy(tree), "bad-signature")


def test_altered_content():
    refused(signed_by(*PAIR).replace(b"fifty", b"three"), "altered-content")


def test_no_octet_is_without_meaning():
    """Each changed octet of the SignerInfos is refused."""
    whole = signed_by("p256", "ed25519")
    begin = len(whole) - len(unparse(infos_of(parse(whole))))
    for place in range(begin, len(whole), 7):
        octets = bytearray(whole)
        octets[place] ^= 0x41
        with pytest.raises(Refusal):
            verified(bytes(octets))


def test_names_out_of_form():
    """A MultipleSignatures with something too many, or of another type, is refused."""
    for damage in (lambda value: value.append([der.NULL, b""]), lambda value: value.pop(0)):
        tree = parse(signed_by(*PAIR))
        info = infos_of(tree)[0][1]
        named = next(a for a in info[3][1] if unparse(a[1][:1]) == der.oid(oids.MULTIPLE_SIGNATURES))
        damage(named[1][1][1][0][1])
        info[3][1].sort(key=lambda a: unparse([a]))
        with pytest.raises(Refusal, match=r"cms-|der-"):
            verified(tidy(tree))


def test_signers_must_differ():
    one, other = (peer("p256", name).signer for name in ("anna", "bert"))
    for wrong in ((), (one,), (one, one), (one, other) * 9):
        with pytest.raises(Misuse, match="cms-parallel"):
            cms.sign_parallel(CONTENT, oids.DATA, wrong, AT)


def test_any_order_of_signers_is_the_same_message():
    """Nothing in these signatures is random, and all sets are in order."""
    signers = [peer("ed25519").signer, peer("ed448").signer, peer("ed25519", "bert").signer]
    made = {cms.sign_parallel(CONTENT, oids.DATA, each, AT) for each in itertools.permutations(signers)}
    assert len(made) == 1


@pytest.mark.tool
def test_openssl_verifies_each(tmp_path):
    """It knows nothing of the attribute, and finds both of its kinds of signature good."""
    from tests.crypto.test_openssl import openssl

    (tmp_path / "m").write_bytes(signed_by("p384", "p521"))
    _certificate, _key, ca = peer("p384", "notary 0").files(tmp_path)
    command = ("cms", "-verify", "-binary", "-inform", "DER", "-in", f"{tmp_path}/m", "-CAfile", ca)
    found = openssl(*command, "-attime", str(int(AT.timestamp())))
    assert found == CONTENT
