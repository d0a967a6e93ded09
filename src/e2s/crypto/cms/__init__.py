"""The face of CMS: what is signed and what is sealed, written and read."""

from __future__ import annotations

from e2s.crypto.cms.bundled import Bundle, bundle, unbundled
from e2s.crypto.cms.capabilities import (
    Capabilities,
    capabilities_attribute,
    capabilities_of,
    certified_capabilities,
    sealings_for,
    signature_for,
)
from e2s.crypto.cms.compressed import compress, decompress
from e2s.crypto.cms.normal import normalised
from e2s.crypto.cms.opening import is_authenticated, open_sealed
from e2s.crypto.cms.parallel import check_parallel, sign_parallel
from e2s.crypto.cms.receipts import (
    ReceiptRequest,
    check_receipt,
    receipt_for,
    request_among,
    request_attribute,
    request_in,
)
from e2s.crypto.cms.sealing import seal, seal_legacy
from e2s.crypto.cms.signed import EXACT, FOREIGN, Limits, Signed, check_signature, read_signed, read_signers
from e2s.crypto.cms.signing import sign

__all__ = [
    "EXACT",
    "FOREIGN",
    "Bundle",
    "Capabilities",
    "Limits",
    "ReceiptRequest",
    "Signed",
    "bundle",
    "capabilities_attribute",
    "capabilities_of",
    "certified_capabilities",
    "check_parallel",
    "check_receipt",
    "check_signature",
    "compress",
    "decompress",
    "is_authenticated",
    "normalised",
    "open_sealed",
    "read_signed",
    "read_signers",
    "receipt_for",
    "request_among",
    "request_attribute",
    "request_in",
    "seal",
    "seal_legacy",
    "sealings_for",
    "sign",
    "sign_parallel",
    "signature_for",
    "unbundled",
]
