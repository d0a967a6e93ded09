"""Targets of the room of status: what strangers ask, and what a CA's feed says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from e2s.base.database import Database
from e2s.base.http import Request
from e2s.security.status import store
from e2s.security.status.answers import INTERNAL, MALFORMED, UNAUTHORIZED, cert_id
from e2s.security.status.entries import Entry, decode, encode
from e2s.security.status.lists import write_list
from e2s.security.status.queries import read_query, write_query
from e2s.security.status.responder import QUERY, Responder
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.ocsp import Answer
from e2s.security.verification.revoked import REASONS
from tests.fuzz.ground import pki, play, the_same
from tests.fuzz.shapes import bent, der_bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START, SetClock


@cache
def _responder() -> Responder:
    with the_same("responder"):
        signer = pki().signer("ocsp-responder", "urn:e2s:market:ca:ocsp")
    database = Database.open(Path(mkdtemp(prefix="e2s-fuzz-")) / "status.sqlite", store.TABLES)
    responder = Responder(database, clock=SetClock())
    responder.speak(pki().operating, signer)
    with database.transaction() as connection:
        responder.apply(connection, pki().operating, [], START)
    return responder


def _query(octets: bytes) -> None:
    """Whoever asks gets an answer about what was asked, or is told that the query is none."""
    response = _responder().handle(Request("POST", "/", octets, {"content-type": QUERY}))
    promised(response.status == 200, "a query gets an answer")
    promised(response.body != INTERNAL, "a query is no fault of ours")
    query = read_query(octets)
    promised(response.body != MALFORMED, "a query that can be read is not called malformed")
    if response.body != UNAUTHORIZED:
        singles = Answer.read(response.body).singles
        promised([one.serial for one in singles] == [one.serial for one in query.asked], "all are answered")


def _query_seeds() -> Iterator[bytes]:
    certificate, issuer = play().cast.merchant.certificate, pki().operating
    for hashing in ("sha1", "sha256"):
        yield write_query((cert_id(issuer, certificate.serial, hashing),))
    yield write_query((cert_id(issuer, 5), cert_id(issuer, 2**100)), b"n" * 32)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.x509, issuer.x509, hashes.SHA1())
    builder = builder.add_extension(x509.OCSPNonce(b"n" * 16), critical=False)
    types = x509.OCSPAcceptableResponses([x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")])
    yield builder.add_extension(types, critical=False).build().public_bytes(Encoding.DER)


def _path(octets: bytes) -> None:
    response = _responder().handle(Request("GET", "/" + octets.decode("latin-1")))
    promised(response.status == 200, "a query gets an answer")
    promised(response.body != INTERNAL, "a query is no fault of ours")


def _path_seeds() -> Iterator[bytes]:
    for octets in _query_seeds():
        yield base64.b64encode(octets)
        yield base64.b64encode(octets).replace(b"/", b"%2F").replace(b"=", b"%3D")


def _entry(octets: bytes) -> None:
    promised(encode(decode(octets)) is not None, "an entry that is read can be written")


def _entries() -> Iterator[bytes]:
    for number, reason in enumerate(sorted(set(REASONS.values()))):
        yield encode(Entry(2 ** (15 * number), START, reason, START if number % 2 else None))


def _listed(octets: bytes) -> None:
    """The look-up in a list of these entries, signed by a CA, agrees with reading them one by one."""
    with the_same("listed"):
        index = CrlIndex.read(_list_of(octets))
        for serial in index.revoked:
            promised(index.revoked.get(serial) is not None, "what is listed is found")


def _list_of(entries: bytes) -> bytes:
    signer = pki().operating_ca.signer
    return write_list([entries], signer, number=1, at=START, until=START + timedelta(days=1))


def _listed_seeds() -> Iterator[bytes]:
    yield b"".join(one for one in _entries() if decode(one).reason != "removeFromCRL")
    yield b""


TARGETS = (
    Target(name="ocsp-query", read=_query, seeds=_query_seeds, mutate=der_bent, most=4096),
    Target(name="ocsp-path", read=_path, seeds=_path_seeds, mutate=bent, most=2048),
    Target(name="crl-entry", read=_entry, seeds=_entries, mutate=der_bent, most=512),
    Target(name="crl-entries", read=_listed, seeds=_listed_seeds, mutate=der_bent, most=2048),
)
