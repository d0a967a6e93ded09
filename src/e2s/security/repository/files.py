"""Certificates and CRLs are static files named by digest: any web server or cache may carry them.

They are signed, so the carrier is not trusted; a repository answers with exactly one of its files or
with 404, and no path of a request is ever used as a path of the file system.
"""

from __future__ import annotations

import email.utils
import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from e2s.base.errors import Unreachable
from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.security.keys.durable import replace_file
from e2s.security.verification.fetching import ANCHOR_PATH, certificate_path, crl_path

_FILES = re.compile(
    r"/(?:(crl)/([0-9a-f]{64}(?:-[0-9]{1,5})?(?:-delta)?\.crl)|(certs)/([0-9a-f]{64}\.cer)|(anchor\.pem))",
    re.ASCII,
)
#: What each kind of file is (RFC 2585, 4; RFC 8555, 9.1).
KINDS: Final = {
    ".crl": "application/pkix-crl",
    ".cer": "application/pkix-cert",
    ".pem": "application/pem-certificate-chain",
}
#: A certificate is named by its digest and never changes; a list may be newer at any moment, so a cache asks
#: again each time, and is answered by 304 as long as it is not.
_CACHING: Final = {".cer": "max-age=86400, immutable", ".crl": "no-cache", ".pem": "no-cache"}
#: Kept free for lists: a disk that others filled does not keep a revocation from being told.
RESERVE_BYTES: Final = 4 * 1024 * 1024
_RESERVE = ".reserve"


class Repository:
    """The files of one folder, published by the CA beside it and served to anyone."""

    def __init__(self, folder: Path, *, reserve: int = RESERVE_BYTES) -> None:
        """``folder`` is made when something is first published; ``reserve`` octets are kept for lists."""
        self.folder = folder
        self._reserve = reserve

    def publish_crl(
        self, issuer: Certificate, crl: bytes, shard: int | None = None, *, delta: bool = False
    ) -> None:
        """Put the issuer's newest CRL (of a shard, or a delta list) in place of the last.

        Where the disk is full the reserved space is given to it; raises :class:`Unreachable` ``disk-full``
        when that does not do either.
        """
        self._put(crl_path(issuer, shard, delta=delta), crl, reserved=True)

    def publish_certificate(self, certificate: Certificate) -> None:
        """Add a certificate; raises :class:`Unreachable` ``disk-full`` before the reserve is touched."""
        path = certificate_path(certificate.digest)
        if not self.file(path).exists():
            self._put(path, certificate.der, reserved=False)

    def publish_anchor(self, root: Certificate) -> None:
        """Put the community's root there for convenience; trust in it comes by another way."""
        self._put(ANCHOR_PATH, root.pem, reserved=False)

    def file(self, path: str) -> Path:
        """Where what is served at ``path`` lies."""
        return self.folder / path[1:]

    def handle(self, request: Request) -> Response:
        """GET or HEAD of one file, whole, or 304 where the asker's is the same (RFC 9110, 13.2).

        The answer to HEAD has the body whose length is told; a server does not send it.
        """
        match = _FILES.fullmatch(request.path.split("?", 1)[0])
        if request.method not in {"GET", "HEAD"}:
            return Response(405, b"", {"allow": "GET, HEAD"})
        if match is None:
            return Response(404)
        file = self.folder.joinpath(*(part for part in match.groups() if part))
        try:
            with file.open("rb") as opened:
                stat = os.fstat(opened.fileno())
                headers = _headers(file.suffix, stat)
                if _same(request, headers["etag"], int(stat.st_mtime)):
                    return Response(304, b"", headers)
                return Response(200, opened.read(), headers)
        except OSError:
            return Response(404)

    def _put(self, path: str, octets: bytes, *, reserved: bool) -> None:
        """Replace a file; a list takes the reserve when there is no other room.

        Two files in one second would have one date, by which many a web server and cache tells them apart.
        """
        file = self.file(path)
        later = int(file.stat().st_mtime) + 1 if file.exists() else 0
        try:
            self._keep_reserve()
            replace_file(file, octets, 0o644, not_before=later)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            if not reserved:
                raise _full() from error
            (self.folder / _RESERVE).unlink(missing_ok=True)
            try:
                replace_file(file, octets, 0o644, not_before=later)
            except OSError as again:
                raise _full() from again
        file.parent.chmod(0o755)

    def _keep_reserve(self) -> None:
        """Take the reserve again where it was given away; raises where there is no room for it."""
        file = self.folder / _RESERVE
        if not self._reserve or file.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        aside = self.folder / f"{_RESERVE}.part"
        try:
            with aside.open("wb") as opened:
                os.posix_fallocate(opened.fileno(), 0, self._reserve)
            aside.replace(file)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def _full() -> Unreachable:
    return Unreachable("disk-full", "there is no room on the disk; nothing was published")


def _headers(suffix: str, stat: os.stat_result) -> dict[str, str]:
    """Entity tag and instant of the file: a replaced file is another one, whatever its contents."""
    changed = datetime.fromtimestamp(int(stat.st_mtime), UTC)
    return {
        "content-type": KINDS[suffix],
        "cache-control": _CACHING[suffix],
        "etag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"',
        "last-modified": email.utils.format_datetime(changed, usegmt=True),
    }


def _same(request: Request, etag: str, changed: int) -> bool:
    """Whether the asker has the file already: by its tags, or only without them by the date (13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        given = {tag.strip().removeprefix("W/") for tag in tags[:4096].split(",")}
        return "*" in given or etag in given
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return email.utils.parsedate_to_datetime(since[:64]).timestamp() >= changed
    except (ValueError, TypeError, OverflowError):
        return False
