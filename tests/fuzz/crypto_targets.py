"""Targets of the crypto floor: DER, certificates, CMS, stamps, acts, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256, sha512

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from e2s.base.errors import E2SError, Refusal
from e2s.crypto import cms, der, oids, pem, stamps
from e2s.crypto.acts import check_act_signature, read_act, read_parcel, write_parcel
from e2s.crypto.certificates import Certificate, read_certificates
from e2s.crypto.keys import read_private_key
from e2s.crypto.suites import OLD_SEALINGS
from tests.fuzz.ground import CONTENT, acts, openers, pki, play, signed, signers, the_same, zeros
from tests.fuzz.shapes import bent, der_bent, pem_bent
from tests.fuzz.target import Target, promised
from tests.worlds.pki import START

PARCEL = "e2s/1/sample"
POLICY = "2.25.1"
STAMP_NONCE = 7


# ------------------------------------------------------------------ DER


def _checked(octets: bytes) -> None:
    der.check(octets)
    promised(_again(octets) == octets, "what is strict DER has another encoding")


def _again(octets: bytes) -> bytes:
    """The elements read and written anew."""
    reader = der.Reader(octets)
    made = b""
    while reader.pos != reader.end:
        tag = reader.peek()
        content = reader.content(tag)
        made += der.tlv(tag, _again(content) if tag & 0x20 else content)
    return made


_STEPS: tuple[Callable[[der.Reader], object], ...] = (
    lambda r: r.integer(),
    lambda r: r.integer(4000),
    lambda r: r.boolean(),
    lambda r: der.oid(r.oid()),
    lambda r: r.text(),
    lambda r: r.time(),
    lambda r: r.generalized_time(),
    lambda r: r.enter(),
    lambda r: r.enter(r.peek()),
    lambda r: r.element(),
    lambda r: r.elements(None, 100),
    lambda r: der.check_order(r.elements(None, 100)),
    lambda r: r.done(),
)


def _read_stepwise(octets: bytes) -> None:
    """The octets after the first are read by the steps that the first say."""
    steps, reader = octets[:16], der.Reader(octets[16:])
    for step in steps:
        before = reader.pos
        try:
            found = _STEPS[step % len(_STEPS)](reader)
        except E2SError:
            reader.pos = before + 1
            continue
        if isinstance(found, der.Reader):
            reader = found


def _der_seeds() -> Iterator[bytes]:
    yield from (pki().root.der, pki().crls()[0], signed()[0])
    yield der.sequence(
        der.integer(-129), der.tlv(der.BOOLEAN, b"\xff"), der.time(START), der.oid("2.25.99"), der.utf8("é")
    )


def _step_seeds() -> Iterator[bytes]:
    for seed in _der_seeds():
        yield bytes((7, 7, 0, 7, 3, 12, 9, 10, 5, 6, 4, 2, 1, 8, 11, 12)) + seed
    for n, one in enumerate((der.integer(2**40), der.integer(-1), b"\x01\x01\xff", der.oid("1.2.840.113549"),
                             der.utf8("words"), der.time(START), der.generalized_time(START))):  # fmt: skip
        yield bytes((n,)) * 16 + one * 3


# ------------------------------------------------------------------ certificates


def _certificate(octets: bytes) -> None:
    read = Certificate.read(octets)
    for shown in (read.subject, read.issuer, read.pem, read.name, repr(read), read.issuer_and_serial):
        promised(shown is not None, "a certificate can be shown")
    promised(Certificate.read(read.der) == read, "a certificate reads the same again")


def _certificates() -> list[Certificate]:
    return [pki().root, pki().operating, pki().card_ca, play().cast.buyer.certificate,
            play().cast.holder.certificate, *(one.certificate for one in (*signers(), *openers()))]  # fmt: skip


def _chain_seeds() -> Iterator[bytes]:
    found = _certificates()
    yield b"".join(one.pem for one in found)
    yield found[0].pem + b"\n# words between\n" + found[1].pem.replace(b"\n", b"\r\n")
    yield from (one.pem for one in found)
    yield found[0].der


# ------------------------------------------------------------------ CMS


def _signed_reader(limits: cms.Limits) -> Callable[[bytes], None]:
    def read(octets: bytes) -> None:
        found = cms.read_signed(octets, limits)
        detached = found.content is None
        cms.check_signature(found, CONTENT if detached else None)
        promised(
            detached or found.octets == CONTENT or found.signer_certificate.der not in _known(),
            "a signature holds for what was never signed",
        )

    return read


def _attributes(octets: bytes) -> None:
    """Signed attributes as somebody with a good key may write them."""
    signer = signers()[0]
    signature = signer.sign(der.tlv(der.SET, octets))
    outer = der.Reader(signed()[0]).enter()
    kind = outer.element()
    data = outer.enter(0xA0).enter()
    head = data.elements(None, 10)
    info = der.Reader(head.pop()).enter(der.SET).enter()
    parts = info.elements(None, 10)
    parts[3], parts[5] = der.tlv(0xA0, octets), der.octet_string(signature)
    infos = der.tlv(der.SET, der.sequence(*parts))
    message = der.sequence(kind, der.tlv(0xA0, der.sequence(*head, infos)))
    for limits in (cms.FOREIGN, cms.EXACT):
        found = cms.read_signed(message, limits)
        cms.check_signature(found)
        promised(found.said.message_digest == sha256(CONTENT).digest(), "a wrong digest is taken")


def _attribute_seeds() -> Iterator[bytes]:
    for message in signed():
        yield cms.read_signed(message).attributes


def _known() -> set[bytes]:
    return {one.certificate.der for one in signers()}


def _signed_seeds() -> Iterator[bytes]:
    yield from signed()
    for signer in signers():
        yield cms.sign(CONTENT, oids.ACT, signer, START)
    yield from _detached()


def _detached() -> Iterator[bytes]:
    """The same message without its content inside."""
    for message in signed():
        outer = der.Reader(message).enter()
        kind = outer.element()
        data = outer.enter(0xA0).enter()
        parts = [data.element(), data.element()]
        data.element()
        parts.append(der.sequence(der.oid(oids.DATA)))
        parts += data.elements(None, 10)
        yield der.sequence(kind, der.tlv(0xA0, der.sequence(*parts)))


def _opening(*, old: bool) -> Callable[[bytes], None]:
    def read(octets: bytes) -> None:
        refused = None
        for opener in openers():
            try:
                kind, content = cms.open_sealed(octets, opener, allow_legacy=old)
            except Refusal as refusal:
                refused = refusal
                continue
            good = not cms.is_authenticated(octets) or content == CONTENT
            promised(good, f"what was altered opened as {kind}")
        if refused is not None:
            raise refused

    return read


def _sealed_seeds() -> Iterator[bytes]:
    certificates = [one.certificate for one in openers()]
    for one in (*([one] for one in certificates), certificates):
        yield cms.seal(CONTENT, oids.ACT, one, zeros)
        yield cms.seal(CONTENT, oids.DATA, one, zeros)


def _old_seeds() -> Iterator[bytes]:
    yield from _sealed_seeds()
    for one in openers():
        for suite in OLD_SEALINGS:
            with suppress(Refusal):  # of a key of another kind
                yield cms.seal(CONTENT, oids.DATA, [one.certificate], zeros, suites=(suite,))


def _pem_seeds() -> Iterator[bytes]:
    yield from (pem.armoured(message) for message in signed())
    yield pem.armoured(b"").replace(b"CMS", b"PKCS7")
    yield signed()[0]


# ------------------------------------------------------------------ time stamps


def _queries() -> list[bytes]:
    imprint = sha256(CONTENT).digest()
    return [stamps.request(imprint, STAMP_NONCE), stamps.request(imprint, 2**63)]


def _asked(octets: bytes) -> None:
    stamps.read_request(octets)
    stamps.read_response(stamps.respond(octets, play().cast.tsa, 9, START, POLICY))


def _response_seeds() -> Iterator[bytes]:
    for query in _queries():
        yield stamps.respond(query, play().cast.tsa, 9, START, POLICY)
    yield stamps.reject("not now")


def _token(octets: bytes) -> None:
    stamps.read_token(octets)
    stamp = stamps.check_token(octets, sha256(CONTENT).digest(), STAMP_NONCE)
    if stamp.signed.signer_certificate == play().cast.tsa.certificate:
        promised(stamp.serial == 9 and stamp.at == START, "an altered stamp is taken")


def _foreign(octets: bytes) -> None:
    """A token of anybody's, whose certificate may stand beside it."""
    own = play().cast.tsa.certificate
    stamp = stamps.read_token(octets, foreign=True, certificates=(own,))
    if stamp.signed.signer_certificate == own:
        imprint = sha512(CONTENT).digest()
        stamp = stamps.check_token(octets, imprint, digest="sha512", foreign=True, certificates=(own,))
        promised(stamp.serial == 9 and stamp.at == START, "an altered stamp is taken")


