"""Targets of PSEs and other providers: what is said of a delivery, parcels, PKCS #12, records, attestations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from e2s.base import wire
from e2s.crypto.cms import FOREIGN, open_sealed, read_signed
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import signing
from e2s.crypto.openers import KeyOpener
from e2s.crypto.suites import signature_suite_of
from e2s.security.certificates.attestation import read_bundle, request_attested
from e2s.security.certificates.certify import request
from e2s.security.environments import documents, messages, parcel, pkcs12
from e2s.security.environments.kinds import read_kinds, shipped, written
from e2s.security.external import records
from e2s.security.external.providers import Provider
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry
from tests.fuzz.ground import pki, the_same, zeros
from tests.fuzz.shapes import der_bent, document_bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START

_SECRET = b"0000-1111-2222-3333-4444-5555-6666-7777"
_NAME = "urn:e2s:market:alpha:anna"
_WORD = "a word"


@cache
def _entry() -> Entry:
    with the_same("environments"):
        certificate, chain, key = pki().issue("person", _NAME)
    return Entry(private_key=key, certificate=certificate, chain=chain)


@cache
def _agreement() -> KeyOpener:
    with the_same("environments agreement"):
        certificate, _chain, key = pki().issue("person-agreement", _NAME)
    return KeyOpener(certificate, key)


@cache
def _component() -> KeySigner:
    with the_same("environments component"):
        return pki().signer("component", "urn:e2s:market:authority:enrolment")


def _look() -> messages.Look:
    return messages.Look(reference="abcd2345", origin="http://enrol", at=START, nonce=bytes(16))


def _looks() -> Iterator[bytes]:
    yield documents.sealed(_look().said(), _SECRET)


def _offers() -> Iterator[bytes]:
    for kind in shipped().values():
        offer = messages.Offer(
            reference="abcd2345", nonce=bytes(16), kind=kind, names=(_NAME,), root=pki().root
        )
        yield documents.sealed(offer.said(), _SECRET)


def _ask(**more) -> messages.Ask:
    return messages.Ask(
        reference="abcd2345",
        origin="http://enrol",
        at=START,
        nonce=bytes(16),
        seal_to=_agreement().certificate,
        kind="person",
        requests={"signature": request(_entry().private_key, (_NAME,)), "agreement": b""},
        **more,
    )


def _asks() -> Iterator[bytes]:
    yield documents.sealed(_ask().said(), _SECRET)


def _held() -> Iterator[bytes]:
    yield wire.encode(_ask(held={"signature": _entry().certificate}).said())


def _ends() -> Iterator[bytes]:
    word = messages.End(origin="", at=START, reason="superseded", certificates=(_entry().certificate,))
    yield word.encoded()


def _parcels() -> Iterator[bytes]:
    entry, opener = _entry(), _agreement()
    entries = (
        parcel.Delivered(label="signature", certificate=entry.certificate, chain=entry.chain),
        parcel.Delivered(label="agreement", certificate=opener.certificate, key=opener._key),
    )
    contents = parcel.Contents(reference="abcd2345", ask=bytes(32), kind="person", entries=entries)
    with the_same("a parcel"):
        yield parcel.sealed_parcel(
            contents, opener.certificate, _component(), START, secret=_SECRET, random=zeros
        )


def _open(octets: bytes) -> None:
    contents, _signed = parcel.open_parcel(octets, _agreement(), secret=_SECRET)
    promised(contents.ask == bytes(32), "what opens is what was sealed")


def _answers() -> Iterator[bytes]:
    for one in _parcels():
        yield parcel.answer(one, pki().root, pki().crls(START))


def _pkcs12s() -> Iterator[bytes]:
    with the_same("pkcs12"):
        yield pkcs12.written("signature", _entry(), Phrase(_WORD), iterations=1000)


def _pkcs12(octets: bytes) -> None:
    pkcs12.look(octets, unsafe_allow_old=False)


@cache
def _records() -> bytes:
    with the_same("records"):
        signer = pki().signer("officer", "urn:e2s:market:authority:petra")
        roots = [wire.b64u(pki().root.der)]
        made = Provider(
            name="partner", roots=(pki().root,), purposes=("email",), permitted=("mail:partner.example",)
        )
        document = records.document_of(
            records.TRUST,
            "partner",
            certificate=signer.certificate,
            to="ca",
            at=START,
            before=(),
            roots=roots,
            limits=made.said(),
        )
        first = records.read_record(records.signed(document, signer, START), (), root=pki().root, to="ca")
    return records.written((first,))


def _record_files() -> Iterator[bytes]:
    yield _records()


def _chain(octets: bytes) -> None:
    found = records.read_file(octets)
    state = records.state_of(records.read_chain(found, root=pki().root, to=records.domain_in(found)))
    promised(all(one.closed for one in state.anchors()), "nobody is trusted without limits")


def _attestations() -> Iterator[bytes]:
    key = _entry().private_key
    suite = signature_suite_of(key)
    with the_same("attestation"):
        yield request_attested(signing(key), suite, (_NAME,), _entry().certificate, _entry().chain)


def _contents() -> Iterator[bytes]:
    for one in _parcels():
        yield open_sealed(read_signed(one, FOREIGN).octets, _agreement())[1]


def _kinds() -> Iterator[bytes]:
    yield written(tuple(shipped().values())).encode()


TARGETS = (
    Target(
        name="pse look",
        read=lambda octets: documents.read_look(octets, _SECRET),
        seeds=_looks,
        mutate=document_bent,
    ),
    Target(
        name="pse offer",
        read=lambda octets: documents.read_offer(octets, _SECRET, _look()),
        seeds=_offers,
        mutate=document_bent,
    ),
    Target(
        name="pse ask",
        read=lambda octets: documents.read_ask(octets, _SECRET),
        seeds=_asks,
        mutate=document_bent,
    ),
    Target(
        name="pse signed ask",
        read=lambda octets: documents.read_ask(octets, None),
        seeds=_held,
        mutate=document_bent,
    ),
    Target(name="pse end", read=documents.read_end, seeds=_ends, mutate=document_bent),
    Target(name="pse parcel", read=_open, seeds=_parcels, mutate=der_bent),
    Target(
        name="pse contents",
        read=lambda octets: parcel.read_contents(octets, None),
        seeds=_contents,
        mutate=document_bent,
    ),
    Target(name="pse answer", read=parcel.read_answer, seeds=_answers, mutate=der_bent),
    Target(name="pkcs12", read=_pkcs12, seeds=_pkcs12s, mutate=der_bent),
    Target(name="kinds of pse", read=read_kinds, seeds=_kinds),
    Target(name="records of others", read=_chain, seeds=_record_files, mutate=der_bent),
    Target(name="attestation", read=read_bundle, seeds=_attestations, mutate=der_bent),
)
