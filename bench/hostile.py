"""How long hostile input of one MiB takes to be refused, in milliseconds of the processor: at most 50.

Each case is written as somebody would who wants to cost its reader the most, up to what a reader takes; where
several readers may be handed the octets, the slowest counts.  What was remembered is forgotten before each
turn, and what is not refused is an error of the case.
"""

from __future__ import annotations

import base64
import functools
import gc
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.crypto import AT
from bench.figure import Figure
from e2s.base.errors import Misuse, Refusal
from e2s.commerce.archive import read_archive
from e2s.commerce.purchasing.load import read_items
from e2s.crypto import ber, certificates, cms, der, oids, pem, stamps
from e2s.crypto.acts import read_act, read_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.openers import KeyOpener
from e2s.network.sessions import calls, pages, records
from e2s.security.certificates.certify import read_request
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.verifier import Verifier

MIB = 1 << 20
LIMIT_MS = 50
TURNS = 5
Reader = Callable[[bytes], object]


def rounds() -> Iterator[Figure]:
    for name, make in CASES.items():
        octets, *readers = make()
        worst, slowest = 0.0, ""
        gc.collect()
        for reader in readers:
            taken = statistics.median(refused(name, reader, octets) for _ in range(TURNS))
            if taken >= worst:
                worst, slowest = taken, getattr(reader, "__qualname__", str(reader))
        size = len(octets)
        detail = {"octets": size, "readers": len(readers), "slowest": slowest, "turns": TURNS}
        yield Figure(name=f"hostile.{name}-ms", value=round(worst, 3), limit=LIMIT_MS, detail=detail)


def refused(name: str, reader: Reader, octets: bytes) -> float:
    """Milliseconds of the processor until the refusal; raises when there is none."""
    _forget()
    fresh = bytes(bytearray(octets))  # no digest of it is known either
    begin = time.process_time()
    try:
        reader(fresh)
    except (Refusal, Misuse):
        return 1000 * (time.process_time() - begin)
    raise AssertionError(f"{name}: {reader} takes it")


