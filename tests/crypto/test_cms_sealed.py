"""Envelopes: who is named opens them; nobody else, and no altered one, whatever was altered."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.openers import KeyOpener
from tests.worlds.crypto import KINDS, new_party, parse, party, unparse

CONTENT = b"the card's number is nobody's business"
EVERYONE = [party(kind).certificate for kind in KINDS]


def sealed(*kinds: str, content_type=oids.ACT, content=CONTENT) -> bytes:
    recipients = [party(kind).certificate for kind in kinds or ("p256",)]
    return cms.seal(content, content_type, recipients, secrets.token_bytes)


def rule_of(octets: bytes, kind="p256", **more) -> str:
    with pytest.raises(Refusal) as caught:
        cms.open_sealed(octets, party(kind).opener, **more)
    return caught.value.rule


class Tree:
    """An envelope's parts as lists, to alter and write again."""

    def __init__(self, octets: bytes) -> None:
        self.root = parse(octets)
        self.data = self.root[0][1][1][1][0][1]
        self.recipients = self.data[1][1]
        self.content = self.data[2][1]

    @property
    def octets(self) -> bytes:
        return unparse(self.root)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content_type", [oids.ACT, oids.DATA])
def test_every_recipient_opens(kind, content_type):
    octets = sealed(*KINDS, content_type=content_type)
    with meter.measured() as spent:
        assert cms.open_sealed(octets, party(kind).opener) == (content_type, CONTENT)
    assert spent == {"agree": 1}
    assert Tree(octets).octets == octets


def test_sealing_counts_each_recipient_once():
    with meter.measured() as spent:
        sealed(*KINDS)
    assert spent == {"agree": 3}


@given(content=st.binary(max_size=2000))
@settings(max_examples=30)
def test_any_content_round_trips(content):
    assert cms.open_sealed(sealed(content=content), party("p256").opener)[1] == content
    octets = cms.seal_legacy(content, oids.DATA, EVERYONE, secrets.token_bytes)
    assert cms.open_sealed(octets, party("p384").opener, allow_legacy=True) == (oids.DATA, content)


@pytest.mark.parametrize("kind", KINDS)
def test_older_envelopes_open_only_when_allowed(kind):
    octets = cms.seal_legacy(CONTENT, oids.DATA, EVERYONE, secrets.token_bytes)
    assert cms.open_sealed(octets, party(kind).opener, allow_legacy=True) == (oids.DATA, CONTENT)
    assert rule_of(octets, kind) == "cms-content-info"
    assert not cms.is_authenticated(octets)
    assert cms.is_authenticated(sealed())


def test_recipients_of_one_curve_share_one_ephemeral_key():
    keys = [new_party(f"r{n}") for n in range(20)]
    octets = cms.seal(CONTENT, oids.ACT, [one.certificate for one in keys], secrets.token_bytes)
    assert len(Tree(octets).recipients) == 1
    assert len(octets) < 20 * 80 + 500
    for one in keys:
        assert cms.open_sealed(octets, one.opener) == (oids.ACT, CONTENT)


def test_recipients_without_key_identifier():
    one = new_party("plain", key_id=False)
    octets = cms.seal(CONTENT, oids.ACT, [one.certificate, party("p256").certificate], secrets.token_bytes)
    assert cms.open_sealed(octets, one.opener) == (oids.ACT, CONTENT)


def test_randomness_is_the_callers():
    def steady(size: int) -> bytes:
        return bytes(range(1, size + 1))

    first, second = (cms.seal(CONTENT, oids.ACT, EVERYONE[:2], steady) for _ in range(2))
    assert first == second


def test_not_for_me():
    assert rule_of(sealed("p384")) == "not-for-me"


def test_recipients_are_distinct_and_some():
    for wrong in ([], [EVERYONE[0]] * 2, EVERYONE * 400):
        with pytest.raises(Misuse):
            cms.seal(CONTENT, oids.ACT, wrong, secrets.token_bytes)


def test_another_key_under_my_identifier():
    """An envelope that names me but was sealed to another key fails like any other."""
    mine, other = party("p256"), new_party("mallory")
    tree = Tree(cms.seal(CONTENT, oids.ACT, [other.certificate], secrets.token_bytes))
    named = tree.recipients[0][1][-1][1][0][1][0]
    named[1][0][1] = mine.certificate.key_id
    assert rule_of(tree.octets) == "bad-envelope"


