"""Asking an OCSP responder about one certificate, with a nonce, so that the answer is of this moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from e2s.base.errors import Refusal
from e2s.base.http import Exchange, Request, expect
from e2s.crypto.certificates import Certificate

REQUEST: Final = "application/ocsp-request"
#: RFC 9654, 2.1.
NONCE_BYTES: Final = 32


def ask(
    exchange: Exchange,
    origin: str,
    path: str,
    certificate: Certificate,
    issuer: Certificate,
    random: Callable[[int], bytes],
) -> bytes:
    """The answer about ``certificate``, DER and unchecked but for its nonce (RFC 6960, 2.1; RFC 9654).

    Raises :class:`Refusal` ``bad-ocsp`` or ``wrong-nonce``, :class:`Unreachable` where nobody answers.
    """
    nonce = random(NONCE_BYTES)
    question = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(certificate.x509, issuer.x509, hashes.SHA1())  # noqa: S303 - names an issuer only
        .add_extension(x509.OCSPNonce(nonce), critical=False)
        .build()
    )
    body = question.public_bytes(Encoding.DER)
    response = exchange.send(origin, Request("POST", path, body, {"content-type": REQUEST}))
    answer = expect(response, what="OCSP")
    if _nonce_of(answer) != nonce:
        raise Refusal("wrong-nonce", "the answer is not to this question (RFC 9654, 2.1)")
    return answer


def _nonce_of(answer: bytes) -> bytes:
    """The nonce that the answer repeats; empty where it has none."""
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Refusal("bad-ocsp", "the responder gave no answer", status=response.response_status.name)
        return response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return b""
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise Refusal("bad-ocsp", "the octets are not an OCSP answer that can be read") from error
