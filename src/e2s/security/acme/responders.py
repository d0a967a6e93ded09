"""What answers challenges on the host itself: a small web server, or one of handshakes alone (RFC 8737)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.crypto import der
from e2s.network.sessions.server import Served, listen
from e2s.security.acme.validation import ACME_IDENTIFIER, HTTP, PATH, PROTOCOL, TLS, Proof, server_name

_SECONDS: Final = 5.0
_LIFE: Final = timedelta(days=7)


class FileResponder:
    """Answers ``http-01``; a handler, to be served at port 80 of the host, or by :meth:`served`."""

    kind: Final = HTTP

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._shown: dict[str, bytes] = {}

    def show(self, proof: Proof) -> None:
        """Let the file be found."""
        self._shown[PATH + proof.token] = proof.authorisation.encode()

    def hide(self, proof: Proof) -> None:
        """Take it away."""
        self._shown.pop(PATH + proof.token, None)

    def __call__(self, request: Request) -> Response:
        """The file that is asked for, or 404."""
        found = self._shown.get(request.path)
        if request.method != "GET" or found is None:
            return Response(404)
        return Response(200, found, {"content-type": "application/octet-stream"})

    def served(self, host: str = "", port: int = 80) -> Served:
        """The handler on a socket of its own, within a ``with`` block."""
        return Served(self, host=host or "0.0.0.0", port=port)  # noqa: S104 - the world is to see it


class HandshakeResponder:
    """Answers ``tls-alpn-01`` on a socket of its own, within a ``with`` block."""

    kind: Final = TLS

    def __init__(self, clock: Clock, host: str = "", port: int = 443) -> None:
        """Listens on ``host`` (everywhere if empty) and ``port``; ``clock`` dates the certificates."""
        self._clock = clock
        self._socket = listen(host or "0.0.0.0", port)  # noqa: S104 - the world is to see it
        self._socket.settimeout(_SECONDS / 10)
        self.port = int(self._socket.getsockname()[1])
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="acme-tls", daemon=True)

    def show(self, proof: Proof) -> None:
        """Answer handshakes for the host by a certificate that holds the proof."""
        self._contexts[server_name(proof.host)] = _context(self._certified(proof))

    def hide(self, proof: Proof) -> None:
        """Answer no more."""
        self._contexts.pop(server_name(proof.host), None)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and give back the port."""
        self._stopping.set()
        self._thread.join(2 * _SECONDS)
        self._socket.close()

    def _certified(self, proof: Proof) -> Mapping[str, bytes]:
        """A key and its own certificate, PEM (RFC 8737, 3)."""
        key, now = ec.generate_private_key(ec.SECP256R1()), self._clock.now()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme-tls")])
        value = proof.host.value
        host = x509.DNSName(value) if proof.host.kind == "dns" else x509.IPAddress(ip_address(value))
        digest = der.octet_string(sha256(proof.authorisation.encode()).digest())
        held = x509.UnrecognizedExtension(x509.ObjectIdentifier(ACME_IDENTIFIER), digest)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _LIFE)
            .not_valid_after(now + _LIFE)
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .add_extension(held, critical=True)
            .sign(key, hashes.SHA256())
        )
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {"certificate": made.public_bytes(Encoding.PEM), "key": plain}

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                line, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with line, suppress(OSError, ValueError):
                line.settimeout(_SECONDS)
                outer = _plain()
                outer.sni_callback = self._chosen
                outer.wrap_socket(line, server_side=True).close()

    def _chosen(
        self, line: ssl.SSLObject | ssl.SSLSocket, host: str | None, _context: ssl.SSLContext
    ) -> int | None:
        chosen = self._contexts.get(host or "")
        if chosen is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        line.context = chosen
        return None


def _plain() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    return context


def _context(files: Mapping[str, bytes]) -> ssl.SSLContext:
    """A context of a certificate and its key; the library reads them from files alone."""
    context = _plain()
    with TemporaryDirectory(prefix="acme-tls") as folder:
        for name, octets in files.items():
            path = Path(folder) / name
            path.touch(mode=0o600)
            path.write_bytes(octets)
        context.load_cert_chain(Path(folder) / "certificate", Path(folder) / "key")
    return context
