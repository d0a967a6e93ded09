"""Targets of the floors of security, network and server: trust, key files, sessions, the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from e2s.base import wire
from e2s.base.errors import E2SError
from e2s.base.events import Event
from e2s.base.instants import format_instant
from e2s.crypto import der, oids
from e2s.crypto.acts import read_parcel, write_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signing import sign
from e2s.crypto.keys import KeySigner
from e2s.network.sessions import calls, login, pages, presence, records
from e2s.network.sessions.client import Origin
from e2s.network.sessions.keys import SessionKeys
from e2s.network.sessions.records import Channel, Kind, Side
from e2s.security.ceremonies import ceremony
from e2s.security.certificates import lint
from e2s.security.certificates.certify import read_request, request
from e2s.security.certificates.profiles import PROFILES, read_profiles
from e2s.security.keys import container
from e2s.security.keys.container import Cost
from e2s.security.keys.lent import lent
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from e2s.security.pki import approvals
from e2s.security.pki.statement import request_stated
from e2s.security.verification import signatures
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.ocsp import Answer, is_delegated
from e2s.security.verification.traits import traits
from e2s.server.audit import batch
from tests.fuzz.ground import CONTENT, pki, play, signers, the_same, zeros
from tests.fuzz.shapes import bent, der_bent, document_bent, framed
from tests.fuzz.target import Target, promised
from tests.network.settings import Randomness
from tests.worlds.pki import START

PATH = "e2s/1/path"
_ECDSA = der.sequence(der.oid(oids.ECDSA_SHA256))
_CHEAP = Cost(memory_kib=8, passes=1)
_KEYS = SessionKeys(c2s_key=b"k" * 32, s2c_key=b"l" * 32, c2s_iv=b"i" * 12, s2c_iv=b"j" * 12)
_SID = bytes(range(16))


# ------------------------------------------------------------------ trust


def _crl(octets: bytes) -> None:
    index = CrlIndex.read(octets)
    signed = [ca for ca in (pki().root, pki().operating, pki().card_ca) if index.signed_by(ca)]
    index.fresh(START)
    promised(not signed or octets in _crls() or not index.revoked or signed, "a list is read")


@cache
def _crls() -> tuple[bytes, ...]:
    with the_same("lists"):
        pki().revoke(play().cast.tsa.certificate, reason="superseded")
        made = pki().crls()
        pki().operating_ca.revoked.clear()
    return made


def _path(octets: bytes) -> None:
    """A parcel of a certificate and those beside it, judged with a parcel's lists."""
    first, *rest = read_parcel(octets, PATH)
    lists = [one for one in rest if one[:1] == b"L"]
    others = [Certificate.read(one[1:]) for one in rest if one[:1] == b"C"]
    verdict = (
        pki()
        .verifier()
        .judge(
            Certificate.read(first),
            others,
            [one[1:] for one in lists],
            at=START,
            purpose=oids.SIGNING["merchant"],
            name=None,
        )
    )
    promised(verdict.reason, "a verdict says why")
    if verdict.accepted:
        promised(first in {one.certificate.der for one in signers()}, "an altered certificate is trusted")


def _insider(octets: bytes) -> None:
    """What a CA that is confined to card-holders may sign: the octets are what it signs."""
    ca = pki().bank_ca.signer
    signature = der.tlv(der.BIT_STRING, b"\0" + ca.sign(octets))
    certificate = Certificate.read(der.sequence(octets, _ECDSA, signature))
    for purpose in (oids.SIGNING["card-holder"], oids.SIGNING["merchant"], None):
        verdict = (
            pki()
            .verifier()
            .judge(certificate, [ca.certificate], _crls(), at=START, purpose=purpose, name=None)
        )
        promised(verdict.accepted or (verdict.reason and verdict.rule), "a verdict says why")
        promised(
            not verdict.accepted or purpose != oids.SIGNING["merchant"],
            "a CA for card-holders certifies a merchant",
        )


def _insider_seeds() -> Iterator[bytes]:
    yield play().cast.holder.certificate.slices.tbs
    with the_same("insider"):
        yield pki().issue("card-holder-agreement", "urn:e2s:market:bank:card:7f3a")[0].slices.tbs
    yield signers()[0].certificate.slices.tbs


