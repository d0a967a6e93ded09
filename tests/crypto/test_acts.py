"""Acts: signed documents over whole acts, named by their content and bound to their signer."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import encode
from e2s.crypto import acts, cms, der, oids
from tests.worlds.crypto import AT, KINDS, parse, party, unparse


def document(kind="p256", **more) -> dict:
    return {
        "type": "e2s/1/offer",
        "from": party(kind).certificate.id,
        "to": ["urn:e2s:test:bert"],
        "at": format_instant(AT),
        "total": "12.50",
        **more,
    }


def act(kind="p256", over=(), **more) -> bytes:
    return acts.sign_act(document(kind, **more), over, party(kind).signer, AT)


def raw(content: bytes, content_type=oids.ACT) -> bytes:
    """Any content, well signed."""
    return cms.sign(content, content_type, party("p256").signer, AT)


def rule_of(octets: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        acts.check_act_signature(acts.read_act(octets))
    return caught.value.rule


@pytest.mark.parametrize("kind", KINDS)
def test_an_act_reads_back(kind):
    octets = act(kind)
    read = acts.read_act(octets)
    acts.check_act_signature(read)
    assert read.document == document(kind)
    assert read.doc_octets == encode(document(kind))
    assert (read.octets, read.over, read.type, read.at) == (octets, (), "e2s/1/offer", AT)
    assert read.certificate == party(kind).certificate
    assert read.id == acts.act_id(document(kind), ()) == acts.digest_id(read.signed.octets)


def test_acts_nest_octet_by_octet():
    first = act()
    second = acts.sign_act(document("p384"), [first], party("p384").signer, AT)
    third = act("rsa", [second, first])
    read = acts.read_act(third)
    assert read.over == (second, first)
    assert read.inner(0).inner(0).octets == read.inner(1).octets == first
    for one in (read, read.inner(0), read.inner(1)):
        acts.check_act_signature(one)
    for nothing in (2, -1):
        with pytest.raises(Refusal, match="bad-act"):
            read.inner(nothing)


def test_stripped_inner_signature():
    """An inner act without its signature, or another in its place, is another act and signed by nobody."""
    inner = act()
    octets = act("p384", [inner])
    assert rule_of(octets.replace(inner, inner.replace(b"12.50", b"99.00"))) == "altered-content"
    assert rule_of(octets.replace(inner, inner[:-1] + bytes((inner[-1] ^ 1,)))) == "altered-content"
    tree = parse(inner)
    tree[0][1][1][1][0][1][4][1] = []
    with pytest.raises(Refusal, match="cms-one-signer"):
        acts.read_act(act("p384", [unparse(tree)])).inner()


def test_malleated_signature_duplicate():
    """ECDSA signatures have a twin: the same act, so the same identity."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    octets = act()
    read = acts.read_act(octets)
    r, s = decode_dss_signature(read.signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    tree = parse(octets)
    tree[0][1][1][1][0][1][4][1][0][1][5][1] = encode_dss_signature(r, order - s)
    twin = acts.read_act(unparse(tree))
    acts.check_act_signature(twin)
    assert twin.octets != octets
    assert (twin.id, twin.digest) == (read.id, read.digest)


def test_signing_checks_its_caller():
    signer = party("p256").signer
    for wrong in (
        {**document(), "from": party("p384").certificate.id},
        {**document(), "at": "2026-05-04T12:00:01Z"},
        {**document(), "amount": 1.5},
    ):
        with pytest.raises(Misuse):
            acts.sign_act(wrong, (), signer, AT)
    with pytest.raises(Misuse):
        acts.sign_act(document(), [b"x"] * 5, signer, AT)


def test_unknown_wrapper():
    content = acts.write_content(encode(document()), ())
    assert rule_of(raw(content, oids.DATA)) == "bad-act"
    assert rule_of(raw(content, oids.TST_INFO)) == "bad-act"
    assert rule_of(cms.seal(content, oids.ACT, [party("p256").certificate], bytes)) == "cms-content-info"
    detached = cms.sign(content, oids.ACT, party("p256").signer, AT, detached=True)
    assert rule_of(detached) == "cms-detached"


def test_from_another_certificate():
    octets = raw(acts.write_content(encode(document("p384")), ()))
    assert rule_of(octets) == "wrong-certificate"


def test_at_another_time():
    octets = raw(acts.write_content(encode(document(at="2026-05-04T12:00:01Z")), ()))
    assert rule_of(octets) == "wrong-time"


@pytest.mark.parametrize("wrong", [{"type": 7}, {"type": "x" * 65}])
def test_without_a_type(wrong):
    assert rule_of(raw(acts.write_content(encode({**document(), **wrong}), ()))) == "bad-act"
    rest = document()
    del rest["type"]
    assert rule_of(raw(acts.write_content(encode(rest), ()))) == "bad-act"


@pytest.mark.parametrize(
    ("doc", "rule"),
    [
        (b'{"a":1,"a":1}', "not-canonical"),
        (b'{"b":1,"a":1}', "not-canonical"),
        (b'{ "a":1}', "not-canonical"),
        (b'{"a":1.0}', "not-canonical"),
        (b'{"a":null}', "not-canonical"),
        (b"[" * 5000, "not-canonical"),
        (b"", "not-canonical"),
        (b'{"a":"' + b"x" * 131_072 + b'"}', "too-large"),
    ],
)
def test_documents_are_canonical(doc, rule):
    assert rule_of(raw(acts.write_content(doc, ()))) == rule


def test_content_of_another_shape():
    doc = der.octet_string(encode(document()))
    for content, rule in (
        (doc, "der-tag"),
        (der.sequence(doc), "der-truncated"),
        (der.sequence(doc, der.sequence(), der.sequence()), "der-trailing"),
        (der.sequence(doc, der.sequence(der.integer(1))), "der-tag"),
        (der.sequence(doc, der.sequence(*[der.octet_string(b"")] * 5)), "bad-act"),
        (der.sequence(doc, der.sequence()) + b"\x00", "der-trailing"),
    ):
        assert rule_of(raw(content)) == rule


def test_nesting_bomb():
    octets = act()
    for _ in range(14):
        octets = acts.sign_act(document(), [octets], party("p256").signer, AT)
    read = acts.read_act(octets)
    for _ in range(acts.MAX_NESTING):
        read = read.inner()
    with pytest.raises(Refusal, match="nested too deep"):
        read.inner()


@given(place=st.integers(0, 2**16), change=st.integers(1, 255))
@settings(max_examples=150)
def test_mutations_are_refused(place, change):
    octets = bytearray(act("p384", [act()]))
    octets[place % len(octets)] ^= change
    try:
        read = acts.read_act(bytes(octets))
        acts.check_act_signature(read)
    except Refusal:
        return
    assert read.document == document("p384")


@given(st.binary(max_size=300))
def test_garbage_is_refused(octets):
    for candidate in (octets, raw(octets)):
        with pytest.raises(Refusal):
            acts.read_act(candidate)


def test_a_readers_change_stays_its_own():
    octets = act()
    before = acts.read_act(octets)
    kept = copy.deepcopy(before.document)
    acts.read_act(octets).document["total"] = "0.00"
    assert before.document == kept


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=16))
def test_parcels_read_back(items):
    assert acts.read_parcel(acts.write_parcel("e2s/1/preq", items), "e2s/1/preq") == tuple(items)


def test_parcels_have_one_form():
    good = acts.write_parcel("e2s/1/preq", [b"a"])
    none = der.sequence(der.utf8("e2s/1/preq"), der.sequence())
    many = der.sequence(der.utf8("e2s/1/preq"), der.sequence(*[der.octet_string(b"")] * 17))
    for wrong, rule in (
        (none, "bad-parcel"),
        (many, "bad-parcel"),
        (acts.write_parcel("e2s/1/auth", [b"a"]), "bad-parcel"),
        (good + b"\x00", "der-trailing"),
        (good[:-1], "der-truncated"),
        (bytes(2_000_000), "too-large"),
    ):
        with pytest.raises(Refusal, match=rule):
            acts.read_parcel(wrong, "e2s/1/preq")
    for items in ([], [b""] * 17):
        with pytest.raises(Misuse):
            acts.write_parcel("e2s/1/preq", items)


@given(st.binary(max_size=200))
def test_parcels_refuse_garbage(octets):
    with pytest.raises(Refusal):
        acts.read_parcel(octets, "e2s/1/preq")
