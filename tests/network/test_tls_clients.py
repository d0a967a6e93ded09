"""A TLS client's certificate reaches the handler that asked for it, and no other does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2s.base.errors import Misuse, Unreachable
from e2s.base.http import Request, Response
from e2s.crypto.certificates import Certificate
from e2s.network.sessions.client import HttpExchange
from e2s.network.sessions.server import Served
from e2s.network.sessions.tls import TlsFiles, server_context
from tests.network.authority import Authority


def who(request: Request) -> Response:
    assert request.secure
    return Response(200, request.peer)


def client(
    authority: Authority, folder, title: str, *, purpose=None, **validity
) -> tuple[Certificate, TlsFiles]:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [x509.ExtendedKeyUsage([purpose])] if purpose else []
    certificate = authority._build(title, key, usages, **validity)
    files = TlsFiles(certificate_file=folder / f"{title}.pem", key_file=folder / f"{title}.key")
    files.certificate_file.write_bytes(certificate.pem)
    files.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, files


@pytest.fixture(scope="module")
def ours():
    return Authority()


@pytest.fixture(scope="module")
def served(ours, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    anchors = folder / "anchors.pem"
    anchors.write_bytes(ours.root.pem)
    with Served(who, tls=replace(ours.tls_files(folder), client_anchors_file=anchors)) as served:
        yield served


def asked(served: Served, ours: Authority, identity: TlsFiles | None) -> list[bytes]:
    """Two answers, of one connection."""
    exchange = HttpExchange(anchors=ours.root.pem, identity=identity)
    try:
        return [exchange.send(served.origin, Request("GET", "/")).body for _ in range(2)]
    finally:
        exchange.close()


def test_every_request_of_a_connection_has_its_clients_certificate(served, ours, tmp_path):
    anna, annas = client(ours, tmp_path, "anna", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    bert, berts = client(ours, tmp_path, "bert")
    assert asked(served, ours, annas) == [anna.der] * 2
    assert asked(served, ours, berts) == [bert.der] * 2
    assert asked(served, ours, None) == [b""] * 2


def test_that_a_certificate_has_expired_is_left_to_who_answers(served, ours, tmp_path):
    old, files = client(ours, tmp_path, "old", start=datetime(2020, 1, 1, tzinfo=UTC), days=1)
    assert asked(served, ours, files) == [old.der] * 2


def test_a_strangers_certificate_ends_at_the_handshake(served, ours, tmp_path):
    _eve, files = client(Authority("root"), tmp_path, "eve")
    with pytest.raises(Unreachable):
        asked(served, ours, files)


def test_a_certificate_of_another_purpose_ends_at_the_handshake(served, ours, tmp_path):
    _host, files = client(ours, tmp_path, "host", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(Unreachable):
        asked(served, ours, files)


def test_who_was_not_told_whom_to_admit_asks_for_nothing(ours, tmp_path):
    _anna, files = client(ours, tmp_path, "anna")
    with Served(who, tls=ours.tls_files(tmp_path / "plain")) as plain:
        assert asked(plain, ours, files) == [b""] * 2


def test_a_request_says_whether_it_came_by_tls():
    exchange = HttpExchange()
    with Served(lambda request: Response(200, b"%d" % request.secure)) as plain:
        assert exchange.send(plain.origin, Request("GET", "/")).body == b"0"
    exchange.close()


def test_files_that_are_none_are_misuse(ours, tmp_path):
    files = ours.tls_files(tmp_path)
    (tmp_path / "none.pem").write_bytes(b"none")
    with pytest.raises(Misuse, match="bad-tls-files"):
        server_context(replace(files, client_anchors_file=tmp_path / "none.pem"))
    with pytest.raises(Misuse, match="bad-tls-files"):
        HttpExchange(anchors=ours.root.pem, identity=replace(files, key_file=tmp_path / "none.pem"))