def _forget() -> None:
    """Empty every memory of E2S."""
    for name in [name for name in sys.modules if name.startswith("e2s.")]:
        for value in list(vars(sys.modules[name]).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


# ------------------------------------------------------------------ who reads


@functools.cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def _own() -> KeyOpener:
    return KeyOpener(Certificate.read(_certified("reader", _key().public_key())), _key())


def open_exact(octets: bytes) -> object:
    return cms.open_sealed(octets, _own())


def open_old(octets: bytes) -> object:
    return cms.open_sealed(octets, _own(), allow_legacy=True, max_bytes=64 * MIB)


def read_foreign(octets: bytes) -> object:
    return cms.read_signed(octets, cms.FOREIGN)


def verify_foreign(octets: bytes) -> object:
    cms.check_signature(cms.read_signed(octets, cms.FOREIGN))
    raise AssertionError("the signature holds")


def prove_parallel(octets: bytes) -> object:
    cms.check_parallel(cms.read_signers(octets))
    raise AssertionError("the signatures hold")


def parcel(octets: bytes) -> object:
    return read_parcel(octets, "e2s/1/sample", 4 * MIB)


def read_list(octets: bytes) -> object:
    return CrlIndex.read(octets)


def judged(untrusted: Sequence[bytes], crls: Sequence[bytes] = ()) -> Reader:
    """Judges the certificate read below one root with ``untrusted`` beside it."""
    root = Certificate.read(_certified("root", _key().public_key(), ca=True))
    others = [Certificate.read(one) for one in untrusted]

    def judge(octets: bytes) -> object:
        verdict = Verifier((root,)).judge(
            Certificate.read(octets), others, crls, at=AT, purpose=oids.SIGNING["merchant"], name=None
        )
        return verdict.or_refuse()

    return judge


SIGNED: tuple[Reader, ...] = (cms.read_signed, read_foreign, read_act)
SEALED: tuple[Reader, ...] = (open_exact, open_old)
DER: tuple[Reader, ...] = (der.check, *SIGNED, *SEALED, Certificate.read, read_list, read_request, parcel,
                           stamps.read_token, stamps.read_request, stamps.read_response)  # fmt: skip
#: Readers of BER.
LOOSE: tuple[Reader, ...] = (ber.normalised, cms.normalised)
DOCUMENTS: tuple[Reader, ...] = (calls.read_call, calls.read_answer, pages.read_page)


# ------------------------------------------------------------------ the octets


def _nested(levels: int, tag: int = der.SEQUENCE, within: bytes = b"") -> bytes:
    """Elements within elements, with good lengths."""
    heads, size = [], len(within)
    for _ in range(levels):
        head = der.header(tag, size)
        heads.append(head)
        size += len(head)
    return b"".join((*reversed(heads), within))


def _certified(
    name: str,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    ca: bool = False,
    issuer: str = "root",
    by: ec.EllipticCurvePrivateKey | None = None,
    more: Sequence[x509.ExtensionType] = (),
    serial: int = 7,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(by or _key(), hashes.SHA256()).public_bytes(Encoding.DER)


def _message() -> tuple[bytes, list[bytes], list[bytes]]:
    """A signed message's content type, the parts of its SignedData, and those of its SignerInfo."""
    own = Certificate.read(_certified("signer", _key().public_key()))
    made = cms.sign(b"words", oids.DATA, KeySigner(own, (), _key()), AT)
    outer = der.Reader(made).enter()
    kind = outer.element()
    parts = outer.enter(0xA0).enter().elements(None, 9)
    return kind, parts, der.Reader(parts[-1]).enter(der.SET).enter().elements(None, 9)


def _signed(parts: Sequence[bytes]) -> bytes:
    return der.sequence(der.oid(oids.SIGNED_DATA), der.tlv(0xA0, der.sequence(*parts)))


def _sealed(infos: Sequence[bytes]) -> bytes:
    """An envelope with these recipients."""
    made = cms.seal(b"words", oids.DATA, [_own().certificate], lambda size: b"r" * size)
    outer = der.Reader(made).enter()
    kind = outer.element()
    parts = outer.enter(0xA0).enter().elements(None, 9)
    parts[1] = der.set_of(infos)
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts)))


def _recipient(number: int, size: int) -> bytes:
    """One who is not the reader, by a name of ``size`` octets."""
    named = der.sequence(der.octet_string(bytes(size)), der.integer(number))
    return der.sequence(
        der.integer(0), named, der.sequence(der.oid(oids.RSA_OAEP)), der.octet_string(bytes(256))
    )


def _wide(names: int, serial: int) -> bytes:
    """A certificate as large as may be, full of names."""
    uris = [x509.UniformResourceIdentifier(f"u:{n}") for n in range(names)]
    return _certified("wide", _key().public_key(), more=[x509.SubjectAlternativeName(uris)], serial=serial)


def deep_nesting():
    return _nested(210_000), *DER


def deep_nesting_in_a_message():
    kind, parts, _ = _message()
    parts[2] = der.sequence(der.oid(oids.ACT), der.tlv(0xA0, _nested(200_000)))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), *SIGNED


def deep_nesting_unsigned():
    kind, parts, info = _message()
    parts[-1] = der.tlv(der.SET, der.sequence(*info, der.tlv(0xA1, _nested(200_000))))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), *SIGNED