def _insider_list(octets: bytes) -> None:
    """A list as a hostile CA may sign it."""
    ca = pki().bank_ca.signer
    signature = der.tlv(der.BIT_STRING, b"\0" + ca.sign(octets))
    crl = der.sequence(octets, _ECDSA, signature)
    promised(CrlIndex.read(crl).number >= -(2**200), "a list has a number")
    holder = play().cast.holder
    lists = (*_crls()[:2], crl)
    pki().verifier().judge(holder.certificate, holder.chain, lists, at=START, purpose=None, name=None)


def _list_seeds() -> Iterator[bytes]:
    with the_same("insider lists"):
        pki().revoke(play().cast.holder.certificate, at=START)
        pki().revoke(pki().issue("card-holder", "urn:e2s:market:bank:card:1")[0], reason="superseded")
        octets = pki().crls()[2]
        pki().bank_ca.revoked.clear()
    yield der.Reader(octets).enter().element(der.SEQUENCE)
    yield der.Reader(_crls()[2]).enter().element(der.SEQUENCE)


def _path_seeds() -> Iterator[bytes]:
    lists = [b"L" + one for one in pki().crls()]
    for one in (*signers(), play().cast.holder):
        issuers = [b"C" + above.der for above in one.chain]
        yield write_parcel(PATH, [one.certificate.der, *issuers, *lists])
        yield write_parcel(PATH, [one.certificate.der, *issuers, b"C" + pki().root.der, *issuers, lists[1]])


def _ceremony_seeds() -> Iterator[bytes]:
    rights = frozenset({("officer", "certify", "market"), ("other", "revoke", "market")})
    yield ceremony.write_record(pki().root_ca.signer, community="market", rights=rights, at=START)


def _linted(octets: bytes) -> None:
    """A certificate under the linter: findings, each with its rule, and nothing signed that has some."""
    found = lint.certificate(octets, PROFILES["merchant"])
    promised(all(one.rule.startswith("lint-") for one in found), "a finding names its rule")
    known = octets in {one.certificate.der for one in signers()}
    promised(not known or not found, "what was certified is clean")


def _lint_seeds() -> Iterator[bytes]:
    yield signers()[0].certificate.der
    yield pki().operating.der
    yield pki().card_ca.der


def _profile_seeds() -> Iterator[bytes]:
    yield b'[[profile]]\nname = "laboratory"\nuse = "sign"\ndays = 365\nekus = ["email", "2.25.1"]\n'
    yield (
        b'[[profile]]\nname = "a"\nuse = "certify"\ndays = 9\npath_length = 0\nissues = ["a"]\n'
        b'policies = ["low", "any"]\nmappings = [["low", "1.2.3"]]\npermitted = ["dns:a.example", "ip:10.0.0.0/8"]\n'
        b'excluded = ["dir:O=b", "mail:.c.example"]\nrequire_explicit = 0\ninhibit_any = 1\nfour_eyes = true\n'
    )


def _request_seeds() -> Iterator[bytes]:
    with the_same("requests"):
        for suite in ("p256-sha256", "p384-sha384"):
            key = pki().issue("merchant", "urn:e2s:market:k", suite=suite)[2]
            yield request(key, ("urn:e2s:market:volt", "https://volt.example:443"))
        agrees = pki().issue("merchant-agreement", "urn:e2s:market:k", suite="x25519-aes256gcm")[0]
        yield request_stated(agrees.public_key, agrees.names, pki().signer("merchant", "urn:e2s:market:k"))


def _word(octets: bytes) -> None:
    """What an officer signed, altered by nobody but her."""
    given = sign(octets, oids.DATA, _officer(), START)
    read = approvals.read_withdrawal if b"e2s/1/withdrawal" in octets else approvals.read_approval
    read(given)


@cache
def _officer() -> KeySigner:
    with the_same("officer"):
        return pki().signer("officer", "urn:e2s:market:ca:olga")


