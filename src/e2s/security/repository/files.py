"""Certificates and CRLs are static files named by digest: any web server or cache may carry them.

They are signed, so the carrier is not trusted; a repository answers with exactly one of its files or
with 404, and no path of a request is ever used as a path of the file system.
"""

from __future__ import annotations

import re
from pathlib import Path

from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.security.keys.durable import replace_file
from e2s.security.verification.fetching import certificate_path, crl_path

_FILES = re.compile(r"/(?:(crl)/([0-9a-f]{64}\.crl)|(certs)/([0-9a-f]{64}\.cer)|(anchor\.pem))", re.ASCII)
_KINDS = {
    ".crl": "application/pkix-crl",
    ".cer": "application/pkix-cert",
    ".pem": "application/pem-certificate-chain",
}
#: How long a cache may keep an answer; a relying party bounds its own staleness besides.
MAX_AGE_SECONDS = 60


class Repository:
    """The files of one folder, published by the CA beside it and served to anyone."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when something is first published."""
        self._folder = folder

    def publish_crl(self, issuer: Certificate, crl: bytes) -> None:
        """Put the issuer's newest CRL in place of the last."""
        replace_file(self._folder / crl_path(issuer)[1:], crl, 0o644)

    def publish_certificate(self, certificate: Certificate) -> None:
        """Add a certificate."""
        replace_file(self._folder / certificate_path(certificate.digest)[1:], certificate.der, 0o644)

    def publish_anchor(self, root: Certificate) -> None:
        """Put the community's root there for convenience; trust in it comes by another way."""
        replace_file(self._folder / "anchor.pem", root.pem, 0o644)

    def handle(self, request: Request) -> Response:
        """GET or HEAD of one file."""
        match = _FILES.fullmatch(request.path.split("?", 1)[0])
        if request.method not in {"GET", "HEAD"}:
            return Response(405, b"", {"allow": "GET, HEAD"})
        if match is None:
            return Response(404)
        file = self._folder.joinpath(*(part for part in match.groups() if part))
        try:
            body = file.read_bytes()
        except OSError:
            return Response(404)
        headers = {"content-type": _KINDS[file.suffix], "cache-control": f"max-age={MAX_AGE_SECONDS}"}
        return Response(200, b"" if request.method == "HEAD" else body, headers)
