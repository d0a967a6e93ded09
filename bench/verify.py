"""What judging a signer costs over the bare verifications that no verifier can spare."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.figure import Figure, in_turn
from e2s.crypto import certificates, oids
from e2s.crypto.cms_signed import check_signature, read_signed
from e2s.crypto.cms_signing import sign
from tests.worlds.pki import START, make_pki

NAME = "urn:e2s:market:volt"
PURPOSE = oids.SIGNING["merchant"]
CONTENT_BYTES = 9_000
ROUNDS, TIMES = 25, 12


def rounds() -> Iterator[Figure]:
    yield _signer_with_chain()


def _signer_with_chain() -> Figure:
    """Read and check a 9 kB SignedData, and judge its signer by the product's own chain: signer, CA, root.

    Every signer is new; the CAs' certificates are known, but no signature of a certificate is: only
    those of the CRLs are remembered.  The base is the three verifications with their hashes: of the
    signature, of the signer's certificate and of the CA's.
    """
    pki, content = make_pki(), bytes(CONTENT_BYTES)
    verifier, crls = pki.verifier(), pki.crls()
    signers = [pki.signer("merchant", NAME) for _ in range(ROUNDS * TIMES + 1)]
    messages = iter([sign(content, oids.ACT, signer, START) for signer in signers])
    scheme = ec.ECDSA(hashes.SHA256())
    works = iter([_bare(pki, signer) for signer in signers])
    certificates._read.cache_clear()  # noqa: SLF001 - so that no signer's certificate is known

    def ours() -> None:
        verifier.forget_paths()
        signed = read_signed(next(messages))
        check_signature(signed)
        verifier.judge(
            signed.signer_certificate, signed.certificates, crls, at=START, purpose=PURPOSE, name=NAME
        ).or_refuse()

    def base() -> None:
        for key, signature, data in next(works):
            key.verify(signature, data, scheme)

    gc.collect()
    ratio, spent = in_turn(ours, base, rounds=ROUNDS, times=TIMES)
    detail = {**spent, "verifications": 3}
    return Figure(name="verify.signer-chain-3", value=ratio, limit=1.8, detail=detail)


def _bare(pki, signer):
    """Keys, signatures and signed octets of one whole verification."""
    leaf, middle = signer.certificate.x509, pki.operating.x509
    attributes = bytes(300)
    return [
        (leaf.public_key(), signer.sign(attributes), attributes),
        (middle.public_key(), leaf.signature, leaf.tbs_certificate_bytes),
        (pki.root.public_key, middle.signature, middle.tbs_certificate_bytes),
    ]
