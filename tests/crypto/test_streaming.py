"""Through files the messages are those of memory, and nothing that is not good ever has a name."""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.cms import streaming
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.pem import armoured
from e2s.crypto.suites import OLD_SEALINGS
from tests.worlds.crypto import AT, KINDS, new_party, parse, party, unparse

CONTENT = secrets.token_bytes(700_000)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


class Desk:
    """Files without names, made and read at a word."""

    def __init__(self, folder):
        self.folder = folder

    def file(self, octets=b""):
        made = streaming.open_unnamed(self.folder)
        made.write(octets)
        made.seek(0)
        return made

    def sign(self, content, signer, **more):
        with self.file(content) as source, self.file() as out:
            streaming.sign(source, out, more.pop("content_type", oids.DATA), signer, AT, **more)
            return whole(out)

    def seal(self, content, recipients, content_type=oids.DATA, random=secrets.token_bytes, **more):
        with self.file(content) as source, self.file() as out:
            streaming.seal(source, out, content_type, recipients, random, **more)
            return whole(out)

    def verify(self, message, content=None):
        with self.file(message) as source, self.file(content or b"") as apart, self.file() as out:
            found = streaming.verify(source, out, content=None if content is None else apart)
            return found, whole(out)

    def open(self, message, opener, **more):
        with self.file(message) as source, self.file() as out:
            found = streaming.open_sealed(source, out, opener, **more)
            return found, whole(out)


def whole(file):
    file.seek(0)
    return file.read()


def counted():
    """Octets that are the same each time."""
    turn = itertools.count(1)
    return lambda size: b"".join(next(turn).to_bytes(2) for _ in range(size))[:size]


EDWARDS = new_party("edwards", ed25519.Ed25519PrivateKey.generate())


# The same messages as in memory


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000, 700_000])
def test_signed_as_in_memory(desk, size, detached):
    content, signer = CONTENT[:size], EDWARDS.signer
    for content_type in (oids.DATA, oids.ACT):
        message = desk.sign(content, signer, content_type=content_type, detached=detached)
        assert message == cms.sign(content, content_type, signer, AT, detached=detached)
        found, out = desk.verify(message, content if detached else None)
        assert (found.detached, found.size, found.suite, out) == (detached, size, "ed25519", content)
        assert found.signed.signer_certificate == EDWARDS.certificate


def test_attributes_of_the_caller(desk):
    signed, unsigned = [attribute("1.2.3.4", der.integer(7))], [attribute("1.2.3.5", der.integer(8))]
    message = desk.sign(b"coil", EDWARDS.signer, signed_attributes=signed, unsigned_attributes=unsigned)
    assert message == cms.sign(
        b"coil",
        oids.DATA,
        EDWARDS.signer,
        AT,
        signed_attributes=signed,
        unsigned_attributes=unsigned,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edge", [1 << 8, 1 << 16])
def test_sizes_at_which_lengths_grow(desk, kind, edge):
    """ECDSA's signatures are of several sizes, and what stands before the content must fit each."""
    signer = party(kind).signer
    around = len(desk.sign(b"", signer)) + (4 if edge > 1 << 8 else 0)
    for size in {max(0, edge - around + n) for n in range(-12, 12)} | {edge - n for n in range(8)}:
        message = desk.sign(CONTENT[:size], signer)
        signed = cms.read_signed(message)
        cms.check_signature(signed)
        assert signed.content == CONTENT[:size]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 255, 70_000, 700_000])
@pytest.mark.parametrize("suites", [(), tuple(OLD_SEALINGS)])
def test_sealed_as_in_memory(desk, size, suites):
    content, me = CONTENT[:size], party("p256")
    for content_type in (oids.DATA, oids.ACT):
        message = desk.seal(content, [me.certificate], content_type, counted(), suites=suites)
        assert message == cms.seal(content, content_type, [me.certificate], counted(), suites=suites)
        found, out = desk.open(message, me.opener, allow_legacy=bool(suites))
        assert (found.content_type, found.authenticated, out) == (content_type, not suites, content)
        assert found.suite == ("ecdh-p256-aes256cbc" if suites else "ecdh-p256-aes256gcm")


