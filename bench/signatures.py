"""What signatures of each kind cost through our CMS over the bare ones, and what workers add to the rate."""

from __future__ import annotations

import os
import secrets
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from bench.crypto import AT, CONTENT_BYTES, _Authority, _figure
from e2s.crypto import cms, oids
from e2s.crypto.keys import KeySigner
from e2s.crypto.ports import Signer
from e2s.crypto.workers import SigningWorkers

WORKERS: Final = 2
THREADS: Final = 4
JOBS: Final = 300
WORKER_ROUNDS: Final = 7
_PSS: Final = (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
#: By kind: a new key, the arguments of its bare signature, the limits of signing and of verifying over bare,
#: and the repeats of each: signing by ML-DSA takes a random number of tries.  Verifying has higher limits, as
#: reading a message costs the same whatever signed it.
_KINDS: Final[dict[str, tuple[Callable[[], Any], tuple[Any, ...], float, float, int]]] = {
    "ml-dsa-44": (mldsa.MLDSA44PrivateKey.generate, (), 1.15, 1.3, 60),
    "ml-dsa-65": (mldsa.MLDSA65PrivateKey.generate, (), 1.15, 1.25, 50),
    "ml-dsa-87": (mldsa.MLDSA87PrivateKey.generate, (), 1.15, 1.25, 40),
    "ed25519": (ed25519.Ed25519PrivateKey.generate, (), 1.5, 1.5, 100),
    "ed448": (ed448.Ed448PrivateKey.generate, (), 1.5, 1.5, 40),
    "p521": (lambda: ec.generate_private_key(ec.SECP521R1()), (ec.ECDSA(hashes.SHA512()),), 1.5, 1.5, 20),
    "rsa-pss": (lambda: rsa.generate_private_key(65537, 3072), _PSS, 1.15, 2.5, 10),
}


def rounds() -> list[dict[str, Any]]:
    """Signing and verifying by each kind, signatures side by side, and the rate of workers."""
    figures = []
    for kind in _KINDS:
        figures += _of_kind(kind)
    return [*figures, _parallel(), _workers()]


def _signer(kind: str) -> tuple[Any, KeySigner]:
    authority, key = _Authority(), _KINDS[kind][0]()
    return key, KeySigner(authority.certify(f"signer {kind}", key), authority.chain, key)


def _of_kind(kind: str) -> list[dict[str, Any]]:
    """9 kB signed and verified through CMS, against the bare signature of the same octets."""
    (key, signer), content = _signer(kind), secrets.token_bytes(CONTENT_BYTES)
    _new, arguments, signing, verifying, repeats = _KINDS[kind]
    public, signature, message = key.public_key(), key.sign(content, *arguments), _signed(content, signer)

    def bare_sign() -> None:
        key.sign(content, *arguments)

    def bare_verify() -> None:
        public.verify(signature, content, *arguments)

    def sign() -> None:
        _signed(content, signer)

    def verify() -> None:
        cms.check_signature(cms.read_signed(message))

    figures = [
        _figure(f"signatures.sign-{kind}", signing, bare_sign, sign, repeats=repeats),
        _figure(f"signatures.verify-{kind}", verifying, bare_verify, verify, repeats=repeats),
    ]
    if kind.startswith("ml-dsa"):
        figures.append(_both(kind, *(figure["detail"] for figure in figures)))
    return figures


def _both(kind: str, sign: dict[str, float], verify: dict[str, float]) -> dict[str, Any]:
    """A message's signature and its verification together, of what was measured of each."""
    bare, ours = (sign[which] + verify[which] for which in ("bare_us", "ours_us"))
    value = round(ours / bare, 3)
    return {
        "name": f"signatures.{kind}",
        "value": value,
        "limit": 1.15,
        "better": "lower",
        "holds": value <= 1.15,
        "detail": {"bare_us": round(bare, 1), "ours_us": round(ours, 1)},
    }


def _signed(content: bytes, signer: Signer) -> bytes:
    return cms.sign(content, oids.ACT, signer, AT)


def _parallel() -> dict[str, Any]:
    """9 kB signed by P-256 and ML-DSA-65 side by side and verified, against the bare work of the two."""
    content, names = secrets.token_bytes(CONTENT_BYTES), ("ml-dsa-65", "p256")
    authority, ecdsa = _Authority(), ec.ECDSA(hashes.SHA256())
    key = ec.generate_private_key(ec.SECP256R1())
    other, second = _signer(names[0])
    first = KeySigner(authority.certify("signer", key), authority.chain, key)

    def bare() -> None:
        key.public_key().verify(key.sign(content, ecdsa), content, ecdsa)
        other.public_key().verify(other.sign(content), content)

    def ours() -> None:
        made = cms.sign_parallel(content, oids.ACT, (first, second), AT)
        cms.check_parallel(cms.read_signers(made))

    return _figure("signatures.parallel", 1.6, bare, ours, repeats=40)


def _workers() -> dict[str, Any]:
    """Messages in a second that two workers sign by RSA with PSS for four threads, to those of no worker."""
    key, signer = _signer("rsa-pss")
    content = secrets.token_bytes(CONTENT_BYTES)
    rates: dict[str, list[float]] = {"one": [], "workers": []}
    with (
        SigningWorkers(signer.certificate, signer.chain, key, count=WORKERS) as pool,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for n in range(WORKER_ROUNDS + 1):
            one = _rate(lambda: [_signed(content, signer) for _ in range(JOBS)])
            many = _rate(lambda: list(threads.map(lambda _: _signed(content, pool), range(JOBS))))
            if n:
                rates["one"].append(one)
                rates["workers"].append(many)
    ratio = statistics.median(b / a for a, b in zip(rates["one"], rates["workers"], strict=True))
    shown = {f"{name}_per_s": round(statistics.median(found)) for name, found in rates.items()}
    return {
        "name": "signatures.workers-2",
        "value": round(ratio, 3),
        "limit": 1.5,
        "better": "higher",
        "holds": ratio >= 1.5,
        "detail": {**shown, "threads": THREADS, "processors": os.cpu_count(), "rounds": WORKER_ROUNDS},
    }


def _rate(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return JOBS / (time.perf_counter() - begin)
