"""Others' CMS in BER: every encoding of a message comes out as its DER, and then verifies and opens."""

from __future__ import annotations

import secrets
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.cms.normal import _CONTENT_INFO
from tests.worlds.ber import lengthened, reencoded
from tests.worlds.crypto import AT, new_party, parse, party, unparse
from tests.worlds.programs import openssl

CONTENT = b"nine resistors\nand a coil\n" * 9


@cache
def recipients():
    keys = (x25519.X25519PrivateKey.generate(), mlkem.MLKEM768PrivateKey.generate())
    others = [new_party(f"r{index}", key) for index, key in enumerate(keys)]
    return [party("p256"), party("rsa"), *others, new_party("nameless", key_id=False)]


def _countersigned() -> bytes:
    """A signature with another over it among its unsigned attributes, and one more attribute beside."""
    root = parse(cms.sign(CONTENT, oids.ACT, party("p256").signer, AT))
    other = parse(cms.sign(b"x", oids.DATA, party("p384").signer, AT))[0][1][1][1][0][1][-1][1][0]
    signer = root[0][1][1][1][0][1][-1][1][0]
    further = sorted(
        [attribute(oids.COUNTERSIGNATURE, unparse([other])), attribute("1.2.3", der.integer(1))],
    )
    signer[1].append([0xA1, [parse(one)[0] for one in further]])
    return unparse(root)


@cache
def messages() -> dict[str, bytes]:
    everyone = [one.certificate for one in recipients()]
    old = [party("rsa").certificate, party("p256").certificate]
    signer = party("p256").signer
    return {
        "signed": cms.sign(CONTENT, oids.DATA, signer, AT),
        "signed, of another type": cms.sign(CONTENT, oids.ACT, party("rsa").signer, AT),
        "detached": cms.sign(CONTENT, oids.DATA, signer, AT, detached=True),
        "countersigned": _countersigned(),
        "sealed": cms.seal(CONTENT, oids.DATA, everyone, secrets.token_bytes),
        "sealed, of another type": cms.seal(CONTENT, oids.ACT, everyone, secrets.token_bytes),
        "sealed for old peers": cms.seal_legacy(CONTENT, oids.DATA, old, secrets.token_bytes),
    }


@pytest.mark.parametrize("kind", messages())
@given(data=st.data())
@settings(max_examples=5)
def test_any_encoding_of_a_message_comes_out_as_its_der(kind, data):
    message = messages()[kind]
    assert cms.normalised(reencoded(message, data.draw, _CONTENT_INFO)) == message


@pytest.mark.parametrize("kind", messages())
def test_a_message_in_der_stays_as_it_is(kind):
    assert cms.normalised(messages()[kind]) == messages()[kind]


@pytest.mark.parametrize("kind", messages())
@pytest.mark.parametrize("piece", [0, 5])
def test_all_indefinite(kind, piece):
    """With certificates of indefinite length too, whose signature is over their DER."""
    message = messages()[kind]
    assert cms.normalised(lengthened(parse(message), piece)) == message


def test_attributes_come_out_in_the_order_in_which_they_were_signed():
    tree = parse(messages()["signed"])
    signer = tree[0][1][1][1][0][1][-1][1][0]
    signer[1][3][1].reverse()
    with pytest.raises(Refusal, match="der-set-order"):
        cms.read_signed(unparse(tree), cms.FOREIGN)
    signed = cms.read_signed(cms.normalised(unparse(tree)), cms.FOREIGN)
    cms.check_signature(signed)
    assert signed.content == CONTENT


def test_certificates_and_names_keep_their_octets():
    """Certificates in the wild have names out of order: their signature is over what they are."""
    odd = der.set_of([])[:1] + bytes((4,)) + b"\x05\x00\x02\x00"
    message = parse(messages()["signed"])
    data = message[0][1][1][1][0][1]
    data[3][1] = [[der.SEQUENCE, parse(odd)]]
    signer = data[-1][1][0]
    signer[1][1] = [der.SEQUENCE, parse(odd)]
    written = unparse(message)
    assert written.count(odd) == 2
    assert cms.normalised(written) == written
    assert cms.normalised(lengthened(parse(written), 5)) == written