def test_sealed_to_keys_of_every_kind(desk):
    everyone = [*map(party, KINDS), new_party("lattice", mlkem.MLKEM768PrivateKey.generate())]
    message = desk.seal(CONTENT, [one.certificate for one in everyone])
    names = []
    for one in everyone:
        found, out = desk.open(message, one.opener)
        names.append(found.suite)
        assert out == CONTENT == cms.open_sealed(message, one.opener)[1]
    assert names == [
        "ecdh-p256-aes256gcm",
        "ecdh-p384-aes256gcm",
        "rsa-oaep-aes256gcm",
        "ml-kem-768-aes256gcm",
    ]


def test_only_named_suites_open(desk):
    me = party("p256")
    message = desk.seal(b"coil", [me.certificate])
    assert desk.open(message, me.opener, suites=["ecdh-p256-aes256gcm"])[1] == b"coil"
    with pytest.raises(Refusal, match="wrong-suite"):
        desk.open(message, me.opener, suites=["ecdh-p384-aes256gcm"])


def test_from_where_the_files_are(desk):
    with desk.file(b"before" + CONTENT) as source, desk.file(b"kept") as out:
        source.seek(6)
        out.seek(4)
        streaming.sign(source, out, oids.DATA, EDWARDS.signer, AT)
        assert whole(out) == b"kept" + cms.sign(CONTENT, oids.DATA, EDWARDS.signer, AT)


def test_told_of_all_that_is_done(desk):
    heard = []
    desk.sign(CONTENT, EDWARDS.signer, told=heard.append)
    assert sum(heard) == len(CONTENT)
    heard.clear()
    message = desk.seal(CONTENT, [party("p256").certificate], told=heard.append)
    assert sum(heard) == len(CONTENT)
    heard.clear()
    desk.open(message, party("p256").opener, told=heard.append)
    assert sum(heard) == len(message)


# What is refused


def test_altered_content(desk):
    message = desk.sign(CONTENT, EDWARDS.signer)
    at = message.index(CONTENT[:50])
    with pytest.raises(Refusal, match="altered-content"):
        desk.verify(message[:at] + b"!" + message[at + 1 :])
    apart = desk.sign(CONTENT, EDWARDS.signer, detached=True)
    with pytest.raises(Refusal, match="altered-content"):
        desk.verify(apart, CONTENT + b"!")
    with pytest.raises(Misuse, match="cms-detached"):
        desk.verify(apart)
    with pytest.raises(Misuse, match="cms-detached"):
        desk.verify(message, CONTENT)


def test_altered_envelopes_tell_nothing_apart(desk):
    me, other = party("p256"), party("p256", "bert")
    message = desk.seal(CONTENT[:5000], [me.certificate])
    told = set()
    for at in (-1, -16, -20, -2000, -4000):
        with pytest.raises(Refusal) as caught:
            desk.open(message[: len(message) + at] + _flipped(message, at), me.opener)
        told.add(str(caught.value))
    # a point off the curve, and a wrapped key that is none
    for at in (message.index(b"\x03\x42\x00\x04") + 8, message.index(b"\x04\x28") + 5):
        with pytest.raises(Refusal) as caught:
            desk.open(message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :], me.opener)
        told.add(str(caught.value))
    with pytest.raises(Refusal, match="not-for-me"):
        desk.open(message, other.opener)
    assert len(told) == 1
    assert "bad-envelope" in told.pop()


def _flipped(message, at):
    tail = bytearray(message[len(message) + at :])
    tail[0] ^= 1
    return bytes(tail)