def many_elements():
    return der.sequence(b"\x05\x00" * (MIB // 2)), *DER


def many_sets():
    return der.sequence(b"\x31\x00" * (MIB // 2)), *DER


def huge_lengths():
    return b"\x30\x84\xff\xff\xff\xf0" * (MIB // 6), *DER


def many_attributes():
    kind, parts, info = _message()
    one = [der.sequence(der.oid(f"2.25.{n}"), der.tlv(der.SET, b"\x05\x00")) for n in range(60_000)]
    info[3] = der.set_of(one, 0xA0)
    parts[-1] = der.tlv(der.SET, der.sequence(*info))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), *SIGNED


def large_attributes():
    """As many as are read, each as large as fits, alike up to their ends."""
    kind, parts, info = _message()
    held = der.tlv(der.SET, der.sequence(b"\x05\x00" * 9_000))
    own = der.Reader(info[3]).enter(0xA0).elements(None, 9)
    one = [der.sequence(der.oid(f"2.25.{n}"), held) for n in range(1, 27)]
    info[3] = der.set_of([*own, *one], 0xA0)
    info[5] = der.octet_string(_key().sign(b"\x31" + info[3][1:], ec.ECDSA(hashes.SHA256()))[:-1] + b"\0")
    parts[-1] = der.tlv(der.SET, der.sequence(*info))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), cms.read_signed, verify_foreign


def many_signers():
    kind, parts, info = _message()
    one = der.sequence(*info)
    parts[-1] = der.tlv(der.SET, one * (MIB // len(one)))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), *SIGNED


def many_certificates():
    _kind, parts, _ = _message()
    own = _certified("one", _key().public_key())
    parts[3] = der.tlv(0xA0, own * (MIB // len(own)))
    return _signed(parts), *SIGNED


def wide_certificates():
    """As many certificates as are read, each as large as may be."""
    _kind, parts, _ = _message()
    parts[3] = der.set_of([_wide(3_700, n + 100) for n in range(31)], 0xA0)
    return _signed(parts), cms.read_signed, read_foreign


def many_recipients():
    found = [_recipient(n, 16) for n in range(2_700)]
    return _sealed(found), *SEALED


def wide_recipients():
    found = [_recipient(n, 700) for n in range(1_000)]
    return _sealed(found), *SEALED


def recipients_that_agree():
    """Many groups of many recipients behind one originator each."""
    spki = _key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    originator = der.Reader(spki).enter()
    choice = der.tlv(0xA0, der.tlv(0xA1, originator.element() + originator.element()))
    algorithm = der.sequence(der.oid(oids.STD_DH_SHA256), der.sequence(der.oid(oids.AES256_WRAP)))

    def group(number: int) -> bytes:
        named = [der.sequence(der.octet_string(bytes(8)), der.integer(number * 100 + n)) for n in range(100)]
        keys = [der.sequence(name, der.octet_string(bytes(40))) for name in named]
        return der.tlv(0xA1, der.integer(3) + choice + algorithm + der.sequence(*keys))

    return _sealed([group(n) for n in range(170)]), *SEALED


def recipients_of_other_kinds():
    """Ways to the content key that are not read here, of as many elements as fit."""
    found = [der.tlv(0xA2, der.integer(n) + der.sequence(b"\x05\x00" * 500)) for n in range(900)]
    return _sealed(found), *SEALED


def indefinite_ber():
    return b"\x30\x80" * (MIB // 2), *DER, *LOOSE


def indefinite_strings():
    return b"\x24\x80" * (MIB // 2), *LOOSE


def string_of_small_pieces():
    """A content in pieces of one octet, as many as are joined, that ends wrong."""
    return b"\x24\x80" + b"\x04\x01x" * (MIB // 3 - 9) + b"\0\1", *LOOSE


def message_of_small_pieces():
    pieces = b"\x24\x80" + b"\x04\x01x" * (MIB // 3 - 40) + b"\0\0"
    inner = b"\x30\x80" + der.oid(oids.DATA) + b"\xa0\x80" + pieces + b"\0\0\0\0"
    data = b"\x30\x80" + der.integer(1) + b"\x31\x00" + inner
    return b"\x30\x80" + der.oid(oids.SIGNED_DATA) + b"\xa0\x80" + data, *LOOSE


def set_to_be_sorted():
    """Members of a SET OF in the worst order, that end wrong."""
    members = b"".join(der.octet_string(b"%06d" % n) for n in range(120_000, 0, -1))
    return b"\x31\x80" + members + b"\0\1", *LOOSE


def compressed_content():
    """Content that inflates to a thousand times its size."""
    return _compressed(_bomb()), cms.decompress


def compressed_content_cut_short():
    return _compressed(zlib.compress(bytes(4 * MIB - 9), 9)[:-5]), cms.decompress


def _compressed(packed: bytes) -> bytes:
    made = der.Reader(cms.compress(b"")).enter()
    kind, parts = made.element(), made.enter(0xA0).enter().elements(None, 3)
    inner = der.sequence(der.oid(oids.DATA), der.tlv(0xA0, der.octet_string(packed)))
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts[:2], inner)))


def signers_side_by_side():
    """As many signers as are read, each with as many further attributes as fit."""
    kind, parts, info = _message()
    held = der.tlv(der.SET, der.sequence(b"\x05\x00" * 1_000))
    own = der.Reader(info[3]).enter(0xA0).elements(None, 9)
    infos = []
    for signer in range(16):
        more = [der.sequence(der.oid(f"2.25.{signer}.{n}"), held) for n in range(1, 27)]
        infos.append(der.sequence(*info[:3], der.set_of([*own, *more], 0xA0), *info[4:]))
    parts[-1] = der.set_of(infos)
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), prove_parallel


def long_identifiers():
    return der.sequence(der.tlv(der.OID, b"\x2a" + b"\x81" * (MIB - 20) + b"\x01")), *DER


def giant_integers():
    return der.sequence(der.tlv(der.INTEGER, b"\x7f" * (MIB - 20))), *DER


def many_large_integers():
    one = der.tlv(der.INTEGER, b"\x7f" * 65_000)
    return der.sequence(one * 16, b"\x05\x01\x00"), *DER


def giant_modulus():
    """A certificate whose RSA key is as long as a certificate may be."""
    modulus = (1 << 8 * 31_000) - 1
    key = der.sequence(der.integer(modulus), der.integer(65_537))
    spki = der.sequence(der.sequence(der.oid(oids.RSA), b"\x05\x00"), der.tlv(der.BIT_STRING, b"\0" + key))
    parts = der.Reader(_certified("other", _key().public_key())).enter().elements(None, 3)
    tbs = der.Reader(parts[0]).enter().elements(None, 12)
    tbs[6] = spki
    parts[0] = der.sequence(*tbs)
    return der.sequence(*parts), judged([])


def giant_exponent():
    """An issuer whose exponent is as long as its modulus, which makes verifying a hundred times as slow."""
    modulus = int.from_bytes(sha256(b"modulus").digest() * 12, "big") | 1 << 3071 | 1
    key = rsa.RSAPublicNumbers(modulus - 2, modulus).public_key()
    return _certified("many", key, ca=True, issuer="many"), Certificate.read


def request_with_a_giant_key():
    modulus = (1 << 8 * 6_000) - 1
    key = der.sequence(der.integer(modulus), der.integer(modulus - 2))
    spki = der.sequence(der.sequence(der.oid(oids.RSA), b"\x05\x00"), der.tlv(der.BIT_STRING, b"\0" + key))
    info = der.sequence(der.integer(0), der.sequence(), spki, der.tlv(0xA0, b""))
    signed = der.sequence(der.oid(oids.RSA_SHA256), b"\x05\x00")
    return der.sequence(info, signed, der.tlv(der.BIT_STRING, bytes(6_001))), read_request


def private_key_of_giant_numbers():
    """A private key whose primes take long to be found wanting."""
    prime = (1 << 19_937) - 1  # a Mersenne prime
    other = (1 << 21_701) - 1
    modulus, secret = prime * other, 65_537
    numbers = (0, modulus, 65_537, secret, prime, other, 1, 1, 1)
    key = der.sequence(*map(der.integer, numbers))
    body = base64.encodebytes(key)
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + body + b"-----END RSA PRIVATE KEY-----\n", read_private_key


def branching_chains():
    """CAs that certify each other under two names, so that paths double with each step."""
    key = _key().public_key()
    pairs = [("a", "b"), ("b", "a"), ("a", "a"), ("b", "b")]
    untrusted = [
        _certified(subject, key, ca=True, issuer=issuer, serial=16 * n + m + 1)
        for n in range(16)
        for m, (subject, issuer) in enumerate(pairs)
    ]
    return _certified("below", key, issuer="a"), judged(untrusted)


def branching_chains_of_slow_keys():
    """The same with keys whose signatures take long to verify."""
    slow = ec.generate_private_key(ec.SECP384R1())
    untrusted = [
        _certified("a", slow.public_key(), ca=True, issuer="a", by=slow, serial=n + 1) for n in range(64)
    ]
    return _certified("below", slow.public_key(), issuer="a", by=slow), judged(untrusted)


def constraints_times_names():
    """A CA with as many subtrees as fit above a certificate with as many names as fit."""
    key = _key().public_key()
    trees = [x509.DNSName(f"a{n}.b") for n in range(2_900)]
    ca = _certified(
        "ca", key, ca=True, more=[x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=trees)]
    )
    names = [x509.DNSName(f"c{n}.d") for n in range(3_300)]
    return _certified("below", key, issuer="ca", more=[x509.SubjectAlternativeName(names)]), judged([ca])


def mapped_policies():
    """CAs that map each of many policies to each of many: a tree of them would double with each step."""
    key = _key().public_key()
    oid = x509.ObjectIdentifier
    held = x509.CertificatePolicies([x509.PolicyInformation(oid(f"2.25.{n}"), None) for n in range(1, 60)])
    pairs = [
        der.sequence(der.oid(f"2.25.{n}"), der.oid(f"2.25.{m}")) for n in range(1, 40) for m in range(1, 40)
    ]
    mapped = x509.UnrecognizedExtension(oid("2.5.29.33"), der.sequence(*pairs))
    chain = [
        _certified(f"ca {n}", key, ca=True, issuer=f"ca {n + 1}" if n < 5 else "root", more=[held, mapped])
        for n in range(6)
    ]
    return _certified("below", key, issuer="ca 0", more=[held]), judged(chain)


def many_extensions():
    unknown = [
        x509.UnrecognizedExtension(x509.ObjectIdentifier(f"2.25.{n}"), b"\x05\x00") for n in range(1_900)
    ]
    return _certified("odd", _key().public_key(), more=unknown), judged([])


def list_of_nobody():
    """A list of as many entries as fit that nobody signed, before the end of its octets is wrong."""
    entry = der.sequence(der.integer(1 << 60), der.time(AT))
    head = (
        der.integer(1),
        der.sequence(der.oid(oids.ECDSA_SHA256)),
        der.sequence(),
        der.time(AT),
        der.time(AT + timedelta(days=1)),
    )
    tbs = der.sequence(*head, der.sequence(entry * (MIB // len(entry))), b"\x05\x00")
    crl = der.sequence(tbs, der.sequence(der.oid(oids.ECDSA_SHA256)), der.tlv(der.BIT_STRING, bytes(71)))
    return crl, read_list


def lists_inside():
    """Lists of nobody in a message, of as many elements as fit."""
    kind, parts, _ = _message()
    crl = der.sequence(der.sequence(b"\x05\x00" * 250_000), b"\x05\x00")
    parts[4:4] = [der.tlv(0xA1, crl + crl)]
    parts[-1] = der.tlv(der.SET, b"")
    return der.sequence(kind, der.tlv(0xA0, der.sequence(*parts))), *SIGNED


def armour_of_blank_lines():
    return b"-----BEGIN CMS-----" + b"\n" * (MIB - 40), pem.unarmoured


def armour_without_end():
    return b"-----BEGIN CMS-----\n" + b"A" * MIB, pem.unarmoured


def armour_of_many_beginnings():
    octets = b"-----BEGIN CERTIFICATE-----\n" * (MIB // 28)
    return octets, pem.unarmoured, certificates.read_certificates, Certificate.read


def certificates_of_garbage():
    body = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(60)) + b"-----END CERTIFICATE-----\n"
    return body * (MIB // len(body)), certificates.read_certificates, Certificate.read


def document_nested():
    return b'{"a":' * (MIB // 5 - 400), *DOCUMENTS


def document_of_empty_lists():
    return b'{"args":[' + b"[]," * (MIB // 3 - 800) + b"1]}", *DOCUMENTS


def document_of_numbers():
    return b'{"args":[' + b"1," * (MIB // 2 - 1_000) + b"1]}", *DOCUMENTS


def document_of_members():
    return b"{" + b",".join(b'"%06d":1' % n for n in range(85_000)) + b"}", *DOCUMENTS


def document_of_a_long_number():
    return b'{"a":' + b"1" * (MIB - 1_000) + b"}", *DOCUMENTS


def document_of_marks():
    """Text whose normal form is worked out slowly: marks that must be put in order."""
    return ('{"a":"a' + "\u0323\u0301" * (MIB // 4 - 400) + '"}').encode(), *DOCUMENTS


def document_of_like_marks():
    return ('{"a":"a' + "\u0301" * (MIB // 2 - 400) + '"}').encode(), *DOCUMENTS


def compressed_zeros():
    """What inflates without end."""
    return _bomb()[:MIB], read_items


def _bomb() -> bytes:
    """A MiB that inflates to a GiB: one block of zeros again and again."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * ((MIB - 200 - len(first)) // len(again))


def compressed_within_the_ratio():
    packed = zlib.compress(bytes(256) * 4 * 1024, 0) + bytes(9)
    return packed[:MIB], read_items


def archive_of_empty_files():
    header = b"a/" + b"b.json".ljust(98, b"\0")
    entry = header.ljust(124, b"\0") + b"00000000000\0" + bytes(376)
    return entry * (MIB // 512 // 20 * 20), read_archive


def records_of_zeros():
    size = (MIB - 306) // 256 * 256
    head = records.MAGIC + bytes((1, 1)) + bytes(16) + (1).to_bytes(8, "big")
    return head + (size + 256).to_bytes(4, "big") + bytes(size + 16), records.read_header


CASES: dict[str, Callable[[], tuple[bytes, *tuple[Reader, ...]]]] = {
    made.__name__.replace("_", "-"): made
    for made in (
        deep_nesting,
        deep_nesting_in_a_message,
        deep_nesting_unsigned,
        many_elements,
        many_sets,
        huge_lengths,
        many_attributes,
        large_attributes,
        many_signers,
        many_certificates,
        wide_certificates,
        many_recipients,
        wide_recipients,
        recipients_that_agree,
        recipients_of_other_kinds,
        indefinite_ber,
        indefinite_strings,
        string_of_small_pieces,
        message_of_small_pieces,
        set_to_be_sorted,
        compressed_content,
        compressed_content_cut_short,
        signers_side_by_side,
        long_identifiers,
        giant_integers,
        many_large_integers,
        giant_modulus,
        giant_exponent,
        request_with_a_giant_key,
        private_key_of_giant_numbers,
        branching_chains,
        branching_chains_of_slow_keys,
        constraints_times_names,
        mapped_policies,
        many_extensions,
        list_of_nobody,
        lists_inside,
        armour_of_blank_lines,
        armour_without_end,
        armour_of_many_beginnings,
        certificates_of_garbage,
        document_nested,
        document_of_empty_lists,
        document_of_numbers,
        document_of_members,
        document_of_a_long_number,
        document_of_marks,
        document_of_like_marks,
        compressed_zeros,
        compressed_within_the_ratio,
        archive_of_empty_files,
        records_of_zeros,
    )
}
