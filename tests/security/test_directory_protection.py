"""Who speaks to a directory, and how it is protected: TLS with our roots, passwords, certificates, sockets."""

from __future__ import annotations

import itertools
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.security.directory import session
from e2s.security.directory.address import Address, Login
from e2s.security.directory.configuration import Tls
from e2s.security.directory.entries import Entry
from e2s.security.directory.session import Outcome, Session
from tests.worlds.pki import make_pki
from tests.worlds.slapd import SUFFIX, Server

pytestmark = [pytest.mark.tool, pytest.mark.processes]
UNITS = itertools.count(1)

NOW = make_pki(at=datetime.now(UTC).replace(microsecond=0))
WRITER = NOW.issue("person", "urn:e2s:market:authority:publisher")
OTHER = NOW.issue("person", "urn:e2s:market:alpha:publisher")


def written(path, certificates, key):
    path.with_suffix(".pem").write_bytes(b"".join(one.pem for one in certificates))
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.with_suffix(".key").write_bytes(octets)
    return {"certificate": path.with_suffix(".pem"), "key": path.with_suffix(".key")}


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    """A slapd with TLS that knows one writer by her certificate."""
    folder = tmp_path_factory.mktemp("tls")
    own, chain, key = NOW.issue("tls-server", ("localhost", "127.0.0.1"))
    files = written(folder / "server", (own, *chain), key)
    (folder / "roots.pem").write_bytes(NOW.root.pem)
    (folder / "others.pem").write_bytes(make_pki(at=NOW.at).root.pem)
    tls = Tls(**files, anchors=folder / "roots.pem", writer=WRITER[0])
    running = Server(folder, tls=tls).start()
    yield running
    running.stop()


@pytest.mark.parametrize("how", ["start-tls", "ldaps"])
def test_a_password_goes_by_tls_alone_and_to_our_server_alone(protected, how):
    folder = protected.folder

    def asked(anchors, *, plain=False, host="127.0.0.1"):
        uri = protected.uri if how == "start-tls" else protected.uri_tls
        uri = uri.replace("127.0.0.1", host)
        how_protected = {} if plain else {"anchors": folder / anchors, "start_tls": how == "start-tls"}
        session = Session(Address(uri=protected.uri if plain else uri, **how_protected), protected.login)
        try:
            return session.read(SUFFIX)
        finally:
            session.close()

    assert asked("roots.pem") is not None
    with pytest.raises(Unreachable):
        asked("others.pem")
    with pytest.raises(Refusal, match="directory-denied"):
        asked("roots.pem", plain=True)
    with pytest.raises(Unreachable):
        asked("roots.pem", host="127.0.0.2")


def test_a_certificate_writes_where_it_is_the_writers_own(protected, tmp_path):
    def adding(who):
        own, chain, key = who
        files = written(tmp_path / own.serial.to_bytes(20, "big").hex(), (own, *chain), key)
        address = Address(uri=protected.uri, start_tls=True, anchors=protected.folder / "roots.pem", **files)
        session = Session(address, Login(external=True))
        entry = Entry(dn=f"ou=t{next(UNITS)},{SUFFIX}", attributes={"objectClass": (b"organizationalUnit",)})
        try:
            return session.add_all([entry])
        finally:
            session.close()

    assert adding(WRITER) == [Outcome.DONE]
    with pytest.raises(Refusal, match="directory-denied"):
        adding(OTHER)
    with pytest.raises((Refusal, Unreachable)):
        adding(make_pki(at=NOW.at).issue("person", "urn:e2s:market:authority:publisher"))


def test_over_the_socket_our_user_writes(protected):
    session = Session(Address(uri=protected.socket), Login(external=True))
    entry = Entry(dn=f"ou=t{next(UNITS)},{SUFFIX}", attributes={"objectClass": (b"organizationalUnit",)})
    assert session.add_all([entry]) == [Outcome.DONE]
    session.close()


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ({"uri": "ldap://directory.example"}, "plain-directory"),
        ({"uri": "ldap://10.0.0.1:389"}, "plain-directory"),
        ({"uri": "ldap://[2001:db8::1]"}, "plain-directory"),
        ({"uri": "ldaps://directory.example"}, "no-anchors"),
        ({"uri": "ldap://directory.example", "start_tls": True}, "no-anchors"),
        ({"uri": "http://127.0.0.1"}, "bad-server"),
        ({"uri": "ldap://127.0.0.1 ldap://evil.example"}, "bad-server"),
        ({"uri": "ldap://127.0.0.1/o=market"}, "bad-server"),
        ({"uri": "ldapi://run/x"}, "bad-server"),
        ({"uri": "ldap://"}, "bad-server"),
        ({"uri": "ldap://127.0.0.1", "certificate": Path("x")}, "no-key"),
    ],
)
def test_an_address_that_would_be_unprotected_is_misuse(how, rule):
    with pytest.raises(Misuse) as told:
        Address(**how)
    assert told.value.rule == rule


@pytest.mark.parametrize(
    "how", [{"dn": "cn=x"}, {"password_file": Path("x")}, {"dn": "cn=x", "external": True}]
)
def test_a_name_without_a_password_is_misuse(how):
    with pytest.raises(Misuse, match="bad-login"):
        Login(**how)


def test_without_the_library_it_is_said_what_is_lacking(monkeypatch):
    session.library.cache_clear()
    monkeypatch.setitem(sys.modules, "ldap", None)
    with pytest.raises(Misuse, match="no-ldap"):
        session.library()
    session.library.cache_clear()