@pytest.mark.parametrize("kind", KINDS)
def test_altered_ciphertext_tag_or_key(kind):
    octets = sealed(kind)
    tree = Tree(octets)
    tag, text = tree.data[-1], tree.content[2]
    wrapped = tree.recipients[0][1][-1] if kind == "rsa" else tree.recipients[0][1][-1][1][0][1][1]
    for part in (tag, text, wrapped):
        good = part[1]
        for at in (0, len(good) - 1):
            part[1] = good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]
            assert rule_of(tree.octets, kind) == "bad-envelope"
        part[1] = good
    assert tree.octets == octets


def test_short_tag():
    tree = Tree(sealed(content_type=oids.DATA))
    tree.data[-1][1] = tree.data[-1][1][:12]
    assert rule_of(tree.octets) == "cms-content-encryption"
    tree.content[1][1][1][1][1][1] = b"\x0c"
    assert rule_of(tree.octets) == "cms-content-encryption"
    del tree.content[1][1][1][1][1]
    assert rule_of(tree.octets) == "cms-content-encryption"


def test_content_type_relabelled():
    """An envelope's label is authenticated: a PI is not taken for something else."""
    tree = Tree(sealed())
    other = parse(der.oid(oids.PLAIN_PI))[0]
    tree.content[0] = other
    assert rule_of(tree.octets) == "cms-content-type"
    tree.data[3][1][0][1][1][1][0] = other
    assert rule_of(tree.octets) == "bad-envelope"


def test_content_type_stripped():
    tree = Tree(sealed())
    del tree.data[3]
    assert rule_of(tree.octets) == "cms-content-type"
    tree.content[0] = parse(der.oid(oids.DATA))[0]
    assert rule_of(tree.octets) == "bad-envelope"


def test_authenticated_envelope_relabelled_as_older_one():
    """GCM content in the dress of CBC (a known confusion) does not open even where older forms do."""
    tree = Tree(sealed(content_type=oids.DATA))
    tree.root[0][1][0] = parse(der.oid(oids.ENVELOPED_DATA))[0]
    assert rule_of(tree.octets, allow_legacy=True) == "cms-content-encryption"
    tree.data.pop()
    tree.content[1][1] = parse(der.oid(oids.AES256_CBC) + der.octet_string(bytes(16)))
    tree.content[2][1] = bytes(32)
    assert rule_of(tree.octets, allow_legacy=True) == "bad-envelope"


def test_older_envelope_altered():
    octets = cms.seal_legacy(CONTENT, oids.DATA, EVERYONE[:1], secrets.token_bytes)
    tree = Tree(octets)
    good = tree.content[2][1]
    tree.content[2][1] = good[:-1] + bytes((good[-1] ^ 0x80,))
    assert rule_of(tree.octets, allow_legacy=True) == "bad-envelope"
    for wrong in (good[:-1], b""):
        tree.content[2][1] = wrong
        assert rule_of(tree.octets, allow_legacy=True) == "cms-content-encryption"


def test_invalid_point():
    """A point off the curve, at infinity, compressed, or of another curve never meets the private key."""
    tree = Tree(sealed())
    originator = tree.recipients[0][1][1][1][0][1]
    good = originator[1][1]
    for wrong in (
        good[:-1] + bytes((good[-1] ^ 1,)),
        b"\x00\x00",
        b"\x00\x02" + good[2:34],
        b"\x01" + good[1:],
        b"\x00\x04" + bytes(64),
        b"\x00\x04" + bytes(96),
    ):
        originator[1][1] = wrong
        assert rule_of(tree.octets) == "bad-envelope"


def test_originator_names_another_curve():
    tree = Tree(sealed())
    tree.recipients[0][1][1][1][0][1][0][1].append(parse(der.oid(oids.P384))[0])
    assert rule_of(tree.octets) == "bad-envelope"


def test_weaker_derivation_only_when_allowed():
    """Another derivation is never taken for the suite's own; allowed, it derives another key."""
    tree = Tree(sealed())
    for oid in (oids.STD_DH_SHA1, oids.STD_DH_SHA384):
        tree.recipients[0][1][2][1][0] = parse(der.oid(oid))[0]
        assert rule_of(tree.octets) == "suite-unknown"
        assert rule_of(tree.octets, allow_legacy=True) == "bad-envelope"


