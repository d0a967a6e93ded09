"""A server takes a renewed TLS certificate without closing its socket, nor a connection."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.http import Response
from e2s.base.instants import SystemClock
from e2s.network.sessions.server import Served
from e2s.network.sessions.tls import TlsFiles, client_context
from e2s.security.keys.durable import replace_file
from e2s.security.keys.generation import generate
from tests.worlds.pki import Pki, make_pki


def write(files: TlsFiles, pki: Pki, private=None) -> bytes:
    """A certificate for loopback into the files, and its DER."""
    key = private or generate("p256-sha256", secrets.token_bytes)
    made, chain, _ = pki.issue("tls-server", "127.0.0.1", private_key=key, at=SystemClock().now())
    replace_file(files.key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    replace_file(files.certificate_file, b"".join(one.pem for one in (made, *chain)))
    return made.der


@pytest.fixture(scope="module")
def pki() -> Pki:
    return make_pki(at=SystemClock().now() - timedelta(days=1))


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(certificate_file=tmp_path / "tls.pem", key_file=tmp_path / "tls.key")


def connected(served: Served, pki: Pki) -> ssl.SSLSocket:
    context = client_context(pki.root.pem)
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", served.port)), server_hostname="127.0.0.1"
    )


def asked(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    return connection.recv(20)


def until_shown(served: Served, pki: Pki, wanted: bytes) -> None:
    """Every connection meanwhile is good, under the old certificate or the new one."""
    for _ in range(500):
        with connected(served, pki) as fresh:
            shown = fresh.getpeercert(binary_form=True)
            assert asked(fresh).startswith(b"HTTP/1.1 200")
        if shown == wanted:
            return
        time.sleep(0.01)
    raise AssertionError("the new certificate was never shown")


@pytest.mark.parametrize("key", ["same", "new"])
def test_new_connections_see_the_new_certificate_and_old_ones_stay(files, pki, key):
    private = generate("p256-sha256", secrets.token_bytes)
    first = write(files, pki, private)
    with Served(lambda _: Response(200), tls=files, tick_seconds=0.02) as served:
        standing = connected(served, pki)
        assert standing.getpeercert(binary_form=True) == first
        second = write(files, pki, private if key == "same" else None)
        assert second != first
        until_shown(served, pki, second)
        assert asked(standing).startswith(b"HTTP/1.1 200")
        standing.close()


def test_files_that_do_not_belong_together_are_not_taken(files, pki):
    first = write(files, pki)
    with Served(lambda _: Response(200), tls=files, tick_seconds=0.02) as served:
        other = generate("p256-sha256", secrets.token_bytes)
        octets = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        replace_file(files.key_file, octets)
        time.sleep(0.1)
        until_shown(served, pki, first)
        replace_file(files.key_file, b"none")
        time.sleep(0.1)
        until_shown(served, pki, first)
        until_shown(served, pki, write(files, pki))
