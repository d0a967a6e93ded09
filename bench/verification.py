"""What judging a path costs, with revocation, over another verifier's judgement without it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID

from bench.crypto import AT
from bench.figure import Figure
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.verification.verifier import Verifier

ROUNDS: Final = 15
REPEATS: Final = 200
HOST: Final = "shop.example"
LIMIT: Final = 0.5
_PLACE: Final = x509.UniformResourceIdentifier("http://repository.example/place")
_OCSP: Final = AuthorityInformationAccessOID.OCSP


def rounds() -> list[Figure]:
    """The rate of our verifier with CRLs, over that of ``cryptography``'s without, on the same chain.

    A chain of three: end entity, CA, root.  Both verify the certificates' signatures anew each time; those of
    the lists are remembered.
    """
    root, ca, end = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    chain = (
        _certificate("end", "ca", end, ca),
        _certificate("ca", "root", ca, root),
        _certificate("root", "root", root, root),
    )
    ours, theirs = _ours(chain, (_crl("root", root), _crl("ca", ca))), _theirs(chain)
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    for n in range(ROUNDS + 1):
        measured = {
            name: _rate(act) for name, act in (("ours", ours), ("theirs", theirs))[:: 1 - 2 * (n % 2)]
        }
        if n:
            for name, rate in measured.items():
                rates[name].append(rate)
    value = statistics.median(a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True))
    shown = {f"{name}_per_s": round(statistics.median(found)) for name, found in rates.items()}
    return [
        Figure(
            name="verification.chain-with-crls",
            value=round(value, 3),
            limit=LIMIT,
            better="higher",
            detail={**shown, "rounds": ROUNDS, "repeats": REPEATS},
        )
    ]


def _ours(chain: tuple[Certificate, ...], crls: tuple[bytes, ...]) -> Callable[[], None]:
    verifier = Verifier(chain[-1:])

    def judge() -> None:
        verifier.forget_paths()
        verifier.judge(chain[0], chain[1:-1], crls, at=AT, purpose=oids.EKU_SERVER, name=HOST).or_refuse()

    return judge


def _theirs(chain: tuple[Certificate, ...]) -> Callable[[], None]:
    store = verification.Store([chain[-1].x509])
    verifier = verification.PolicyBuilder().store(store).time(AT).build_server_verifier(x509.DNSName(HOST))
    above = [one.x509 for one in chain[1:-1]]

    def verify() -> None:
        verifier.verify(chain[0].x509, above)

    return verify


def _rate(act: Callable[[], None]) -> float:
    """Times a second, of processor time: nothing here waits."""
    begin = time.process_time()
    for _ in range(REPEATS):
        act()
    return REPEATS / (time.process_time() - begin)


def _certificate(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> Certificate:
    ca = name != "end"
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    usage |= {"digital_signature": not ca, "key_cert_sign": ca, "crl_sign": ca}
    keyed = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    extensions: list[tuple[Any, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        (x509.KeyUsage(**usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (keyed, False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([_PLACE], None, None, None)]), False),
        (x509.AuthorityInformationAccess([x509.AccessDescription(_OCSP, _PLACE)]), False),
    ]
    if not ca:
        extensions += [
            (x509.SubjectAlternativeName([x509.DNSName(HOST)]), False),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(oids.EKU_SERVER)]), False),
        ]
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT + timedelta(days=300))
    )
    for extension, critical in extensions:
        made = made.add_extension(extension, critical=critical)
    return Certificate.read(made.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER))


def _crl(issuer: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer))
        .last_update(AT - timedelta(hours=1))
        .next_update(AT + timedelta(days=1))
        .add_extension(x509.CRLNumber(1), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
