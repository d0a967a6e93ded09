"""Certificates and lists are looked up by one attribute over HTTP (RFC 4387, 2): one, or several in parts."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response, refused
from e2s.crypto.certificates import Certificate
from e2s.security.repository import store
from e2s.security.repository.files import KINDS, Repository
from e2s.security.repository.search import keys_of_certificate, keys_of_list, read_query
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import certificate_path, crl_path
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, MAX_FOUND

#: How much is given in one answer, the newest first.
MAX_ANSWER_BYTES: Final = 1024 * 1024
_LEFT_OUT: Final = "e2s-left-out"


class Lookup:
    """The two stores of a repository, over its static files."""

    def __init__(self, files: Repository, database: Database) -> None:
        """``database`` has :data:`store.TABLES`."""
        self._files = files
        self._database = database

    def handle(self, request: Request) -> Response:
        """GET or HEAD of ``/certificates/search.cgi?ATTRIBUTE=VALUE`` or ``/crls/search.cgi?...``.

        Raises :class:`Refusal` ``bad-query`` or ``unknown-attribute``; 404 where nothing is found.
        """
        if request.method not in {"GET", "HEAD"}:
            return Response(405, b"", {"allow": "GET, HEAD"})
        query = read_query(request.path)
        with self._database.reading() as connection:
            names = store.find(connection, query.store, query.attribute, query.value, MAX_FOUND + 1)
        found, more = self._read(names)
        if not found:
            return refused(Refusal("not-found", "nothing is found by that value"), 404)
        answer = found_answer(".cer" if query.store == CERTIFICATES_PATH else ".crl", found)
        headers = {**answer.headers, "cache-control": "no-cache", **({_LEFT_OUT: "more"} if more else {})}
        return Response(answer.status, answer.body, headers)

    def add_certificate(self, connection: sa.Connection, certificate: Certificate) -> None:
        """Let a published certificate be found."""
        file = certificate_path(certificate.digest)
        store.add(connection, CERTIFICATES_PATH, keys_of_certificate(certificate), file)

    def add_list(
        self, connection: sa.Connection, issuer: Certificate, crl: bytes, shard: int | None, *, delta: bool
    ) -> None:
        """Let a published list be found; the file of the issuer's next one is the same."""
        file = crl_path(issuer, shard, delta=delta)
        store.add(connection, CRLS_PATH, keys_of_list(CrlIndex.read(crl)), file)

    def _read(self, names: Sequence[str]) -> tuple[list[bytes], bool]:
        """What stands in the files, as much as one answer holds, and whether there is more."""
        found: list[bytes] = []
        size = 0
        for name in names:
            file = self._files.file(name)
            try:
                octets = file.read_bytes()
            except OSError:
                continue
            size += len(octets)
            if len(found) == MAX_FOUND or (found and size > MAX_ANSWER_BYTES):
                return found, True
            found.append(octets)
        return found, False


def found_answer(suffix: str, found: Sequence[bytes]) -> Response:
    """What is found, of ``.cer`` or ``.crl``: one as it is, several as multipart/mixed (RFC 4387, 2)."""
    kind = KINDS[suffix]
    if len(found) == 1:
        return Response(200, found[0], {"content-type": kind})
    boundary = f"e2s-{sha256(b''.join(found)).hexdigest()[:40]}"
    head = f"--{boundary}\r\ncontent-type: {kind}\r\ncontent-transfer-encoding: binary\r\n\r\n".encode()
    parts = [head + octets + b"\r\n" for octets in found]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return Response(200, body, {"content-type": f'multipart/mixed; boundary="{boundary}"'})
