"""Values in DER, and any of their encodings in BER, for Hypothesis to draw."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from e2s.crypto import der
from e2s.crypto.ber import ANY, Shape

_STRINGS = (4, 7, 12, 18, 19, 22, 23, 24, 26, 30)


def values(max_leaves: int = 25) -> st.SearchStrategy[bytes]:
    """One DER element, of universal types and of tagged ones."""
    bits = st.tuples(st.integers(0, 7), st.binary(min_size=1, max_size=20)).map(
        lambda t: bytes((t[0],)) + t[1][:-1] + bytes((t[1][-1] >> t[0] << t[0],))
    )
    leaves = st.one_of(
        st.booleans().map(lambda b: der.tlv(der.BOOLEAN, b"\xff" if b else b"\0")),
        st.integers(-(2**70), 2**70).map(der.integer),
        st.just(b"\x05\x00"),
        st.sampled_from([der.oid("1.2.840.113549.1.7.1"), der.oid("2.5.4.3")]),
        st.tuples(st.sampled_from(_STRINGS), st.binary(max_size=300)).map(lambda t: der.tlv(*t)),
        st.one_of(bits, st.just(b"\0")).map(lambda b: der.tlv(der.BIT_STRING, b)),
        st.tuples(st.integers(0x80, 0x9E), st.binary(max_size=300)).map(lambda t: der.tlv(*t)),
    )

    def holders(inside: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        several = st.lists(inside, max_size=5)
        return st.one_of(
            several.map(lambda parts: der.sequence(*parts)),
            several.map(der.set_of),
            st.tuples(st.integers(0xA0, 0xBE), several).map(lambda t: der.tlv(t[0], b"".join(t[1]))),
        )

    return st.recursive(leaves, holders, max_leaves=max_leaves)


def reencoded(value: bytes, draw: Callable, shape: Shape = ANY) -> bytes:
    """Another encoding of the DER element ``value``, with choices from ``draw``; ``shape`` as in the walk."""
    reader = der.Reader(value)
    tag = reader.peek()
    content = reader.content(tag)
    # a fifth of the elements in each of the further forms
    die = draw(st.integers(0, 4))
    if shape.opaque:
        return _headed(tag, content, draw)
    if not tag & 0x20:
        if shape.string or tag in _STRINGS or tag == der.BIT_STRING:
            return _string(tag, content, draw) if die < 2 else _headed(tag, content, draw)
        if tag == der.BOOLEAN and content != b"\0":
            content = bytes((draw(st.integers(1, 255)),))
        return _headed(tag, content, draw)
    shapes, at, parts = shape, 0, []
    inside = der.Reader(content)
    while inside.pos != inside.end:
        part = inside.element()
        of = shape if shapes.unsorted else ANY
        if shapes.repeated:
            of = shapes.fields[0].get(part[0], ANY)
        else:
            for index in range(at, len(shapes.fields)):
                if part[0] in shapes.fields[index]:
                    at, of = index + 1, shapes.fields[index][part[0]]
                    break
        # a string's tag in pieces stands for its tag whole
        if part[0] == 0x80 and of is ANY and shapes.fields and not shapes.repeated:
            of = next((f[0xA0] for f in shapes.fields if 0x80 in f and f[0xA0].string), ANY)
        if part[0] == der.OID and shapes.choices:
            shapes = shapes.choices.get(part[2:], ANY)
        parts.append(reencoded(part, draw, of))
    if shape.ordered or (tag == der.SET and not shape.unsorted):
        parts = draw(st.permutations(parts))
    body = b"".join(parts)
    return bytes((tag, 0x80)) + body + b"\0\0" if die < 2 else _headed(tag, body, draw)


def lengthened(elements: list, piece: int = 0) -> bytes:
    """All that has parts of indefinite length, OCTET STRINGs in pieces of so many octets."""
    parts = []
    for tag, content in elements:
        if isinstance(content, list):
            parts.append(bytes((tag, 0x80)) + lengthened(content, piece) + b"\0\0")
        elif piece and tag in {der.OCTET_STRING, 0x80}:
            pieces = (content[at : at + piece] for at in range(0, len(content), piece))
            inside = b"".join(map(der.octet_string, pieces))
            parts.append(bytes((tag | 0x20, 0x80)) + inside + b"\0\0")
        else:
            parts.append(der.tlv(tag, content))
    return b"".join(parts)


def _headed(tag: int, content: bytes, draw: Callable) -> bytes:
    """With a length in any form."""
    width = draw(st.sampled_from([0, 0, 0, 4, 9]))
    if not width:
        return der.tlv(tag, content)
    return bytes((tag, 0x80 | width)) + len(content).to_bytes(width, "big") + content


def _string(tag: int, content: bytes, draw: Callable, depth: int = 0) -> bytes:
    """In pieces, some of them in pieces again."""
    bits = tag == der.BIT_STRING
    piece = der.BIT_STRING if bits else der.OCTET_STRING
    unused, octets = (content[:1], content[1:]) if bits else (b"", content)
    # unused bits are the last piece's, which then has octets
    cuts = sorted(draw(st.lists(st.integers(0, max(len(octets) - bits, 0)), max_size=3)))
    pieces = []
    for index, (begin, end) in enumerate(zip((0, *cuts), (*cuts, len(octets)), strict=True)):
        part = (unused if index == len(cuts) else b"\0") * bits + octets[begin:end]
        if depth < 2 and draw(st.booleans()):
            pieces.append(_string(piece, part, draw, depth + 1))
        else:
            pieces.append(_headed(piece, part, draw))
    body = b"".join(pieces)
    if draw(st.booleans()):
        return bytes((tag | 0x20, 0x80)) + body + b"\0\0"
    return _headed(tag | 0x20, body, draw)