def test_every_cut_is_refused(desk):
    me = party("p256")
    for message, act in (
        (desk.sign(b"coil", me.signer), desk.verify),
        (desk.seal(b"coil", [me.certificate]), lambda cut: desk.open(cut, me.opener)),
        (
            loose(desk.seal(b"coil", [me.certificate]), 2),
            lambda cut: desk.open(cut, me.opener, allow_legacy=True),
        ),
    ):
        act(message)
        for size in range(len(message)):
            with pytest.raises(Refusal):
                act(message[:size])
        with pytest.raises(Refusal, match=r"der-trailing|ber-end"):
            act(message + b"\0\0")


def test_old_forms_only_when_allowed(desk):
    me = party("p256")
    message = desk.seal(b"coil", [me.certificate], suites=tuple(OLD_SEALINGS))
    with pytest.raises(Refusal, match="cms-content-info"):
        desk.open(message, me.opener)
    with pytest.raises(Refusal, match="bad-envelope"):
        desk.open(message[:-1] + bytes((message[-1] ^ 1,)), me.opener, allow_legacy=True)


def test_a_file_that_changes(desk, tmp_path):
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    with (
        path.open("rb", buffering=0) as source,
        desk.file() as out,
        pytest.raises(Refusal, match="file-changed"),
    ):
        streaming.sign(source, out, oids.DATA, EDWARDS.signer, AT, told=lambda _: os.truncate(path, 300_000))
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe, desk.file() as out, pytest.raises(Misuse):
        streaming.sign(pipe, out, oids.DATA, EDWARDS.signer, AT)


def test_more_than_gcm_encrypts(desk):
    """NIST SP 800-38D, 5.2.1.1: refused before an octet is read, whether sealed or claimed to be."""
    me = party("p256")
    with desk.file() as source, desk.file() as out:
        source.truncate(streaming.MAX_GCM_BYTES + 1)
        with pytest.raises(Refusal, match="gcm-limit"):
            streaming.seal(source, out, oids.DATA, [me.certificate], secrets.token_bytes)
        assert whole(out) == b""
    message = desk.seal(b"coil", [me.certificate])
    large = (1 << 36) + 100
    tree = parse(message)
    inner = tree[0][1][1][1][0][1]
    head = unparse(inner[:2])
    said = unparse(inner[2][1][:2]) + der.header(0x80, large)
    data = head + der.header(0x30, len(said) + large) + said
    data = der.header(0x30, len(data) + large + 18) + data
    data = unparse(tree[0][1][:1]) + der.header(0xA0, len(data) + large + 18) + data
    claimed = der.header(0x30, len(data) + large + 18) + data
    with desk.file(claimed) as source, desk.file() as out:
        source.truncate(len(claimed) + large + 18)
        with pytest.raises(Refusal, match="gcm-limit"):
            streaming.open_sealed(source, out, me.opener)


# BER, as others' streams write it


def loose(message, size):
    """The message with every length around the content indefinite, and the content in pieces of ``size``."""
    ((_, (kind, (_, ((_, data),)))),) = parse(message)
    for index, part in enumerate(data):
        if part[0] == 0x30 and isinstance(part[1], list) and part[1][0][0] == der.OID:
            encapsulated = index
    inside = data[encapsulated][1]
    if inside[-1][0] == 0xA0:
        inner = unparse(inside[:1]) + _endless(0xA0, _pieces(0x24, inside[-1][1][0][1], size))
    else:
        inner = unparse(inside[:-1]) + _pieces(0xA0, inside[-1][1], size)
    parts = unparse(data[:encapsulated]) + _endless(0x30, inner) + unparse(data[encapsulated + 1 :])
    return _endless(0x30, unparse([kind]) + _endless(0xA0, _endless(0x30, parts)))


def _endless(tag, inside):
    return bytes((tag, 0x80)) + inside + b"\0\0"


def _pieces(tag, content, size):
    pieces = [der.octet_string(content[at : at + size]) for at in range(0, len(content), size)]
    # two of them in a piece of their own
    return _endless(tag, der.tlv(0x24, b"".join(pieces[:2])) + b"".join(pieces[2:]))


