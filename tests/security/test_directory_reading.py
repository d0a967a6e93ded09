"""A directory is one more repository to the client services: lists, CAs, people; and nobody else is asked."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.network.sessions.local import LocalExchange
from e2s.security.directory import entries
from e2s.security.directory.address import Address, origin_of
from e2s.security.directory.entries import Entry
from e2s.security.directory.names import read_suffix
from e2s.security.directory.reading import DirectoryExchange, Reader, naming_context
from e2s.security.directory.server_file import Directory, directory_at, read_server, write_server
from e2s.security.directory.session import Session
from e2s.security.directory.targets import write_target
from e2s.security.pki.feed import Listed
from e2s.security.status.lists import write_list
from e2s.security.verification.fetching import certificate_path, crl_path
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, search_key
from e2s.security.verification.services import ClientServices
from e2s.security.verification.trust import Trust
from tests.security.forge import ca as forged_ca
from tests.security.forge import leaf
from tests.security.forge import root as forged_root
from tests.worlds.directory import PKI, Published
from tests.worlds.pki import START
from tests.worlds.slapd import SUFFIX, Server

pytestmark = [pytest.mark.tool, pytest.mark.processes]
UNITS = itertools.count(1)
ANNA = "urn:e2s:market:alpha:anna"
HTTP = "http://repository:8080"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("slapd")).start()
    yield running
    running.stop()


class Read:
    """A CA published in a tree of its own, and who reads it there."""

    def __init__(self, folder, server):
        self.server = server
        self.world = Published(folder, server.address(), server.login, f"ou=r{next(UNITS)},{SUFFIX}")
        root_list = write_list([], PKI.root_ca.signer, number=1, at=START, until=START + timedelta(days=99))
        self.world.mirror.put_list(PKI.root, Listed(None, False, 1, root_list))
        self.world.publish()
        self.asked = []
        self.exchange = DirectoryExchange([self.directory], LocalExchange({HTTP: self.http}))
        self.services = self.made()

    @property
    def directory(self):
        return Directory(address=self.server.address(), suffix=self.world.tree.suffix)

    def made(self, **how):
        issuers = [(self.server.uri, PKI.root), (self.server.uri, PKI.operating)]
        return ClientServices(self.exchange, issuers, self.world.clock, **how)

    def http(self, request):
        self.asked.append(request.path)
        return Response(404)

    def get(self, path, **headers):
        return self.exchange.send(self.server.uri, Request("GET", path, headers=headers))

    def close(self):
        self.exchange.close()
        self.world.close()


@pytest.fixture
def read(server, tmp_path):
    made = Read(tmp_path, server)
    yield made
    made.close()


def rule(act):
    with pytest.raises((Refusal, Unreachable, Misuse)) as told:
        act()
    return told.value.rule


def test_whom_the_directory_lists_as_revoked_is_refused(read):
    anna, bert = read.world.issue(ANNA), read.world.issue()
    read.world.publish()
    trust = Trust(PKI.verifier(), read.services)

    def judged(one):
        at = read.world.clock.now()
        return trust.check_certificate(one, (PKI.operating,), purpose=None, name=None, at=at).accepted

    assert judged(anna)
    read.world.clock.forward(seconds=3)
    read.world.revoke(anna)
    read.world.publish()
    assert rule(lambda: judged(anna)) == "revoked"
    assert judged(bert)
    read.server.stop()
    try:
        read.world.clock.forward(hours=30)
        assert rule(lambda: judged(bert)) == "revocation-unknown"
    finally:
        read.server.start()
        read.world.session.close()
    read.world.publish()
    read.world.clock.forward(seconds=30)
    assert judged(bert)


def test_lists_and_cas_are_read_where_a_certificate_names_them(server, tmp_path):
    """RFC 5280, 4.2.1.13 and 4.2.2.1 with URLs of RFC 4516: at a known server, and at no other."""
    read = Read(tmp_path, server)
    root = forged_root()
    issuer = forged_ca(root)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.1)
        dn = read.world.tree.dn("cn=forged")
        host = server.uri.removeprefix("ldap://")
        own = f"ldap://{host}{write_target(dn, 'certificateRevocationList;binary')}"
        places = [
            own,
            f"ldap://127.0.0.1:{trap.getsockname()[1]}/{quote(dn)}?certificateRevocationList;binary",
            f"ldap:///{quote(dn)}?certificateRevocationList;binary",
            f"ldap://{host}@127.0.0.1:{trap.getsockname()[1]}/x",
            f"ldapi://%2Ftmp%2Fx/{quote(dn)}?certificateRevocationList",
        ]
        points = x509.CRLDistributionPoints(
            [
                x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
                for url in places
            ]
        )
        above = f"ldap://{host}{write_target(dn, 'cACertificate;binary')}"
        access = x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url)
                )
                for url in (above, f"ldap://127.0.0.1:{trap.getsockname()[1]}/{quote(dn)}?cACertificate")
            ]
        )
        one = leaf(issuer, extra=((points, False), (access, False)))
        lists = issuer.crl((one, START)), root.crl()
        classes = (b"applicationProcess", b"pkiCA")
        forged = {
            "objectClass": classes,
            "cn": (b"forged",),
            entries.CA: (issuer.certificate.der,),
            entries.LIST: lists,
        }
        read.world.session.add_all([Entry(dn=dn, attributes=forged)])
        services = ClientServices(
            read.exchange, [(HTTP, issuer.certificate)], read.world.clock, origins=[server.uri]
        )
        # of two lists in one entry that of the certificate's issuer
        assert services.crls(one.certificate) == (lists[0],)
        assert services.issuers(one.certificate) == (issuer.certificate,)
        with pytest.raises(TimeoutError):
            trap.accept()
    read.close()


def test_an_unknown_server_is_never_asked(read):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.1)
        origin = f"ldap://127.0.0.1:{trap.getsockname()[1]}"
        request = Request("GET", f"/{quote(SUFFIX)}?cACertificate;binary")
        assert rule(lambda: read.exchange.send(origin, request)) == "unknown-directory"
        assert rule(lambda: DirectoryExchange([]).send(HTTP, request)) == "unreachable"
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_referral_is_not_followed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.1)
        port = trap.getsockname()[1]
        server = Server(tmp_path).start()
        referral = {
            "objectClass": (b"referral", b"extensibleObject"),
            "ou": (b"there",),
            "ref": (f"ldap://127.0.0.1:{port}/ou=there,{SUFFIX}".encode(),),
        }
        session = Session(server.address(), server.login)
        session.add_all([Entry(dn=f"ou=there,{SUFFIX}", attributes=referral)])
        assert len(session.find(SUFFIX, "sub", "(objectClass=*)", ("cn",), most=9)) == 2
        assert session.read(f"cn=x,ou=there,{SUFFIX}") is None
        with pytest.raises(TimeoutError):
            trap.accept()
        session.close()
        server.stop()


def test_a_list_that_did_not_change_costs_an_empty_answer(read):
    path = crl_path(PKI.operating)
    first = read.get(path)
    assert (first.status, first.headers["content-type"]) == (200, "application/pkix-crl")
    tag = first.headers["etag"]
    assert (read.get(path, **{"if-none-match": tag}).status, read.get(path).body) == (304, first.body)
    read.world.revoke(read.world.issue())
    read.world.publish()
    again = read.get(path, **{"if-none-match": tag})
    assert (again.status, again.headers["etag"] != tag) == (200, True)
    target = write_target(read.world.tree.dn("cn=operating-ca,ou=ca"), entries.LIST)
    assert read.get(target).body == again.body


def test_what_is_not_there_is_not_found_and_what_is_no_question_refused(read):
    for path in (
        crl_path(PKI.card_ca),
        crl_path(PKI.operating, 3),
        crl_path(PKI.operating, delta=True),
        write_target(f"cn=nobody,{SUFFIX}", entries.USER),
        f"{CERTIFICATES_PATH}?name=nobody",
    ):
        assert read.get(path).status == 404, path
    told = {
        certificate_path(PKI.operating.digest): "bad-directory-url",
        f"/{quote(SUFFIX)}?userPassword": "bad-directory-url",
        f"/{quote(SUFFIX)}?cACertificate?sub": "bad-directory-url",
        f"{CERTIFICATES_PATH}?certHash={quote(search_key(b'x'), safe='')}": "unknown-attribute",
        f"{CRLS_PATH}?iHash={quote(search_key(b'x'), safe='')}": "unknown-attribute",
        f"{CERTIFICATES_PATH}?x=y": "unknown-attribute",
    }
    for path, wanted in told.items():
        assert read.get(path).headers["e2s-rule"] == wanted, path
    posted = read.exchange.send(read.server.uri, Request("POST", crl_path(PKI.operating)))
    assert posted.status == 405


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("name", "anna"), ("uri", ANNA), ("uri", "anna@alpha.example"), ("name", "ANNA")],
)
def test_people_are_found_by_name_and_address(read, attribute, value):
    anna = read.world.issue(ANNA, "anna@alpha.example")
    read.world.issue()
    read.world.publish()
    assert read.services.find(attribute, value) == (anna.der,)


@pytest.mark.parametrize(
    "name", ["*", "an*", "anna)(uid=*", "anna\\", "\\2a", "(", "*)(objectClass=*", "a\x00b"]
)
def test_no_name_widens_the_search(read, name):
    read.world.issue(ANNA)
    read.world.publish()
    reader = Reader(read.directory)
    assert reader.look_up(name) == []
    assert reader.look_up("anna") != []
    reader.close()


def test_too_many_findings_are_refused_not_cut(read):
    for number in range(34):
        read.world.issue(f"urn:e2s:market:p{number}:anna")
    read.world.publish()
    reader = Reader(read.directory)
    assert rule(lambda: reader.look_up("anna")) == "too-many-found"
    assert [one.dn for one in reader.look_up("root")] == [read.world.tree.dn("cn=root")]
    reader.close()


def test_many_threads_read_and_a_server_that_comes_back_is_heard(read):
    read.world.issue(ANNA)
    read.world.publish()
    reader = Reader(read.directory)
    found = []

    def ask():
        found.extend(reader.look_up("anna") for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(found), {len(one) for one in found}) == (30, {1})
    read.server.stop()
    assert rule(lambda: reader.look_up("anna")) == "unreachable"
    read.server.start()
    read.world.session.close()
    assert len(reader.look_up("anna")) == 1
    reader.close()


def test_the_only_tree_of_a_server_goes_without_saying(server):
    session = Session(server.address())
    assert naming_context(session) == SUFFIX
    session.close()


def test_a_directorys_file_says_it_all(tmp_path, server):
    said = {"uri": server.uri, "suffix": SUFFIX, "bind": server.slapd.publisher, "password_file": "pw"}
    path = tmp_path / "directory.toml"
    path.write_text(write_server(**said))
    found = read_server(path)
    assert found.login.password_file == tmp_path / "pw"
    assert (found.address, found.suffix) == (Address(uri=server.uri), read_suffix(SUFFIX))
    for text in (
        'uri = "ldap://127.0.0.1"\n',
        "suffix = 3\n",
        write_server(**said, other="x"),
        "x" * 20_000,
        "\x00",
        "= =",
    ):
        path.write_text(text)
        assert rule(lambda: read_server(path)) == "bad-directory-file"
    assert rule(lambda: read_server(tmp_path / "none")) == "bad-directory-file"
    path.write_text(write_server(uri="ldap://directory.example", suffix=SUFFIX))
    assert rule(lambda: read_server(path)) == "plain-directory"


def test_roots_at_a_plain_port_begin_tls_and_a_socket_knows_us(tmp_path):
    by_tls = directory_at("ldap://directory.example", read_suffix(SUFFIX), trust=tmp_path / "roots")
    assert by_tls.address.start_tls
    assert directory_at("ldapi://%2Frun%2Fx", read_suffix(SUFFIX)).login.external
    assert origin_of("LDAP://Directory.Example") == "ldap://directory.example:389"


def test_the_library_is_not_there_before_it_is_used():
    """Whoever has no directory needs no python-ldap."""
    code = (
        "import sys; import e2s.security.directory.reading, e2s.security.directory.publishing, e2s.cli.directory;"
        "print('ldap' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