def test_pkcs1_transport():
    """The older RSA transport, an oracle since 1998, is not known; allowed, it tells nothing."""
    tree = Tree(sealed("rsa"))
    tree.recipients[0][1][2] = parse(der.sequence(der.oid(oids.RSA), der.tlv(der.NULL, b"")))[0]
    assert rule_of(tree.octets, "rsa") == "suite-unknown"
    assert rule_of(tree.octets, "rsa", allow_legacy=True) == "bad-envelope"


def test_transport_to_an_agreement_key():
    one = party("p256")
    tree = Tree(sealed("rsa"))
    tree.recipients[0][1][1] = parse(one.certificate.issuer_and_serial)[0]
    assert rule_of(tree.octets) == "bad-envelope"


def test_agreement_with_a_transport_key():
    one = party("rsa")
    tree = Tree(sealed("p256"))
    tree.recipients[0][1][-1][1][0][1][0] = parse(one.certificate.issuer_and_serial)[0]
    assert rule_of(tree.octets, "rsa") == "bad-envelope"


@pytest.mark.parametrize("tag", [0xA2, 0xA3, 0xA4])
def test_other_recipients(tag):
    tree = Tree(sealed())
    tree.recipients[0][0] = tag
    assert rule_of(tree.octets) == "cms-recipient"


def test_unsorted_or_repeated_recipients():
    tree = Tree(sealed("p256", "rsa"))
    tree.recipients.reverse()
    assert rule_of(tree.octets) == "der-set-order"
    tree.recipients[:] = [tree.recipients[0]] * 2
    assert rule_of(tree.octets) == "der-set-order"


def test_too_many_recipients():
    tree = Tree(sealed())
    keys = tree.recipients[0][1][-1][1]
    keys *= 2000
    assert rule_of(tree.octets) == "der-count"
    assert rule_of(bytes(5_000_000)) == "too-large"


def test_unauthenticated_attributes():
    tree = Tree(sealed())
    tree.data.append([0xA2, parse(der.sequence(der.oid("1.2.3"), der.tlv(der.SET, der.integer(1))))])
    assert rule_of(tree.octets) == "der-trailing"


def test_senders_octets():
    """The suite has none; where older forms are allowed they change the derived key."""
    tree = Tree(sealed())
    tree.recipients[0][1].insert(2, [0xA1, [[der.OCTET_STRING, b"more"]]])
    assert rule_of(tree.octets) == "cms-recipient"
    assert rule_of(tree.octets, allow_legacy=True) == "bad-envelope"
    tree.recipients[0][1][2] = [0xA1, [[der.OCTET_STRING, bytes(100)]]]
    assert rule_of(tree.octets, allow_legacy=True) == "cms-recipient"


@pytest.mark.parametrize("place", [0, 1])
def test_wrong_version(place):
    tree = Tree(sealed())
    target = tree.data if place == 0 else tree.recipients[0][1]
    target[0] = parse(der.integer(5))[0]
    assert rule_of(tree.octets) == "cms-version"


def test_a_card_that_is_gone_is_not_a_bad_envelope():
    class Gone(KeyOpener):
        def agree(self, peer_spki):
            del peer_spki
            raise Refusal("card-removed", "the card is gone")

    with pytest.raises(Refusal, match="card-removed"):
        cms.open_sealed(sealed(), Gone(party("p256").certificate, party("p256").key))


@given(place=st.integers(0, 2**16), change=st.integers(1, 255), kind=st.sampled_from(["p256", "p384"]))
@settings(max_examples=200)
def test_mutations_do_not_open(place, change, kind):
    octets = bytearray(sealed(kind))
    octets[place % len(octets)] ^= change
    for allow_legacy in (False, True):
        with pytest.raises(Refusal):
            cms.open_sealed(bytes(octets), party(kind).opener, allow_legacy=allow_legacy)


@given(octets=st.binary(max_size=400), cut=st.integers(0, 600))
def test_garbage_is_refused(octets, cut):
    whole = sealed()
    for candidate in (octets, whole[:cut] + octets, octets + whole[cut:]):
        if candidate != whole:
            with pytest.raises(Refusal):
                cms.open_sealed(candidate, party("p256").opener, allow_legacy=True)