@given(st.binary(max_size=3000), st.integers(1, 4000))
def test_indefinite_lengths_are_read(tmp_path_factory, content, size):
    desk, me = Desk(tmp_path_factory.getbasetemp()), party("p256")
    signed, sealed = desk.sign(content, me.signer), desk.seal(content, [me.certificate])
    old = desk.seal(content, [me.certificate], suites=tuple(OLD_SEALINGS))
    assert desk.verify(loose(signed, size))[1] == content
    for message in (sealed, old):
        assert desk.open(loose(message, size), me.opener, allow_legacy=True)[1] == content


def test_bounds(desk):
    me = party("p256")
    signed = desk.sign(bytes(70_000), me.signer)
    with pytest.raises(Refusal, match="der-count"):
        desk.verify(loose(signed, 1))
    deep = loose(signed, 70_000).replace(b"\x24\x80", b"\x24\x80" * 40, 1)
    with pytest.raises(Refusal, match="der-depth"):
        desk.verify(deep)
    ((_, (kind, (_, ((_, data),)))),) = parse(signed)
    data[3][1] = unparse(data[3][1]) + der.tlv(0x30, bytes(9 << 20))
    many = unparse([[0x30, [kind, [0xA0, [[0x30, data]]]]]])
    with pytest.raises(Refusal, match="too-large"):
        desk.verify(many)


