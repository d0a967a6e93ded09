"""Receipts: asked for under the signature, given once it is checked, and good for that message alone."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.cms import (
    ReceiptRequest,
    check_receipt,
    receipt_for,
    request_among,
    request_attribute,
    request_in,
)
from e2s.crypto.cms.attributes import attribute
from tests.worlds.crypto import AT, KINDS, parse, party, unparse
from tests.worlds.programs import openssl, run

CONTENT = b"nine resistors\nand a coil\n"
REQUEST = ReceiptRequest(b"order 41 of Volt", (("sales@volt.example",),))


def asked(kind: str = "p256", request: ReceiptRequest = REQUEST, **more) -> bytes:
    return cms.sign(
        CONTENT, oids.DATA, party(kind).signer, AT, signed_attributes=(request_attribute(request),), **more
    )


def read(octets: bytes) -> cms.Signed:
    return cms.read_signed(cms.normalised(octets), cms.FOREIGN)


def rule_of(octets: bytes, signed: cms.Signed) -> str:
    with pytest.raises(Refusal) as caught:
        check_receipt(octets, signed)
    return caught.value.rule


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", KINDS)
def test_a_receipt_proves_receipt(kind, by):
    signed = read(asked(kind))
    octets = receipt_for(signed, party(by, "bert").signer, AT)
    receipt = check_receipt(octets, signed)
    assert receipt.signer_certificate == party(by, "bert").certificate
    assert (receipt.content_type, receipt.at) == (oids.RECEIPT, AT)


def test_a_receipt_for_detached_content_and_other_types():
    octets = cms.sign(
        CONTENT,
        oids.ACT,
        party("p256").signer,
        AT,
        detached=True,
        signed_attributes=(request_attribute(REQUEST),),
    )
    signed = read(octets)
    check_receipt(receipt_for(signed, party("p384").signer, AT, content=CONTENT), signed)
    with pytest.raises(Refusal, match="altered-content"):
        receipt_for(signed, party("p384").signer, AT, content=CONTENT + b"!")


names = st.lists(st.text("abcdefghij.@:/", min_size=1, max_size=20), min_size=1, max_size=3).map(tuple)
parties = st.lists(names, min_size=1, max_size=4).map(tuple)
requests = st.builds(
    ReceiptRequest,
    content_id=st.binary(min_size=1, max_size=60),
    to=parties,
    of=st.none() | parties,
    first_tier=st.just(False),
)


@given(requests, st.booleans())
@settings(max_examples=40)
def test_any_request_reads_back(request, first_tier):
    if first_tier and request.of is None:
        request = ReceiptRequest(request.content_id, request.to, None, first_tier=True)
    assert request_in(read(asked(request=request))) == request


def test_who_is_asked():
    everyone = ReceiptRequest(b"1", (("a@b.example",),))
    assert everyone.asks(["anyone@c.example"])
    assert everyone.asks(["anyone@c.example"], by_list=True)
    near = ReceiptRequest(b"1", (("a@b.example",),), first_tier=True)
    assert near.asks([])
    assert not near.asks([], by_list=True)
    some = ReceiptRequest(b"1", (("a@b.example",),), of=(("X@c.example", "urn:x"), ("y@c.example",)))
    assert some.asks(["x@C.example"])
    assert some.asks(["urn:x"], by_list=True)
    assert not some.asks(["z@c.example"])
    assert not some.asks([])


def test_a_message_that_asks_for_none():
    signed = cms.read_signed(cms.sign(CONTENT, oids.DATA, party("p256").signer, AT), cms.FOREIGN)
    assert request_in(signed) is None
    with pytest.raises(Refusal, match="cms-no-receipt-wanted"):
        receipt_for(signed, party("p384").signer, AT)
    with pytest.raises(Misuse, match="cms-no-receipt-wanted"):
        check_receipt(receipt_for(read(asked()), party("p384").signer, AT), signed)


def test_no_receipt_for_a_signature_that_is_none():
    tree = parse(asked())
    tree[0][1][1][1][0][1][-1][1][0][1][5][1] = bytes(70)
    with pytest.raises(Refusal, match="bad-signature"):
        receipt_for(read(unparse(tree)), party("p384").signer, AT)


def test_no_receipt_for_a_receipt():
    """Else two mailers would thank each other for ever (RFC 2634, 2.3)."""
    octets = receipt_for(read(asked()), party("p384").signer, AT)
    content = cms.read_signed(octets, cms.FOREIGN).octets
    again = cms.sign(
        content, oids.RECEIPT, party("p384").signer, AT, signed_attributes=(request_attribute(REQUEST),)
    )
    with pytest.raises(Refusal, match="cms-receipt-request"):
        receipt_for(read(again), party("p256").signer, AT)


def test_a_receipt_for_another_message():
    first, second = asked(), asked(request=ReceiptRequest(b"order 42 of Volt", (("sales@volt.example",),)))
    octets = receipt_for(read(first), party("p384").signer, AT)
    assert rule_of(octets, read(second)) == "wrong-receipt"
    # the same order signed again, and so with another signature value
    assert rule_of(octets, read(asked("rsa"))) == "wrong-receipt"


def forged(
    signed: cms.Signed,
    *,
    bound: bytes | None = None,
    version: int = 1,
    extra: bytes = b"",
    further: tuple[bytes, ...] = (),
) -> bytes:
    """A receipt put together by hand."""
    content = der.sequence(
        der.integer(version),
        der.oid(signed.content_type),
        der.octet_string(REQUEST.content_id),
        der.octet_string(signed.signature),
        *((extra,) if extra else ()),
    )
    more = () if bound is None else (attribute(oids.MESSAGE_SIGNATURE_DIGEST, der.octet_string(bound)),)
    return cms.sign(content, oids.RECEIPT, party("p384").signer, AT, signed_attributes=(*more, *further))


def test_each_part_of_a_receipt_counts():
    signed = read(asked())
    over = hashlib.sha256(der.tlv(der.SET, signed.attributes)).digest()
    check_receipt(forged(signed, bound=over), signed)
    again = (request_attribute(REQUEST),)
    assert rule_of(forged(signed, bound=over, further=again), signed) == "cms-receipt-request"
    assert rule_of(forged(signed), signed) == "wrong-receipt"
    assert rule_of(forged(signed, bound=over[:-1]), signed) == "wrong-receipt"
    assert rule_of(forged(signed, bound=bytes(32)), signed) == "wrong-receipt"
    assert rule_of(forged(signed, bound=over, version=2), signed) == "wrong-receipt"
    assert rule_of(forged(signed, bound=over, extra=b"\x05\x00"), signed) == "wrong-receipt"


def test_a_receipt_that_is_none():
    signed = read(asked())
    assert rule_of(cms.sign(CONTENT, oids.DATA, party("p384").signer, AT), signed) == "cms-content-type"
    octets = bytearray(receipt_for(signed, party("p384").signer, AT))
    octets[-1] ^= 1
    assert rule_of(bytes(octets), signed) == "bad-signature"
    assert rule_of(bytes(1_000_000), signed) == "too-large"
    detached = parse(receipt_for(signed, party("p384").signer, AT))
    detached[0][1][1][1][0][1][2][1].pop()
    assert rule_of(unparse(detached), signed) == "cms-detached"


@pytest.mark.parametrize(
    "value",
    [
        der.integer(1),
        der.sequence(),
        der.sequence(der.octet_string(b"1")),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x02", der.sequence(der.sequence(b"\x81\x01a"))),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x00", der.sequence()),
        der.sequence(der.octet_string(b"1"), b"\xa1\x00", der.sequence(der.sequence(b"\x81\x01a"))),
        der.sequence(der.octet_string(b""), b"\x80\x01\x00", der.sequence(der.sequence(b"\x81\x01a"))),
        der.sequence(der.octet_string(bytes(257)), b"\x80\x01\x00", der.sequence(der.sequence(b"\x81\x01a"))),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x00", der.sequence(der.sequence(b"\x81\x01\xff"))),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x00", der.sequence(*[der.sequence(b"\x81\x01a")] * 17)),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x00", der.sequence(der.sequence(b"\x81\x01a")), b"\5\0"),
        der.sequence(der.octet_string(b"1"), b"\x80\x01\x00", der.sequence(der.sequence(b"\x81\x82\x50\x00" + b"a" * 0x5000))),
    ],
)  # fmt: skip
def test_malformed_requests_are_refused(value):
    octets = cms.sign(
        CONTENT,
        oids.DATA,
        party("p256").signer,
        AT,
        signed_attributes=(attribute(oids.RECEIPT_REQUEST, value),),
    )
    with pytest.raises(Refusal) as caught:
        request_in(read(octets))
    assert caught.value.rule in {
        "cms-receipt-request",
        "der-tag",
        "der-truncated",
        "der-count",
        "der-trailing",
    }


@pytest.mark.parametrize(
    "request_",
    [
        ReceiptRequest(b"", (("a",),)),
        ReceiptRequest(b"1", ()),
        ReceiptRequest(b"1", ((),)),
        ReceiptRequest(b"1", (("é@b",),)),
        ReceiptRequest(b"1", (("a",),), of=()),
        ReceiptRequest(bytes(257), (("a",),)),
        ReceiptRequest(b"1", (("a",),) * 17),
    ],
)
def test_requests_that_ask_nothing_are_the_callers_misuse(request_):
    with pytest.raises(Misuse, match="bad-request"):
        request_attribute(request_)


@given(octets=st.binary(max_size=300), cut=st.integers(0, 900))
def test_garbage_is_no_receipt(octets, cut):
    signed = read(asked())
    whole = receipt_for(signed, party("p384").signer, AT)
    for candidate in (octets, whole[:cut] + octets):
        if candidate != whole:
            rule_of(candidate, signed)


@pytest.fixture
def files(tmp_path):
    """A message, and paths that OpenSSL takes of the parties."""
    cert, key, ca = party("p256", "bert").files(tmp_path)
    (tmp_path / "content").write_bytes(CONTENT)
    return {"cert": cert, "key": key, "ca": ca, "folder": tmp_path}


@pytest.mark.tool
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_gives_a_receipt_for_ours(kind, files):
    message = asked(kind)
    path = files["folder"] / "m"
    path.write_bytes(message)
    shown = ["cms", "-verify", "-noverify", "-receipt_request_print", "-inform", "DER", "-in", str(path)]
    told = subprocess.run(
        ["openssl", *shown, "-out", str(files["folder"] / "o")], capture_output=True, check=True, timeout=60
    ).stderr.decode()
    assert "sales@volt.example" in told
    assert "order 41 of Volt" in told
    command = [
        "cms",
        "-sign_receipt",
        "-inform",
        "DER",
        "-in",
        str(path),
        "-rctform",
        "PEM",
        "-outform",
        "DER",
    ]
    receipt = openssl(*command, "-signer", files["cert"], "-inkey", files["key"], "-CAfile", files["ca"])
    found = check_receipt(cms.normalised(receipt), read(message))
    assert found.signer_certificate == party("p256", "bert").certificate


@pytest.mark.tool
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_takes_our_receipt_for_its_message(kind, files):
    message, receipt = files["folder"] / "m", files["folder"] / "r"
    command = [
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-outform",
        "DER",
        "-in",
        str(files["folder"] / "content"),
    ]
    command += ["-receipt_request_to", "sales@volt.example", "-receipt_request_from", "bert@example.org"]
    openssl(*command, "-signer", files["cert"], "-inkey", files["key"], "-out", str(message))
    signed = read(message.read_bytes())
    request = request_in(signed)
    assert request is not None
    assert request.to == (("sales@volt.example",),)
    assert request.asks(["Bert@example.org"])
    receipt.write_bytes(receipt_for(signed, party(kind).signer, AT))
    check = ["cms", "-verify_receipt", str(receipt), "-rctform", "DER", "-inform", "DER", "-in", str(message)]
    check += ["-CAfile", files["ca"], "-attime", str(int(AT.timestamp()))]
    openssl(*check)
    receipt.write_bytes(receipt_for(read(asked()), party(kind).signer, AT))
    run("openssl", *check, good=(4,))


@pytest.mark.tool
def test_a_message_of_two_signers(files):
    """Streamed by OpenSSL; both ask for the same receipt, which is given for one of the signatures."""
    other_cert, other_key, _ca = party("rsa").files(files["folder"])
    command = ["cms", "-sign", "-binary", "-stream", "-nodetach", "-outform", "DER"]
    command += [
        "-receipt_request_all",
        "-receipt_request_to",
        "sales@volt.example",
        "-signer",
        files["cert"],
        "-inkey",
        files["key"],
    ]
    octets = openssl(*command, "-signer", other_cert, "-inkey", other_key, given=CONTENT)
    signers = cms.read_signers(cms.normalised(octets))
    assert len(signers) == 2
    for signed in signers:
        cms.check_signature(signed)
    request = request_among(signers)
    assert request is not None
    assert request.to == (("sales@volt.example",),)
    for signed in signers:
        check_receipt(receipt_for(signed, party("p384").signer, AT), signed)
    with pytest.raises(Refusal, match="cms-receipt-request"):
        request_among([*signers, read(asked())])
    assert request_among([]) is None