def _foreign_seeds() -> Iterator[bytes]:
    for certificate in (True, False):
        asked = stamps.request(sha512(CONTENT).digest(), 7, digest="sha512", certificate=certificate)
        query, signer = stamps.read_request(asked), play().cast.tsa
        yield stamps.grant(
            query, signer, serial=9, at=START, policy=POLICY, ordering=certificate, named=not certificate
        )


def _token_seeds() -> Iterator[bytes]:
    yield from (stamps.read_response(one) for one in list(_response_seeds())[:2])


# ------------------------------------------------------------------ acts


def _act(octets: bytes) -> None:
    waiting = [read_act(octets)]
    while waiting:
        act = waiting.pop()
        check_act_signature(act)
        waiting += [act.inner(index) for index in range(len(act.over))]


def _act_seeds() -> Iterable[bytes]:
    return acts().values()


def _parcel_seeds() -> Iterator[bytes]:
    yield write_parcel(PARCEL, [b"one"])
    yield write_parcel(PARCEL, [pki().root.der, b"", b"three"] * 5)


# ------------------------------------------------------------------ keys


def _key(octets: bytes) -> None:
    for phrase in (None, b"a phrase"):
        try:
            read_private_key(octets, phrase)
        except E2SError as refusal:
            promised(refusal.rule, "a refusal names its rule")


