"""An OCSP query names certificates by hashes of their issuer and by serial; it is read strictly and bounded.

RFC 6960, 4.1, with the nonce of RFC 9654.  A query's signature is not asked for, and is not looked at: what
it would prove, who asks, decides nothing here.
"""

from __future__ import annotations

from typing import NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.security.verification.structures import each_extension

MAX_QUERY_BYTES = 16 * 1024
MAX_ASKED = 64
#: RFC 9654, 2.1: 1 to 128 octets; who asks takes 32.
MAX_NONCE_BYTES = 128
NONCE_BYTES = 32
NONCE = "1.3.6.1.5.5.7.48.1.2"
_MAX_HASH_BYTES = 64
#: Octets of serials of 128 random bits.
_USUAL_SERIALS = (17, 16)
#: Of nonces: what RFC 9654 asks for, and what older programs send.
_USUAL_NONCES = (NONCE_BYTES, 16)
#: Wishes that are heard and need not be granted: kinds of answers, of signatures (4.4.3, 4.4.7), a locator.
_HEARD = frozenset(f"1.3.6.1.5.5.7.48.1.{number}" for number in (4, 7, 8))


class CertId(NamedTuple):
    """One certificate: ``der`` as asked, ``issuer`` its hashes with their algorithm, as they stand in it."""

    der: bytes
    issuer: bytes
    serial: int


class Query(NamedTuple):
    """What is asked; ``plain`` where it is one certificate and nothing else: its answer may be kept."""

    asked: tuple[CertId, ...]
    nonce: bytes | None
    plain: bool


def read_query(octets: bytes, *, most: int = MAX_ASKED) -> Query:
    """Read an OCSPRequest for at most ``most`` certificates.

    Raises :class:`Refusal` ``query-too-large``, ``query-too-many``, ``query-critical``, ``query-nonce`` or,
    for any other fault of its form, ``bad-query``.
    """
    if len(octets) > MAX_QUERY_BYTES:
        raise Refusal("query-too-large", "the query is larger than may be read", size=len(octets))
    try:
        return _query(octets, most)
    except Refusal as refusal:
        if refusal.rule.startswith("der-"):
            raise Refusal("bad-query", "the octets are no OCSP query", because=refusal.rule) from refusal
        raise


class _Usual(NamedTuple):
    """A form of queries: where CertID, serial's end and nonce are, and what stands between the last two."""

    issuer: bytes
    asked: int
    end: int
    between: bytes
    nonce: int


class UsualQueries:
    """Queries for one certificate of a known issuer, with a nonce or without, known by their octets.

    They are nearly all that are asked; whatever is not one of them is for :func:`read_query` to judge.
    """

    def __init__(self) -> None:
        """Of no issuer yet."""
        self._forms: dict[bytes, list[_Usual]] = {}
        self._serials: dict[int, set[int]] = {}

    def add(self, issuer: bytes) -> None:
        """Know the usual queries about an issuer, named as in :attr:`CertId.issuer`."""
        for size in _USUAL_SERIALS:
            asked = der.tlv(der.SEQUENCE, issuer + der.tlv(der.INTEGER, bytes(size)))
            for nonce_size in (0, *_USUAL_NONCES):
                octets = write_query((asked,), bytes(nonce_size) if nonce_size else None)
                begin, nonce = octets.index(asked), len(octets) - nonce_size
                end = begin + len(asked)
                form = _Usual(issuer, begin, end, octets[end:nonce], nonce)
                self._forms.setdefault(octets[: end - size], []).append(form)
                self._serials.setdefault(len(octets), set()).add(end - size)

    def read(self, octets: bytes) -> Query | None:
        """The query, or None where this can't tell; what it gives, :func:`read_query` would give."""
        for serial in self._serials.get(len(octets), ()):
            for issuer, begin, end, between, nonce in self._forms.get(octets[:serial], ()):
                if octets[end:nonce] != between:
                    continue
                # an INTEGER in its fewest octets, positive (X.690, 8.3.2)
                first = octets[serial]
                if not (0 < first < 0x80 or (first == 0 and octets[serial + 1] >= 0x80)):
                    return None
                one = CertId(octets[begin:end], issuer, int.from_bytes(octets[serial:end], "big"))
                told = octets[nonce:] or None
                return Query((one,), told, plain=told is None)
        return None


