"""A root of a few lines for TLS servers; the machine's clock judges them, so they last long."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from e2s.crypto.certificates import Certificate
from e2s.network.sessions.tls import TlsFiles


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """One root that signs TLS servers directly."""

    title: str = "root"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.root = self._build(self.title, self.key, [x509.BasicConstraints(ca=True, path_length=None)])

    def _build(
        self, title, key, extensions, start=datetime(2026, 1, 1, tzinfo=UTC), days=20000
    ) -> Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(title))
            .issuer_name(_name(self.title))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical=critical)
        return Certificate.read(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER))

    def tls_files(self, folder: Path, host: str = "127.0.0.1") -> TlsFiles:
        """A TLS server's files for ``host``, a DNS name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            general: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            general = x509.DNSName(host)
        certificate = self._build(f"tls {host}", key, [x509.SubjectAlternativeName([general])])
        folder.mkdir(parents=True, exist_ok=True)
        files = TlsFiles(certificate_file=folder / "server.pem", key_file=folder / "server.key")
        files.certificate_file.write_bytes(certificate.pem)
        files.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files