def _key_seeds() -> Iterator[bytes]:
    with the_same("keys"):
        keys = [pki().issue("merchant", "urn:e2s:market:k", suite=suite)[2]
                for suite in ("p256-sha256", "p384-sha384")]  # fmt: skip
    for key in keys:
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            if form is PrivateFormat.PKCS8 or hasattr(key, "curve"):
                yield key.private_bytes(Encoding.PEM, form, NoEncryption())
        yield key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a phrase"))


TARGETS = (
    Target(name="der-check", read=_checked, seeds=_der_seeds, mutate=der_bent),
    Target(name="der-reader", read=_read_stepwise, seeds=_step_seeds, mutate=bent, most=4096),
    Target(
        name="certificate",
        read=_certificate,
        seeds=lambda: [one.der for one in _certificates()],
        mutate=der_bent,
        most=4096,
    ),
    Target(name="certificates-pem", read=read_certificates, seeds=_chain_seeds, mutate=pem_bent),
    Target(name="cms-signed", read=_signed_reader(cms.EXACT), seeds=_signed_seeds, mutate=der_bent),
    Target(name="cms-signed-foreign", read=_signed_reader(cms.FOREIGN), seeds=_signed_seeds, mutate=der_bent),
    Target(name="cms-attributes", read=_attributes, seeds=_attribute_seeds, mutate=der_bent, most=4096),
    Target(name="cms-sealed", read=_opening(old=False), seeds=_sealed_seeds, mutate=der_bent),
    Target(name="cms-sealed-old", read=_opening(old=True), seeds=_old_seeds, mutate=der_bent),
    Target(name="pem", read=pem.unarmoured, seeds=_pem_seeds, mutate=pem_bent),
    Target(name="stamp-request", read=_asked, seeds=_queries, mutate=der_bent, most=1024),
    Target(name="stamp-response", read=stamps.read_response, seeds=_response_seeds, mutate=der_bent),
    Target(name="stamp-token", read=_token, seeds=_token_seeds, mutate=der_bent),
    Target(name="stamp-foreign", read=_foreign, seeds=_foreign_seeds, mutate=der_bent),
    Target(name="act", read=_act, seeds=_act_seeds, mutate=der_bent, most=64 * 1024),
    Target(
        name="parcel",
        read=lambda octets: read_parcel(octets, PARCEL),
        seeds=_parcel_seeds,
        mutate=der_bent,
        most=8192,
    ),
    Target(name="private-key", read=_key, seeds=_key_seeds, mutate=pem_bent, most=4096, seconds=5.0),
)