def write_query(asked: tuple[bytes, ...], nonce: bytes | None = None) -> bytes:
    """An OCSPRequest for these CertIDs (DER), unsigned; ``nonce`` of 1 to 128 octets."""
    requests = der.sequence(*map(der.sequence, asked))
    more = b"" if nonce is None else der.tlv(0xA2, der.sequence(nonce_extension(nonce)))
    return der.sequence(der.sequence(requests, more))


def nonce_extension(nonce: bytes) -> bytes:
    """The extension that carries a nonce, in query and answer (RFC 9654, 2.1)."""
    return der.sequence(der.oid(NONCE), der.octet_string(der.octet_string(nonce)))


def _query(octets: bytes, most: int) -> Query:
    outer = der.Reader(octets)
    whole = outer.enter()
    outer.done()
    body = whole.enter()
    if whole.peek() == 0xA0:
        whole.span(0xA0)
    whole.done()
    # version has one value, which is its default and so not written (X.690, 11.5)
    named = body.peek() == 0xA1
    if named:
        body.span(0xA1)
    listed = body.enter()
    asked: list[CertId] = []
    plain = not named
    while listed.pos != listed.end:
        if len(asked) >= most:
            raise Refusal("query-too-many", "more certificates than may be asked for at once", most=most)
        request = listed.enter()
        asked.append(_cert_id(request))
        if request.pos != request.end:
            plain = False
            _read_extensions(request, 0xA0)
    if not asked:
        raise Refusal("bad-query", "a query asks for some certificate (4.1.1)")
    nonce = None
    if body.pos != body.end:
        plain = False
        nonce = _read_extensions(body, 0xA2)
    return Query(tuple(asked), nonce, plain and len(asked) == 1)


def _cert_id(request: der.Reader) -> CertId:
    begin = request.pos
    held = request.enter()
    start = held.pos
    held.span(der.SEQUENCE)
    for _ in ("issuer's name", "issuer's key"):
        low, high = held.span(der.OCTET_STRING)
        if not 0 < high - low <= _MAX_HASH_BYTES:
            raise Refusal("bad-query", "an issuer is named by two digests (4.1.1)")
    issuer = held.data[start : held.pos]
    # RFC 5280, 4.1.2.2
    serial = held.integer(20)
    held.done()
    if serial <= 0:
        raise Refusal("bad-query", "a serial number is positive (RFC 5280, 4.1.2.2)")
    return CertId(held.data[begin : request.pos], issuer, serial)


def _read_extensions(reader: der.Reader, tag: int) -> bytes | None:
    """The nonce, where there is one; whatever else is critical and not known here refuses the query."""
    outer = reader.enter(tag)
    reader.done()
    extensions = outer.enter()
    outer.done()
    if extensions.pos == extensions.end:
        raise Refusal("bad-query", "extensions are left out where there are none (RFC 5280, 4.1)")
    nonce = None
    for oid, critical, value in each_extension(extensions):
        if oid == NONCE and tag == 0xA2:
            nonce = _nonce(value)
        elif critical and oid not in _HEARD:
            raise Refusal("query-critical", "a critical extension is not known here (4.4)", oid=oid)
    return nonce


def _nonce(value: bytes) -> bytes:
    inner = der.Reader(value)
    try:
        nonce = inner.content(der.OCTET_STRING)
        inner.done()
    except Refusal as refusal:
        raise Refusal("query-nonce", "a nonce is an OCTET STRING (RFC 9654, 2.1)") from refusal
    if not 0 < len(nonce) <= MAX_NONCE_BYTES:
        raise Refusal("query-nonce", "a nonce has 1 to 128 octets (RFC 9654, 2.1)", size=len(nonce))
    return nonce


#: AlgorithmIdentifiers of the digests by which a query may name an issuer, with NULL and without.
DIGESTS = {
    name: (der.sequence(der.oid(oid)), der.sequence(der.oid(oid), b"\x05\x00"))
    for name, oid in (
        ("sha1", oids.SHA1),
        ("sha256", oids.SHA256),
        ("sha384", oids.SHA384),
        ("sha512", oids.SHA512),
    )
}
