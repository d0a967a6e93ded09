"""Targets of the repository: what strangers look up, what a look-up answers, what a CA's feed says."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from e2s.base import wire
from e2s.base.wire import b64u
from e2s.security.pki.feed_service import CHANGES, FeedClient
from e2s.security.repository.search import read_query
from e2s.security.status.entries import Entry, encode
from e2s.security.verification.places import KnownPlaces
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, read_found, search_key
from tests.fuzz.ground import pki
from tests.fuzz.shapes import bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START

_ORIGIN = "http://repository:8080"


def _query(octets: bytes) -> None:
    target = octets.decode("latin-1")
    query = read_query(target)
    promised(len(query.value) <= 256 and query.value.isprintable(), "a value is short and can be shown")
    plain = read_query(f"{query.store}?{query.attribute}={quote(query.value, safe='')}")
    promised(plain == query, "a question that is written plainly is the same")


def _queries() -> Iterator[bytes]:
    for attribute in ("certHash", "iHash", "iAndSHash", "sHash", "sKIDHash"):
        key = search_key(attribute.encode())
        yield f"{CERTIFICATES_PATH}?{attribute}={key}".encode()
        yield f"{CERTIFICATES_PATH}?{attribute}={quote(key, safe='')}".encode()
    yield f"{CERTIFICATES_PATH}?name=Anna+Bj%C3%B6rk".encode()
    yield f"{CERTIFICATES_PATH}?uri=urn%3Ae2s%3Amarket%3Aalpha".encode()
    yield f"{CRLS_PATH}?iHash={search_key(b'issuer')}".encode()


def _found(octets: bytes) -> None:
    kind, _, body = octets.partition(b"\n")
    for part in read_found(kind.decode("latin-1"), body):
        promised(part in body, "what is found stands in the answer")


def _founds() -> Iterator[bytes]:
    certificates = [pki().root.der[:200], pki().operating.der[:200]]
    yield b"application/pkix-cert\n" + certificates[0]
    head = b"--x\r\ncontent-type: application/pkix-cert\r\ncontent-transfer-encoding: binary\r\n\r\n"
    body = b"".join(head + one + b"\r\n" for one in certificates) + b"--x--\r\n"
    yield b'multipart/mixed; boundary="x"\n' + body
    yield b"multipart/mixed;boundary=x\n" + body.replace(b"pkix-cert", b"pkix-crl")


class _Saying:
    """A CA that says what it is told to; pieces of its lists are empty."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def ask(self, path: str, _body: bytes) -> bytes:
        return self._octets if path != "/list" else b""


def _feed(octets: bytes) -> None:
    client = FeedClient(_Saying(octets[1:]))
    if octets[:1] == CHANGES[1:2].encode():
        promised(all(type(one.serial) is int for one in client.changes(0, 10)), "a change is of a serial")
    else:
        promised(client.lists({(None, False, 1), (3, True, 2)}) == [], "an empty list is none")


def _feeds() -> Iterator[bytes]:
    entry = b64u(encode(Entry(7, START, "keyCompromise")))
    rows = [[1, "7", "", True, 0, b64u(b"der")], [2, "7", entry, True, 1, ""], [3, "7", "", True, 3, ""]]
    yield b"c" + wire.encode({"changes": rows})
    labels = [{"delta": False, "number": 1, "size": 9}, {"delta": True, "number": 2, "shard": 3, "size": 9}]
    yield b"l" + wire.encode({"lists": labels})
    yield b"l" + wire.encode({"lists": []})


def _place(octets: bytes) -> None:
    place = KnownPlaces([_ORIGIN]).place(octets.decode("latin-1"))
    promised(place is None or place[0] == _ORIGIN, "only a known repository is asked")


def _places() -> Iterator[bytes]:
    yield f"{_ORIGIN}/crl/{'0' * 64}.crl".encode()
    yield b"http://REPOSITORY:8080/ocsp"
    yield b"http://repository:8080@evil.example/x"


TARGETS = (
    Target(name="look-up-query", read=_query, seeds=_queries, mutate=bent, most=1200),
    Target(name="look-up-answer", read=_found, seeds=_founds, mutate=bent),
    Target(name="ca-feed", read=_feed, seeds=_feeds, mutate=bent, most=2048),
    Target(name="list-place", read=_place, seeds=_places, mutate=bent, most=600),
)