@cache
def _words() -> tuple[bytes, ...]:
    day, officer = format_instant(START + timedelta(days=1)), _officer().certificate.name
    order = {
        "case": "c-1",
        "profile": "buyer",
        "names": ["urn:e2s:market:alpha:ada"],
        "spki": wire.b64u(bytes(32)),
        "confidence": "",
        "evidence": [wire.b64u(bytes(32))],
    }
    said = {"community": "market", "ca": "ca", "officer": officer, "at": format_instant(START), "until": day}
    registration = wire.encode({"type": "e2s/1/registration", "case": "c", "orders": [order], **said})
    inner = sign(registration, oids.DATA, _officer(), START)
    approval = {
        "type": "e2s/1/registration-approval",
        "of": wire.b64u(sha256(inner).digest()),
        "registration": wire.b64u(inner),
        "officer": officer,
        "at": format_instant(START),
    }
    withdrawal = {"type": "e2s/1/withdrawal", "serial": "80", "act": "revoke", "reason": "superseded"}
    return registration, wire.encode(approval), wire.encode({**withdrawal, "case": "", **said})


def _signed_words() -> Iterator[bytes]:
    return (sign(word, oids.DATA, _officer(), START) for word in _words()[:2])


def _ocsp(octets: bytes) -> None:
    answer = Answer.read(octets)
    for ca in (pki().root, pki().operating):
        answer.by(ca)
        answer.single(traits(play().cast.merchant.certificate), traits(ca))
        is_delegated(ca, pki().root)
        signatures.good(ca.public_key, answer.algorithm, answer.signature, answer.tbs, ca.spki)


def _ocsp_seeds() -> Iterator[bytes]:
    """Answers by a CA of the world, made by the library: good, revoked, and none."""
    certificate, issuer = play().cast.merchant.certificate.x509, pki().operating.x509
    key = lent(pki().operating_ca.signer)
    for status, at in ((ocsp.OCSPCertStatus.GOOD, None), (ocsp.OCSPCertStatus.REVOKED, START)):
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate,
            issuer=issuer,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=START,
            next_update=START + timedelta(days=1),
            revocation_time=at,
            revocation_reason=x509.ReasonFlags.key_compromise if at else None,
        )
        by_hash = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).certificates([issuer])
        yield by_hash.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        by_name = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, issuer)
        yield by_name.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    status_only = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    yield status_only.public_bytes(Encoding.DER)


# ------------------------------------------------------------------ key files


def _phrase() -> Phrase:
    return Phrase("a phrase of a test")


def _container(octets: bytes) -> None:
    """The header alone is hostile here; what it may cost its reader is bounded, so it is not derived."""
    held = container.read(octets)
    if held.cost.memory_kib <= 64 and held.cost.passes <= 2:
        keys = held.unlock(_phrase())
        for label in held.sections:
            held.open(keys, label)
        promised(octets in _container_seeds(), "an altered container opens")


@cache
def _container_seeds() -> tuple[bytes, ...]:
    random = Randomness(b"container")
    return (
        container.seal({"": b"directory", "buyer": b"key"}, _phrase(), cost=_CHEAP, random=random),
        container.seal(
            {"": b"{}"}, _phrase(), cost=Cost(kdf="scrypt", memory_kib=16, passes=1), random=random
        ),
    )


@cache
def _folder() -> Path:
    return Path(mkdtemp(prefix="e2s-fuzz-"))


def _directory(octets: bytes) -> None:
    """Whoever knows the pass phrase may still write nonsense into the directory."""
    path = _folder() / "fuzz.pse"
    path.write_bytes(container.seal({"": octets}, _phrase(), cost=_CHEAP, random=zeros))
    pse = SoftwarePse.open(path, _phrase())
    for label in pse.labels():
        promised(pse.certificate(label), "a key has its certificate")
        pse.signer(label)
        pse.opener(label)


def _directory_seeds() -> Iterator[bytes]:
    with the_same("directory"):
        for kind, label in (("merchant", "merchant"), ("merchant-agreement", "agreement")):
            certificate, chain, key = pki().issue(kind, "urn:e2s:market:k")
            path = _folder() / f"{label}.pse"
            path.unlink(missing_ok=True)
            entry = Entry(private_key=key, certificate=certificate, chain=chain)
            SoftwarePse.create(path, _phrase(), {label: entry}, cost=_CHEAP, random=Randomness(b"pse"))
            held = container.read(path.read_bytes())
            yield held.open(held.unlock(_phrase()), "")
    yield wire.encode({"entries": []})


# ------------------------------------------------------------------ sessions


def _record(octets: bytes) -> None:
    records.read_header(octets)
    for side in Side:
        try:
            Channel(side, _SID, _KEYS).open(octets)
        except E2SError as refusal:
            promised(refusal.rule, "a refusal names its rule")
        else:
            promised(octets in _record_seeds(), "an altered record opens")