def test_a_truncated_or_oversized_message_is_refused():
    message = lengthened(parse(messages()["sealed"]), 5)
    for size in range(0, len(message), 7):
        with pytest.raises(Refusal):
            cms.normalised(message[:size])
    with pytest.raises(Refusal, match="too-large"):
        cms.normalised(message, max_bytes=100)


def test_pieces_do_not_count_against_the_structure():
    """A large file in small pieces is no attack; as many elements without content are."""
    whole = cms.sign(bytes(12_000_000), oids.DATA, party("p256").signer, AT)
    assert cms.normalised(lengthened(parse(whole), 550)) == whole
    small = cms.sign(bytes(200_000), oids.DATA, party("p256").signer, AT)
    with pytest.raises(Refusal, match="der-count"):
        cms.normalised(lengthened(parse(small), 5))


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_as_many_recipients_as_an_envelope_may_have(kind):
    """A thousand, each by the most elements that its kind of key takes."""
    tree = parse(cms.seal(CONTENT, oids.DATA, [party(kind).certificate], secrets.token_bytes))
    recipients = tree[0][1][1][1][0][1][1]
    if kind == "rsa":
        recipients[1] *= 1000
    else:
        recipients[1][0][1][-1][1] *= 1000
    message = unparse(tree)
    assert cms.normalised(message) == message
    # streamed: all round the content is of indefinite length, the recipients are not
    kind_, (_explicit, ((_sequence, data),)) = tree[0][1]
    streamed = b"\x30\x80" + unparse([kind_]) + b"\xa0\x80\x30\x80" + unparse(data) + b"\0\0" * 3
    assert cms.normalised(streamed) == message


@pytest.mark.parametrize("kind", ["p256", "rsa"])
@pytest.mark.parametrize("more", [[], ["-keyid"], ["-cades"], ["-nosmimecap"], ["-receipt_request_first"]])
@pytest.mark.tool
def test_openssl_streams_signatures(kind, more, tmp_path):
    cert, key, ca = party(kind).files(tmp_path)
    content = CONTENT * 200
    if more == ["-receipt_request_first"]:
        more = [*more, "-receipt_request_to", "sales@example.org"]
    command = ["cms", "-sign", "-binary", "-stream", "-outform", "DER", "-nodetach", "-signer", cert]
    octets = openssl(*command, "-inkey", key, "-certfile", ca, *more, given=content)
    assert octets[:2] == b"\x30\x80"
    with pytest.raises(Refusal, match="der-length"):
        cms.read_signed(octets, cms.FOREIGN)
    normal = cms.normalised(octets)
    signed = cms.read_signed(normal, cms.FOREIGN)
    cms.check_signature(signed)
    assert (signed.content, signed.signer_certificate) == (content, party(kind).certificate)
    # OpenSSL itself writes the same octets when asked for DER of a message that is whole
    assert openssl("cms", "-cmsout", "-inform", "DER", "-outform", "DER", given=normal) == normal


@pytest.mark.parametrize("kind", ["p256", "rsa"])
@pytest.mark.parametrize("cipher", ["-aes-256-gcm", "-aes256", "-aes128"])
@pytest.mark.parametrize("more", [[], ["-keyid"]])
@pytest.mark.tool
def test_openssl_streams_envelopes(kind, cipher, more, tmp_path):
    cert, _key, _ca = party(kind).files(tmp_path)
    content = CONTENT * 200
    command = ["cms", "-encrypt", "-binary", "-stream", "-outform", "DER", cipher, *more, cert]
    octets = openssl(*command, given=content)
    assert b"\x30\x80" in octets[:4]
    opened = cms.open_sealed(cms.normalised(octets), party(kind).opener, allow_legacy=True)
    assert opened == (oids.DATA, content)


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_stays_refused(octets):
    for before in (b"", b"\x30\x80" + der.oid(oids.SIGNED_DATA) + b"\xa0\x80\x30\x80"):
        try:
            found = cms.normalised(before + octets)
        except Refusal:
            continue
        with pytest.raises(Refusal):
            cms.read_signed(found, cms.FOREIGN)