@given(st.data())
def test_garbage_is_refused(tmp_path_factory, data):
    desk, me = Desk(tmp_path_factory.getbasetemp()), party("p256")
    for act, message in ((_SIGNED, _SIGNED), (_SEALED, _SEALED), *_LOOSE):
        octets = bytearray(message)
        for _ in range(data.draw(st.integers(1, 4))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        try:
            if act is _SIGNED:
                desk.verify(bytes(octets))
            else:
                desk.open(bytes(octets), me.opener, allow_legacy=True)
        except (Refusal, Misuse):
            continue


_SIGNED = cms.sign(b"nine coils", oids.DATA, party("p256").signer, AT)
_SEALED = cms.seal(b"nine coils", oids.ACT, [party("p256").certificate], secrets.token_bytes)
_LOOSE = ((_SIGNED, loose(_SIGNED, 3)), (_SEALED, loose(_SEALED, 3)))


def test_attributes_of_others_are_taken_in_a_second_pass(desk):
    """RFC 5083, 2.2: they stand behind the content but are authenticated before it."""
    me, key = party("p256"), bytes(range(32))
    attributes = der.tlv(der.SET, attribute(oids.CONTENT_TYPE, der.oid(oids.DATA)))
    nonce = bytes(12)
    sealed = AESGCM(key).encrypt(nonce, CONTENT, attributes)
    tree = parse(
        cms.seal(CONTENT, oids.DATA, [me.certificate], lambda size: (key + nonce + b"\7" * size)[:size])
    )
    data = tree[0][1][1][1][0][1]
    data[2][1][2][1] = sealed[:-16]
    data[3:] = [[0xA1, parse(attributes)[0][1]], [4, sealed[-16:]]]
    found, out = desk.open(unparse(tree), me.opener, allow_legacy=True)
    assert out == CONTENT
    assert found.authenticated
    data[3][1][0][1][1][1][0][1] = der.oid(oids.ACT)[2:]
    with pytest.raises(Refusal, match="cms-content-type"):
        desk.open(unparse(tree), me.opener, allow_legacy=True)


# PEM


@given(st.binary(max_size=400))
def test_armour_there_and_back(tmp_path_factory, octets):
    desk = Desk(tmp_path_factory.getbasetemp())
    with desk.file(octets) as bare, desk.file() as pem, desk.file() as back:
        streaming.armour(bare, len(octets), pem)
        text = whole(pem)
        assert text == armoured(octets)
        pem.seek(0)
        assert streaming.is_armoured(pem)
        streaming.unarmour(pem, len(text), back)
        assert whole(back) == octets


def test_armour_of_many_pieces(desk):
    text = armoured(CONTENT)
    other = text.replace(b"BEGIN CMS", b"BEGIN PKCS7").replace(b"END CMS", b"END PKCS7")
    for form in (text, text.replace(b"\n", b"\r\n"), b" \n" + other + b" \n" * 99):
        with desk.file(form) as pem, desk.file() as back:
            streaming.unarmour(pem, len(form), back)
            assert whole(back) == CONTENT


SPOILT = {
    "label": lambda pem: pem.replace(b"BEGIN CMS", b"BEGIN KEY"),
    "other end": lambda pem: pem.replace(b"END CMS", b"END PKCS7"),
    "cut": lambda pem: pem[:-20],
    "no base64": lambda pem: pem[:40] + b"*" + pem[41:],
    "padding amid": lambda pem: pem[:40] + b"=" + pem[41:],
    "one too few": lambda pem: pem[:40] + pem[41:],
    "more": lambda pem: pem + b"more",
    "more behind space": lambda pem: pem + b" " * 300 + b"more",
    "twice": lambda pem: pem + pem,
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_armour_that_is_none(desk, spoilt):
    form = SPOILT[spoilt](armoured(CONTENT[:1000]))
    with desk.file(form) as pem, desk.file() as back, pytest.raises(Refusal, match="bad-pem"):
        streaming.unarmour(pem, len(form), back)


# OpenSSL as judge


def openssl(folder, *words):
    done = subprocess.run(
        ["openssl", "cms", *words], cwd=folder, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.tool
@pytest.mark.parametrize("kind", KINDS)
def test_openssl_reads_ours(desk, tmp_path, kind):
    me = party(kind)
    cert, key, ca = me.files(tmp_path)
    (tmp_path / "m").write_bytes(desk.sign(CONTENT, me.signer))
    when = str(int(AT.timestamp()))
    read = ("-binary", "-inform", "DER", "-in", "m")
    assert openssl(tmp_path, "-verify", *read, "-CAfile", ca, "-attime", when, "-purpose", "any") == CONTENT
    (tmp_path / "c").write_bytes(CONTENT)
    (tmp_path / "m").write_bytes(desk.sign(CONTENT, me.signer, detached=True))
    apart = ("-content", "c", "-CAfile", ca, "-attime", when, "-purpose", "any")
    assert openssl(tmp_path, "-verify", *read, *apart) == CONTENT
    for suites in ((), tuple(OLD_SEALINGS)):
        (tmp_path / "m").write_bytes(desk.seal(CONTENT, [me.certificate], suites=suites))
        assert openssl(tmp_path, "-decrypt", *read, "-recip", cert, "-inkey", key) == CONTENT


@pytest.mark.tool
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["-stream", "-indef", "-nostream"])
def test_we_read_openssls_streams(desk, tmp_path, kind, form):
    me = party(kind)
    cert, key, ca = me.files(tmp_path)
    (tmp_path / "c").write_bytes(CONTENT)
    write = ("-binary", "-outform", "DER", "-in", "c") + (() if form == "-nostream" else (form,))
    signed = openssl(tmp_path, "-sign", *write, "-nodetach", "-signer", cert, "-inkey", key, "-certfile", ca)
    assert (signed[1] == 0x80) == (form != "-nostream")
    found, out = desk.verify(signed)
    assert (out, found.signed.signer_certificate) == (CONTENT, me.certificate)
    assert found.suite in {"p256-sha256", "p384-sha384", "rsa3072-pkcs1-sha256", None}
    for cipher in ("-aes-256-gcm", "-aes-256-cbc", "-aes-128-cbc"):
        sealed = openssl(tmp_path, "-encrypt", cipher, *write, "-recip", cert)
        found, out = desk.open(sealed, me.opener, allow_legacy=True)
        assert (out, found.authenticated) == (CONTENT, cipher == "-aes-256-gcm")