@cache
def _record_seeds() -> tuple[bytes, ...]:
    buyer, merchant = (Channel(side, _SID, _KEYS) for side in Side)
    return (buyer.seal(Kind.REQUEST, b"x" * 300), merchant.seal(Kind.ANSWER, CONTENT))


def _padded(octets: bytes) -> None:
    """The plaintext of a record as a peer with good keys may write it."""
    size = -(-max(len(octets), 1) // 256) * 256
    plain = octets.ljust(size, b"\x00")
    header = records.MAGIC + bytes((2, 2)) + _SID + (1).to_bytes(8, "big") + len(plain).to_bytes(4, "big")
    sealed = AESGCM(_KEYS.s2c_key).encrypt(
        (int.from_bytes(_KEYS.s2c_iv, "big") ^ 1).to_bytes(12, "big"), plain, header
    )
    Channel(Side.BUYER, _SID, _KEYS).open(header + sealed)


def _call_seeds() -> Iterator[bytes]:
    yield calls.write_call(calls.Call("r-1", "search", {"q": "resistor", "limit": 10}))
    yield calls.write_call(calls.Call("r-2", "basket", {"lines": [{"sku": "A", "qty": "1"}]}))


def _answer_seeds() -> Iterator[bytes]:
    yield calls.write_result(1, "r-1", {"items": [{"sku": "A"}], "count": 1})
    yield calls.write_refusal(2, "r-1", E2SError("no-such-item", "there is none"))  # type: ignore[arg-type]
    yield calls.write_challenge(3, "r-1", b"c" * 32)


@cache
def _shop() -> pages.Shop:
    with the_same("shop"):
        name, origin = "urn:e2s:market:volt", "https://volt.example:443"
        signing, chain, _ = pki().issue("merchant", (name, origin))
        agreement, _, _ = pki().issue("merchant-agreement", name)
    suites = ("p384-hkdf-sha384-aes256gcm", "p256-hkdf-sha256-aes256gcm")
    return pages.Shop(
        merchant=name,
        origin=origin,
        suites=suites,
        signing=signing,
        agreement=agreement,
        chain=chain,
        fronts=(b"F" * 32,),
    )


@cache
def _page() -> bytes:
    return pages.make_page(_shop(), b"s" * 32, Randomness(b"page"), START)


def _page_read(octets: bytes) -> None:
    pages.read_page(octets)
    pages.check_page(_shop(), b"s" * 32, octets, START)
    promised(octets == _page(), "a page that was not served is taken")


def _login_document() -> wire.Document:
    shares = [(name, b"\x04" + b"s" * 64) for name in _shop().suites]
    page = pages.read_page(_page())
    tls = login.Binding.of(b"F" * 32)
    return login.write_login(
        sender=signers()[0].certificate.id,
        page=page,
        nonce=b"n" * 32,
        offer=page.offer,
        shares=shares,
        tls=tls,
        at=START,
    )


def _login(octets: bytes) -> None:
    found = login.read_login(wire.decode(octets))
    login.check_login(found, pages.read_page(found.page), _shop())


def _login_answer() -> wire.Document:
    return {
        "type": login.LOGIN_ANSWER,
        "from": signers()[0].certificate.id,
        "to": [signers()[1].certificate.id],
        "at": "2026-03-02T09:00:00Z",
        "until": "2026-03-02T09:02:00Z",
        "req": "sha-256:" + wire.b64u(bytes(32)),
        "nM": wire.b64u(pages.read_page(_page()).nonce),
        "nB": wire.b64u(b"n" * 32),
        "kex": {"suite": _shop().suites[0], "share": wire.b64u(b"\x04" + b"t" * 64)},
        "sid": wire.b64u(_SID),
        "catalogue": "/catalogue",
        "idle": 900,
        "presence": 600,
        "end": "2026-03-02T18:00:00Z",
    }


def _login_answer_read(octets: bytes) -> None:
    login.read_answer(
        wire.decode(octets),
        login_id="sha-256:" + wire.b64u(bytes(32)),
        page=pages.read_page(_page()),
        nonce=b"n" * 32,
        offered=_shop().suites,
        at=START,
    )


def _presence_seeds() -> Iterator[bytes]:
    yield wire.encode(
        presence.write_presence(
            sender=signers()[0].certificate.id,
            merchant="urn:e2s:market:volt",
            challenge=b"c" * 32,
            sid=_SID,
            th=b"t" * 32,
            seq=4,
            at=START,
        )
    )


# ------------------------------------------------------------------ the log, origins


def _events() -> Iterator[bytes]:
    yield Event(
        kind="key.sign", at=START, component="till", facts={"label": "merchant", "times": 2}
    ).encoded()
    yield Event(kind="refused", at=START, component="door", outcome="refused").encoded()


def _batch_seeds() -> Iterator[bytes]:
    yield batch.write_batch(list(enumerate(_events(), 1)))
    yield batch.write_batch([(7, next(_events()))], outbox="outside-1")


def _origin(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    promised(Origin.parse(text).host, "an origin has a host")


def _headed(magic: int) -> Callable[[bytes, Random], bytes]:
    return framed(magic, document_bent)


TARGETS = (
    Target(name="crl", read=_crl, seeds=_crls, mutate=der_bent, most=4096),
    Target(name="ocsp", read=_ocsp, seeds=_ocsp_seeds, mutate=der_bent, most=4096),
    Target(name="path-by-insider", read=_insider, seeds=_insider_seeds, mutate=der_bent, most=4096),
    Target(name="crl-by-insider", read=_insider_list, seeds=_list_seeds, mutate=der_bent, most=4096),
    Target(name="path", read=_path, seeds=_path_seeds, mutate=der_bent, most=32 * 1024),
    Target(name="certificate-lint", read=_linted, seeds=_lint_seeds, mutate=der_bent, most=4096),
    Target(name="certificate-profiles", read=read_profiles, seeds=_profile_seeds, most=4096),
    Target(name="certificate-request", read=read_request, seeds=_request_seeds, mutate=der_bent, most=4096),
    Target(name="officers-word", read=_word, seeds=_words, mutate=document_bent),
    Target(name="approval", read=approvals.read_approval, seeds=_signed_words, mutate=der_bent, most=8192),
    Target(
        name="ceremony",
        read=lambda octets: ceremony.read_record(octets, pki().root),
        seeds=_ceremony_seeds,
        mutate=der_bent,
    ),
    Target(
        name="pse-container",
        read=_container,
        seeds=_container_seeds,
        mutate=_headed(len(container.MAGIC)),
        most=2048,
    ),
    Target(name="pse-directory", read=_directory, seeds=_directory_seeds, mutate=document_bent),
    Target(name="record", read=_record, seeds=_record_seeds, most=2048),
    Target(
        name="record-plaintext",
        read=_padded,
        seeds=lambda: [wire.len4(CONTENT), wire.len4(b"x" * 252), wire.len4(b"x" * 253)],
        most=2048,
    ),
    Target(name="session-call", read=calls.read_call, seeds=_call_seeds, mutate=document_bent),
    Target(name="session-answer", read=calls.read_answer, seeds=_answer_seeds, mutate=document_bent),
    Target(name="login-page", read=_page_read, seeds=lambda: [_page()], mutate=document_bent),
    Target(
        name="login-page-answer",
        read=pages.read_page_answer,
        seeds=lambda: [pages.write_page_answer(_shop(), _page())],
        mutate=der_bent,
    ),
    Target(name="login", read=_login, seeds=lambda: [wire.encode(_login_document())], mutate=document_bent),
    Target(
        name="login-answer",
        read=_login_answer_read,
        seeds=lambda: [wire.encode(_login_answer())],
        mutate=document_bent,
    ),
    Target(
        name="presence",
        read=lambda octets: presence.PRESENCE_FORM.check(wire.decode(octets)),
        seeds=_presence_seeds,
        mutate=document_bent,
    ),
    Target(name="audit-batch", read=batch.read_batch, seeds=_batch_seeds, mutate=document_bent),
    Target(
        name="audit-head",
        read=batch.read_head,
        seeds=lambda: [batch.write_head(9, b"d" * 32)],
        mutate=document_bent,
    ),
    Target(
        name="origin",
        read=_origin,
        seeds=lambda: [b"https://volt.example:443", b"http://127.0.0.1:8000", b"https://[::1]:8443"],
        mutate=bent,
        most=512,
    ),
)
