"""Compressed content: what is compressed comes back, from others too; and no bomb takes more than its bound."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from tests.judges.examples import example
from tests.judges.npm import judge
from tests.worlds.ber import reencoded
from tests.worlds.crypto import AT, parse, party, unparse
from tests.worlds.programs import openssl

CONTENT = b"nine resistors\nand a coil\n" * 99


def refused(octets: bytes, **more) -> str:
    with pytest.raises(Refusal) as caught:
        cms.decompress(octets, **more)
    return caught.value.rule


def packed_as(packed: bytes, algorithm: bytes = b"", version: int = 0) -> bytes:
    """A message round a zlib stream."""
    algorithm = algorithm or der.sequence(der.oid(oids.ZLIB_COMPRESSION))
    inside = der.sequence(der.oid(oids.DATA), der.tlv(0xA0, der.octet_string(packed)))
    data = der.sequence(der.integer(version), algorithm, inside)
    return der.sequence(der.oid(oids.COMPRESSED_DATA), der.tlv(0xA0, data))


@given(st.binary(max_size=3000), st.sampled_from([oids.DATA, oids.ACT]))
def test_what_is_compressed_comes_back(content, content_type):
    assert cms.decompress(cms.compress(content, content_type)) == (content_type, content)


def test_compressing_makes_smaller():
    assert len(cms.compress(CONTENT)) < len(CONTENT) / 10


def test_signed_inside_and_outside():
    signed = cms.sign(CONTENT, oids.DATA, party("p256").signer, AT)
    kind, inside = cms.decompress(cms.compress(signed, oids.SIGNED_DATA))
    assert (kind, inside) == (oids.SIGNED_DATA, signed)
    outside = cms.sign(cms.compress(CONTENT), oids.COMPRESSED_DATA, party("p256").signer, AT)
    read = cms.read_signed(outside)
    cms.check_signature(read)
    assert cms.decompress(read.octets) == (oids.DATA, CONTENT)


def test_a_message_of_others():
    """Made by the author of the ASN.1 modules for Python (tests/data/README.md)."""
    kind, content = cms.decompress(example("rfc3274-compressed"))
    assert kind == oids.DATA
    assert content.startswith(b"Content-Type: text/plain\n\nRFC 3274")


@given(data=st.data())
@settings(max_examples=20)
def test_any_encoding_is_normalised(data):
    message = cms.compress(CONTENT[:60])
    assert cms.normalised(reencoded(message, data.draw)) == message


@pytest.mark.parametrize("level", [0, 1, 9])
def test_every_level_and_null_parameters_are_read(level):
    null = der.sequence(der.oid(oids.ZLIB_COMPRESSION), b"\x05\x00")
    assert cms.decompress(packed_as(zlib.compress(CONTENT, level), null)) == (oids.DATA, CONTENT)


@pytest.mark.parametrize("size", [0, 1, 1000, 1001])
def test_the_bound_is_exact(size):
    message = packed_as(zlib.compress(bytes(size)))
    assert cms.decompress(message, max_bytes=max(size, 100))[1] == bytes(size)
    if size > 100:
        assert refused(message, max_bytes=size - 1) == "too-large"


def test_a_bomb_takes_no_more_than_its_bound():
    """A gibibyte in a mebibyte is refused once the bound is passed, and never held."""
    stream = zlib.compressobj(9, wbits=-15)
    # four mebibytes that end on an octet, over and over: the checksum is never reached
    block = stream.compress(bytes(1 << 22)) + stream.flush(zlib.Z_FULL_FLUSH)
    message = packed_as(b"\x78\xda" + block * 256)
    assert len(message) < 1 << 21
    tracemalloc.start()
    assert refused(message) == "too-large"
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * cms.compressed.MAX_BYTES


def test_a_bomb_in_a_bomb_is_bounded_at_each_layer():
    inside = cms.compress(bytes(4_000_000))
    outside = cms.compress(inside * 900, oids.COMPRESSED_DATA)
    assert refused(cms.decompress(outside)[1]) == "der-trailing"
    assert refused(cms.compress(bytes(5_000_000))) == "too-large"


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (packed_as(zlib.compress(CONTENT)[:-1]), "bad-compression"),
        (packed_as(zlib.compress(CONTENT)[:-4]), "bad-compression"),
        (packed_as(zlib.compress(CONTENT) + b"\0"), "bad-compression"),
        (packed_as(zlib.compress(CONTENT) * 2), "bad-compression"),
        (packed_as(b""), "bad-compression"),
        (packed_as(b"x" * 90), "bad-compression"),
        # raw deflate and gzip are other formats
        (packed_as(zlib.compress(CONTENT)[2:-4]), "bad-compression"),
        (packed_as(zlib.compress(CONTENT, wbits=31)), "bad-compression"),
        (packed_as(zlib.compress(CONTENT), version=1), "cms-version"),
        (packed_as(zlib.compress(CONTENT), der.sequence(der.oid(oids.SHA256))), "suite-unknown"),
        (
            packed_as(zlib.compress(CONTENT), der.sequence(der.oid(oids.ZLIB_COMPRESSION), b"\x02\x01\x09")),
            "der-trailing",
        ),
        (
            packed_as(zlib.compress(CONTENT), der.sequence(der.oid(oids.ZLIB_COMPRESSION), b"\x05\x01\x00")),
            "der-null",
        ),
        (cms.sign(CONTENT, oids.DATA, party("p256").signer, AT), "cms-content-info"),
        (bytes(5_000_000), "too-large"),
    ],
)
def test_other_forms_are_refused(octets, rule):
    assert refused(octets) == rule


def test_an_altered_checksum_is_refused():
    packed = bytearray(zlib.compress(CONTENT))
    packed[-1] ^= 1
    assert refused(packed_as(bytes(packed))) == "bad-compression"


def test_a_dictionary_is_refused():
    stream = zlib.compressobj(zdict=CONTENT[:26])
    assert refused(packed_as(stream.compress(CONTENT) + stream.flush())) == "bad-compression"


def test_absent_content_and_elements_too_many_are_refused():
    whole = cms.compress(CONTENT)
    tree = parse(whole)
    tree[0][1][1][1][0][1][2][1].pop()
    assert refused(unparse(tree)) == "der-truncated"
    count = 0

    def visit(elements: list, root: list) -> None:
        nonlocal count
        for _tag, content in elements:
            if isinstance(content, list):
                content.append([der.NULL, b"x"])
                refused(unparse(root))
                content.pop()
                count += 1
                visit(content, root)

    root = parse(whole)
    visit(root, root)
    assert count == 6


@given(octets=st.binary(max_size=300), cut=st.integers(0, 150))
def test_garbage_is_refused(octets, cut):
    whole = cms.compress(CONTENT)
    for candidate in (octets, whole[:cut] + octets, octets + whole[cut:]):
        if candidate != whole:
            refused(candidate)


@pytest.mark.tool
def test_openssl_parses_our_structure():
    """Debian's OpenSSL is built without zlib; its template for the structure is all the same another's."""
    message = cms.compress(CONTENT)
    printed = openssl("cms", "-cmsout", "-noout", "-print", "-inform", "DER", given=message).decode()
    assert "compressedData" in printed
    assert "zlib compression" in printed
    assert openssl("cms", "-cmsout", "-inform", "DER", "-outform", "DER", given=message) == message


def test_the_peer_from_npm_expands_ours_and_we_what_it_compresses():
    found = judge().ask("expand", cms=cms.compress(CONTENT))
    assert found == {"contentType": oids.DATA, "content": CONTENT, "complaints": []}
    theirs = judge().ask("compress", content=CONTENT, contentType=oids.ACT)["cms"]
    assert cms.decompress(theirs) == (oids.ACT, CONTENT)
