"""TLS is one layer below the session: 1.3 only, the community's own anchors, the exact name, no fallback.

What a login binds to is SHA-256 of the server's SubjectPublicKeyInfo (protocol, section 2).
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base.errors import Misuse, Refusal

#: X509_V_FLAG_NO_CHECK_TIME, which Python's ssl does not name.
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x20_0000)


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """A chain and its private key, both PEM, by path.

    ``client_anchors_file`` holds the CAs, PEM, whose clients may show a certificate to this server; without
    it none is asked for.
    """

    certificate_file: Path
    key_file: Path
    client_anchors_file: Path | None = None


def client_context(anchors: bytes, identity: TlsFiles | None = None) -> ssl.SSLContext:
    """A context that trusts exactly the PEM certificates in ``anchors``, and shows ``identity`` if asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.hostname_checks_common_name = False
    try:
        context.load_verify_locations(cadata=anchors.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise Misuse("bad-anchors", "the trust anchors are not PEM certificates") from error
    if identity is not None:
        _load(context, identity, "the client's certificate or key cannot be used")
    return context


def unverified_context() -> ssl.SSLContext:
    """A context that believes whoever answers: for what proves itself otherwise, and for no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Renewable:
    """A server's context, which takes the certificate and key that its files hold later.

    Connections that stand are left as they are.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Raises :class:`Misuse` as :func:`server_context` does."""
        self.context = server_context(files)
        self._files = files
        self._taken = _stamps(files)

    def look(self) -> bool:
        """Whether other files lie there and were taken; call it in the thread in which handshakes are made.

        Files that do not belong together are not taken: the second of them is still being written.
        """
        found = _stamps(self._files)
        if found == self._taken or not all(found):
            return False
        try:
            server_context(self._files)
        except Misuse:
            return False
        _load(self.context, self._files, "the server's certificate or key cannot be used")
        self._taken = found
        return True


def _stamps(files: TlsFiles) -> tuple[tuple[int, int] | None, ...]:
    """What tells a file from the one that was there before; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for path in (files.certificate_file, files.key_file):
        try:
            known = path.stat()
            found.append((known.st_ino, known.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that serves ``files`` over TLS 1.3; raises :class:`Misuse` when they cannot be used.

    A client without a certificate is served too.  One with a certificate that no anchor leads to, or that
    says for what it is and not for TLS clients, ends at the handshake; whether it has expired or was revoked
    is left to who answers, who can say so.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _load(context, files, "the server's certificate or key cannot be used")
    if files.client_anchors_file is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= _NO_CHECK_TIME
        try:
            context.load_verify_locations(cafile=files.client_anchors_file)
        except (ssl.SSLError, OSError) as error:
            raise Misuse("bad-tls-files", "the anchors of clients cannot be used") from error
    return context


def _load(context: ssl.SSLContext, files: TlsFiles, sentence: str) -> None:
    try:
        context.load_cert_chain(files.certificate_file, files.key_file)
    except (ssl.SSLError, OSError) as error:
        raise Misuse("bad-tls-files", sentence) from error


def spki_digest(certificate_der: bytes) -> bytes:
    """SHA-256 of the certificate's SubjectPublicKeyInfo."""
    try:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
        return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except Exception as error:  # the parser raises several unrelated kinds for a bad key
        raise Refusal("bad-certificate", "the TLS server's certificate cannot be read") from error


def check_host(certificate_der: bytes, host: str) -> None:
    """The certificate must name ``host`` letter for letter: a wildcard is not a name."""
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
        known |= {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    except (ValueError, x509.ExtensionNotFound) as error:
        raise Refusal("wrong-host", "the TLS server's certificate names no host", host=host) from error
    try:
        wanted = str(ipaddress.ip_address(host))
    except ValueError:
        wanted = host.lower()
    if wanted not in known:
        raise Refusal("wrong-host", "the TLS server's certificate does not name this host", host=host)
