"""Certificates and lists in a real slapd: what stands there, after revocations, outages and strangers' hands."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import secrets
import signal
import socket
import subprocess
import threading
from datetime import timedelta

import pytest

from e2s.base.errors import Refusal, Unreachable
from e2s.crypto.certificates import serial_number
from e2s.crypto.keys import KeySigner
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import profile
from e2s.security.directory import entries, store
from e2s.security.directory.address import Address, Login
from e2s.security.directory.checking import repair
from e2s.security.directory.entries import Entry, read_pair
from e2s.security.directory.names import label, read_suffix
from e2s.security.directory.publishing import Sent
from e2s.security.directory.session import Outcome, Session
from e2s.security.directory.sights import sight
from e2s.security.directory.tree import Tree
from e2s.security.keys.generation import generate
from e2s.security.pki.feed import Listed
from e2s.security.pki.feed_service import FeedClient, feed_doors
from e2s.security.status.lists import write_list
from e2s.security.verification.crls import CrlIndex
from tests.security.forge import leaf, root
from tests.worlds.directory import KEYS, OFFICER, PKI, Published, opened_ca
from tests.worlds.pki import START, make_pki
from tests.worlds.slapd import SUFFIX, Server, program

pytestmark = [pytest.mark.tool, pytest.mark.processes]

UNITS = itertools.count(1)
ANNA = "urn:e2s:market:alpha:anna"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One slapd for the module; each test has a tree of its own in it."""
    running = Server(tmp_path_factory.mktemp("slapd")).start()
    yield running
    running.stop()


@pytest.fixture
def published(server, tmp_path):
    """A CA with a tree of its own below the server's."""
    world = Published(tmp_path / "ca", server.address(), server.login, f"ou=t{next(UNITS)},{SUFFIX}")
    yield world
    world.close()


def value(text, name):
    """The octets of a base64 value that ldapsearch printed."""
    found = re.search(rf"^{re.escape(name)}:: (\S+)$", text, re.MULTILINE)
    assert found, text
    return base64.b64decode(found[1])


def pem(octets, kind):
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(octets).decode()}-----END {kind}-----\n"


def test_what_ldapsearch_finds_openssl_accepts(server, published, tmp_path):
    anna = published.issue(ANNA, "anna@alpha.example")
    bert = published.issue()
    published.publish()
    base = ("-b", published.tree.dn(""))
    found = server.search(
        *base, "(&(objectClass=inetOrgPerson)(objectClass=pkiUser)(mail=anna@alpha.example))"
    )
    assert value(found, "userCertificate;binary") == anna.der
    for line in (f"labeledURI: {ANNA}", "cn: anna", "sn: anna", "uid: anna", "mail: anna@alpha.example"):
        assert line in found.splitlines()
    ca = server.search(*base, "(&(objectClass=certificationAuthority)(objectClass=pkiCA)(cn=operating-ca))")
    root = server.search(*base, "(&(objectClass=pkiCA)(cn=root))")
    names = {
        "anna.pem": pem(value(found, "userCertificate;binary"), "CERTIFICATE"),
        "ca.pem": pem(value(ca, "cACertificate;binary"), "CERTIFICATE"),
        "root.pem": pem(value(root, "cACertificate;binary"), "CERTIFICATE"),
        "ca.crl": pem(value(ca, "certificateRevocationList;binary"), "X509 CRL"),
    }
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    assert value(ca, "authorityRevocationList;binary") == value(ca, "certificateRevocationList;binary")
    moment = str(int((START + timedelta(hours=1)).timestamp()))
    judged = (
        "openssl",
        "verify",
        "-attime",
        moment,
        "-crl_check",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "ca.pem",
    )
    openssl(tmp_path, *judged, "-CRLfile", "ca.crl", "anna.pem")
    said = openssl(tmp_path, "openssl", "crl", "-in", "ca.crl", "-CAfile", "ca.pem", "-noout", "-crlnumber")
    assert "verify OK" in said
    published.revoke(anna)
    published.publish()
    again = server.search(*base, "(cn=operating-ca)", "certificateRevocationList;binary")
    (tmp_path / "ca.crl").write_text(pem(value(again, "certificateRevocationList;binary"), "X509 CRL"))
    assert "revoked" in openssl(tmp_path, *judged, "-CRLfile", "ca.crl", "anna.pem", status=2)
    assert server.search(*base, "(cn=anna)") == ""
    assert (
        value(server.search(*base, f"(cn={bert.name.rpartition(':')[2]})"), "userCertificate;binary")
        == bert.der
    )


def openssl(folder, *command, status=0):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_kind_stands_in_its_place(published):
    held = {
        "uid=anna,ou=alpha": [published.issue(ANNA), published.issue(ANNA, kind="person-agreement")],
        "ou=alpha": [published.issue("urn:e2s:market:alpha", kind="organisation")],
        "cn=wallet,ou=alpha": [published.issue("urn:e2s:market:alpha:wallet", kind="component")],
        "cn=shop.example": [published.issue("shop.example", kind="tls-server")],
    }
    published.publish()
    for key, certificates in held.items():
        standing = published.values(key)
        assert set(standing[entries.USER]) == {one.der for one in certificates}, key
        assert b"pkiUser" in standing["objectClass"]
    assert published.values("cn=shop.example")["cn"] == (b"shop.example",)
    assert entries.certificates_of(published.values("cn=root")) == (PKI.root.der,)
    assert published.differ() == []


def test_lists_in_parts_and_what_changes_them(server, tmp_path):
    places = Places(base="http://repository.example", shards=2, deltas=True)
    world = Published(tmp_path, server.address(), server.login, f"ou=t{next(UNITS)},{SUFFIX}", places=places)
    world.revoke(world.issue())
    world.publish()
    for part in ("0", "1"):
        standing = world.values(f"cn={part},cn=operating-ca,ou=ca")
        assert standing["objectClass"] == (b"cRLDistributionPoint",)
        whole, delta = (CrlIndex.read(standing[name][0]) for name in (entries.LIST, entries.DELTA_LIST))
        assert (whole.base, delta.base) == (None, whole.number)
    assert entries.lists_of(world.values("cn=operating-ca,ou=ca")) == ()
    world.close()


def test_a_list_of_all_with_what_changes_it(server, tmp_path):
    places = Places(base="http://repository.example", deltas=True)
    world = Published(tmp_path, server.address(), server.login, f"ou=t{next(UNITS)},{SUFFIX}", places=places)
    world.publish()
    standing = world.values("cn=operating-ca,ou=ca")
    assert b"deltaCRL" in standing["objectClass"]
    assert len(entries.lists_of(standing)) == 2
    world.close()


def test_a_cross_certificate_stands_as_a_pair_at_its_issuer(published):
    other = make_pki(community="fair").root
    crossed = cross(other)
    with published.database.transaction() as connection:
        store.hold(connection, [published.mirror._row(crossed.der, b"x")])
    published.mirror.want(["cn=root"])
    published.publish()
    (pair,) = published.values("cn=root")[entries.PAIR]
    assert read_pair(pair) == (b"", crossed.der)
    assert crossed.der in entries.certificates_of(published.values("cn=root"))


def cross(other):
    wish = Wish(profile=profile("cross"), names=(), subject=other.x509.subject, public_key=other.public_key)
    return certify(wish, PKI.root_ca.signer, serial=serial_number(secrets.token_bytes), at=START)


def test_held_is_gone_released_stands_again_revoked_goes_for_good(published):
    anna = published.issue(ANNA)
    published.publish()
    published.ca.hold(anna.serial, officer=OFFICER)
    assert published.publish().gone == 1
    assert published.values("uid=anna,ou=alpha") is None
    published.ca.release(anna.serial, officer=OFFICER)
    published.publish()
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (anna.der,)
    again = published.issue(ANNA)
    published.revoke(anna)
    published.publish()
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (again.der,)


@pytest.mark.parametrize(
    ("keep", "days", "stands"), [(0, 0, False), (30, 29, True), (30, 31, False), (None, 999, True)]
)
def test_what_has_ended_goes_by_policy(server, tmp_path, keep, days, stands):
    world = Published(
        tmp_path,
        server.address(),
        server.login,
        f"ou=t{next(UNITS)},{SUFFIX}",
        keep_ended=None if keep is None else timedelta(days=keep),
    )
    anna = world.issue(ANNA)
    world.publish()
    world.clock.at = anna.not_after + timedelta(days=days, seconds=1)
    world.publisher.all()
    assert (world.values("uid=anna,ou=alpha") is not None) is stands
    assert world.mirror.differing() == 0
    world.close()


def test_replays_change_nothing(published):
    for _ in range(5):
        published.issue()
    published.publish()
    before = published.stamps()
    published.mirror.begin_again()
    assert published.publish().standing == 5
    published.restart("another.sqlite")
    published.publish()
    assert published.stamps() == before


def test_a_revoked_certificate_does_not_come_back_when_the_publisher_begins_anew(published):
    anna = published.issue(ANNA)
    published.revoke(anna)
    published.publish()
    published.restart("another.sqlite")
    put = []
    published.sender._server = Watched(published.session, put)
    published.publish()
    assert not [one for one in put if b"anna" in one.attributes.get("uid", ())]


class Watched:
    """The server, and every entry that is added at it."""

    def __init__(self, session, put):
        self._session, self._put = session, put

    def add_all(self, some):
        some = list(some)
        self._put += some
        return self._session.add_all(some)

    def __getattr__(self, name):
        return getattr(self._session, name)


def test_cas_of_one_tree_share_entries_and_the_root_takes_one_back(published, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "second").mkdir()
    root_ca = opened_ca(tmp_path / "root", published.clock, signer=PKI.root_ca.signer, kind="root")
    key = generate("p256-sha256", secrets.token_bytes)
    subject = distinguished(community="market", party="authority", common="second")
    below = ("urn:e2s:market:authority",)
    own = root_ca.issue("operating-ca", key.public_key(), below, officer=OFFICER, subject=subject)
    signer = KeySigner(own, (), key)
    second = opened_ca(tmp_path / "second", published.clock, signer=signer)
    published.others = [second, root_ca]
    published.restart()
    anna = published.issue(ANNA)
    again = second.issue("person", KEYS[0], (ANNA,), officer=OFFICER)
    lists = [one.current_lists()[0].der for one in published.others]
    published.publish()
    assert set(published.values("uid=anna,ou=alpha")[entries.USER]) == {anna.der, again.der}
    assert published.values("cn=second,ou=authority")[entries.LIST] == (lists[0],)
    assert published.values("cn=root")[entries.LIST] == (lists[1],)
    second.revoke(again.serial, "superseded", officer=OFFICER)
    root_ca.revoke(own.serial, "superseded", officer=OFFICER)
    published.publish()
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (anna.der,)
    assert entries.CA not in published.values("cn=second,ou=authority")
    assert published.values("cn=operating-ca,ou=ca")[entries.CA] == (PKI.operating.der,)
    assert published.differ() == []
    assert sum(one.differing() for one in published.publisher._mirrors) == 0
    # whoever begins anew, with the root first, has it not standing either
    published.others.reverse()
    published.restart("another.sqlite")
    before = published.stamps()
    published.publish()
    assert published.stamps() == before


def test_a_ca_is_followed_over_a_link_as_well(published):
    """As a component of the CA's party: its register is on another machine."""
    doors = LinkDoor(
        "ca", {"directory": bytes(32)}, feed_doors(published.ca), published.clock, secrets.token_bytes
    )
    exchange = LocalExchange({"http://ca:1": doors.handle})
    link = Link("directory", "ca", bytes(32), exchange, "http://ca:1", published.clock, secrets.token_bytes)
    published.mirror._feed = FeedClient(link)
    anna, bert = published.issue(ANNA), published.issue()
    published.revoke(bert)
    published.publish()
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (anna.der,)
    assert published.differ() == []
    exchange.doors.clear()
    published.issue()
    published.publisher.tick()
    assert published.events()[-1] == ("feed.lost", "unreachable")
    exchange.doors["http://ca:1"] = doors.handle
    published.publisher.tick()
    assert published.publisher._lost["feed"] == ""
    assert published.mirror.differing() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_outage_delays_and_loses_nothing(tmp_path, how):
    server = Server(tmp_path / "slapd").start()
    world = Published(tmp_path / "ca", server.address(), server.login, SUFFIX)
    first = world.issue()
    world.ca.current_lists()
    world.publisher.tick()
    server.stop(how)
    issued = [world.issue() for _ in range(3)]
    world.revoke(first)
    world.ca.current_lists()
    assert world.publisher.tick() == Sent()
    assert world.waiting() > 0
    with pytest.raises(Unreachable):
        world.publisher.all()
    # asked again after one second, two, four...: not sooner
    asked = world.publisher._failures
    world.publisher.tick()
    assert world.publisher._failures == asked
    world.clock.forward(seconds=1)
    world.publisher.tick()
    assert world.publisher._failures == asked + 1
    server.start()
    world.publisher.tick()
    assert world.waiting() > 0
    world.clock.forward(minutes=1)
    world.publisher.tick()
    assert world.waiting() == 0
    assert world.differ() == []
    assert all(world.values(f"uid={one.name.rpartition(':')[2]},ou=alpha") for one in issued)
    kinds = [(kind, outcome) for kind, outcome in world.events() if kind != "directory.sent"]
    assert kinds == [("directory.lost", "unreachable"), ("directory.found", "done")]
    world.close()
    server.stop()


@pytest.mark.parametrize("after", [0, 40, 150, 300, 600])
def test_a_line_that_is_cut_anywhere_loses_nothing(server, tmp_path, after):
    """What the server took of a batch is not known, and taken again."""
    with Cut(server.port, after) as line:
        address = Address(uri=f"ldap://127.0.0.1:{line.port}", timeout_seconds=5)
        world = Published(tmp_path, address, server.login, f"ou=t{next(UNITS)},{SUFFIX}")
        for _ in range(6):
            world.issue()
        with pytest.raises(Unreachable):
            world.publish()
        assert world.waiting() > 0
        line.after = 10**9
        world.publish()
        assert (world.waiting(), world.differ()) == (0, [])
        world.close()


class Cut:
    """A line to a server that is cut when so many octets have come back."""

    def __init__(self, port, after):
        self.after = after
        self._to = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._door.close()

    def _serve(self):
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            threading.Thread(target=self._carry, args=(near, far, 10**12), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, self.after), daemon=True).start()

    @staticmethod
    def _carry(source, target, most):
        with contextlib.suppress(OSError):
            while most > 0 and (octets := source.recv(min(most, 4096))):
                target.sendall(octets)
                most -= len(octets)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def test_a_server_that_hangs_is_given_up_in_time(tmp_path):
    server = Server(tmp_path / "slapd").start()
    world = Published(tmp_path / "ca", server.address(timeout_seconds=0.5), server.login, SUFFIX)
    world.issue()
    world.publish()
    server.stop(signal.SIGSTOP)
    try:
        world.issue()
        with pytest.raises(Unreachable) as told:
            world.publish()
        assert told.value.rule == "timed-out"
    finally:
        server.stop(signal.SIGCONT)
    world.publish()
    assert world.differ() == []
    world.close()
    server.stop()


def test_only_the_publisher_writes(server, published):
    published.issue(ANNA)
    published.publish()
    dn = published.tree.dn("uid=anna,ou=alpha")
    stranger = Session(server.address())
    for act in (
        lambda: stranger.add_all(
            [Entry(dn=published.tree.dn("cn=x"), attributes=entries.application("x", ()))]
        ),
        lambda: stranger.change_all([(dn, {"sn": (b"x",)})]),
        lambda: stranger.delete_all([dn]),
    ):
        with pytest.raises(Refusal) as told:
            act()
        assert told.value.rule == "directory-denied"
    command = [program("ldapdelete"), "-x", "-H", server.uri, dn]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 8
    assert "userPassword" not in server.search("-b", SUFFIX, "-s", "sub", "(uid=publisher)")
    assert stranger.read(dn) is not None
    stranger.close()


def test_a_wrong_password_is_told_and_nothing_of_it(server, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(0o600)
    wrong.write_text("not-the-password")
    world = Published(
        tmp_path,
        server.address(),
        Login(dn=server.login.dn, password_file=wrong),
        f"ou=t{next(UNITS)},{SUFFIX}",
    )
    with pytest.raises(Refusal) as told:
        world.publish()
    assert told.value.rule == "directory-denied"
    assert "not-the-password" not in str(told.value) + repr(told.value.__cause__)
    world.publisher.tick()
    assert ("directory.lost", "directory-denied") in world.events()
    wrong.chmod(0o644)
    with pytest.raises(Refusal, match="phrase-file-exposed"):
        world.publish()
    world.close()


def test_an_entry_that_the_directory_refuses_keeps_nobody_waiting(published):
    published.publish()
    parent = Entry(dn=published.tree.dn("ou=alpha"), attributes=entries.party("alpha", ()))
    other = {"objectClass": (b"organizationalRole",), "cn": (b"x",), "ou": (b"x",)}
    dn = published.tree.dn("cn=wallet,ou=alpha")
    published.session.add_all([parent, Entry(dn=dn, attributes={**other, "cn": (b"wallet",)})])
    published.issue("urn:e2s:market:alpha:wallet", kind="component")
    anna = published.issue(ANNA)
    assert published.publish().refused == 1
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (anna.der,)
    with published.database.reading() as connection:
        assert store.refused(connection) == {"cn=wallet,ou=alpha": "directory-refused"}
    assert published.waiting() == 0
    published.session.delete_all([dn])
    published.mirror.want(["cn=wallet,ou=alpha"])
    assert published.publish().refused == 0
    with published.database.reading() as connection:
        assert store.refused(connection) == {}


def test_differences_are_found_and_repaired(published):
    people = {one.name.rpartition(":")[2]: one for one in (published.issue() for _ in range(4))}
    published.publish()
    keys = [f"uid={name},ou=alpha" for name in people]
    dns = [published.tree.dn(key) for key in keys]
    published.session.delete_all([dns[0]])
    published.session.change_all([(dns[1], {"sn": (b"Mallory",), "mail": (b"m@evil.example",)})])
    published.session.change_all([(dns[2], {"telephoneNumber": (b"+1 555",)})])  # not the publisher's own
    stranger = published.issue()
    published.revoke(stranger)
    evil = Entry(
        dn=published.tree.dn("uid=evil,ou=alpha"),
        attributes={**entries.person("evil", ()), entries.USER: (stranger.der,)},
    )
    own = Entry(dn=published.tree.dn("ou=printers"), attributes=entries.party("printers", ()))
    assert published.session.add_all([evil, own]) == [Outcome.DONE, Outcome.DONE]
    published.publish()
    found = {one.key: (one.kind, one.attributes) for one in published.differ()}
    assert found == {
        keys[0]: ("lacking", ()),
        keys[1]: ("other", ("sn", "mail")),
        "uid=evil,ou=alpha": ("surplus", ()),
    }
    assert repair(published.differ(), published.mirror, published.publisher) == 3
    assert published.differ() == []
    assert published.values("ou=printers") is not None
    assert published.values(keys[2])["telephoneNumber"] == (b"+1 555",)


def test_a_database_that_says_otherwise_than_the_register_is_found(published):
    anna = published.issue(ANNA)
    published.revoke(anna)
    published.publish()
    assert published.mirror.differing() == 0
    with published.database.transaction() as connection:
        store.stand(connection, PKI.operating.digest, anna.serial, standing=True)
    assert published.mirror.differing() == 1
    published.mirror.begin_again()
    published.publish()
    assert published.mirror.differing() == 0
    assert published.values("uid=anna,ou=alpha") is None


def test_an_entry_that_others_put_something_beneath_is_left_bare(published):
    wallet = published.issue("urn:e2s:market:alpha:wallet", kind="component")
    published.publish()
    beneath = Entry(dn=published.tree.dn("cn=x,cn=wallet,ou=alpha"), attributes=entries.application("x", ()))
    published.session.add_all([beneath])
    published.revoke(wallet)
    assert published.publish() == Sent(standing=1, gone=1, refused=0)
    assert published.values("cn=wallet,ou=alpha") == {
        "objectClass": (b"applicationProcess",),
        "cn": (b"wallet",),
    }
    assert published.differ() == []


def crl(number, hours=0, signer=None):
    at = START + timedelta(hours=hours)
    signed = signer or PKI.operating_ca.signer
    return write_list([], signed, number=number, at=at, until=at + timedelta(days=1), shard=None, base=None)


def test_lists_are_replaced_by_newer_ones_only(published):
    key = "cn=operating-ca,ou=ca"
    published.publish()
    newer, newest = crl(70, 1), crl(71, 2)
    put = published.mirror.put_list
    assert put(PKI.operating, Listed(None, False, 71, newest))
    assert published.publisher._send("list").standing == 1
    assert published.values(key)[entries.LIST] == (newest,)
    assert not put(PKI.operating, Listed(None, False, 71, newest))
    for octets, rule in (
        (newer, "old-crl"),
        (crl(99, 3, PKI.bank_ca.signer), "bad-crl"),
        (newest[:-1] + bytes([newest[-1] ^ 1]), "bad-crl"),
        (b"0", "bad-crl"),
    ):
        with pytest.raises(Refusal) as told:
            put(PKI.operating, Listed(None, False, 99, octets))
        assert told.value.rule == rule


def test_a_list_that_is_refused_keeps_no_change_waiting(published):
    """The CA's register was set back to a copy, whose lists are older than what was published."""
    anna = published.issue(ANNA)
    published.publish()
    published.mirror.put_list(PKI.operating, Listed(None, False, 70, crl(70, 1)))
    published.revoke(anna)
    with pytest.raises(Refusal, match="old-crl"):
        published.publish()
    assert published.values("uid=anna,ou=alpha") is None
    published.publisher.tick()
    assert ("feed.lost", "old-crl") in published.events()
    assert CrlIndex.read(published.values("cn=operating-ca,ou=ca")[entries.LIST][0]).number == 70


def test_a_newer_list_in_the_directory_stays_and_a_forged_one_goes(published):
    """The publisher's database may have been set back; whoever writes at the server may have put anything."""
    key = "cn=operating-ca,ou=ca"
    published.publish()
    own = published.values(key)[entries.LIST][0]
    newer = crl(70, 1)
    for standing, after in (
        ((newer,), newer),
        ((crl(99, 3, make_pki().operating_ca.signer),), own),
        ((b"\x30\0",), own),
    ):
        changed = dict.fromkeys((entries.LIST, entries.AUTHORITY_LIST), standing)
        published.session.change_all([(published.tree.dn(key), changed)])
        published.mirror.want([key])
        published.publisher.all()
        assert published.values(key)[entries.LIST] == (after,)


def test_a_database_is_of_one_tree(published, server):
    published.publish()
    published.tree = Tree(suffix=read_suffix("o=other"), community="market")
    published.close()
    with pytest.raises(Refusal, match="other-directory"):
        published.start()


NAMES = [
    "anna,ou=root",
    "anna+cn=x",
    "*)(uid=*",
    "anna\\2cou=x",
    "#04026869",
    '"anna"',
    "anna<script>",
    "..%00",
    "ANNA",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_name_leaves_its_place_or_is_taken_for_another(published, server, name):
    anna = published.issue(ANNA)
    other = leaf(root(), common=name, unit="alpha", names=(f"urn:e2s:market:alpha:{name}",)).certificate
    place = published.tree.place(sight(other.der))
    with published.database.transaction() as connection:
        store.hold(connection, [published.mirror._row(other.der, b"x")])
    published.mirror.want([place.key])
    assert published.publish().refused == 0
    kind, above = place.key.split(",", 1)
    assert above == "ou=alpha"
    assert kind.split("=", 1)[1] == label(other.name.split(":", 4)[4])
    assert published.values(place.key)[entries.USER] == (other.der,)
    assert published.values("uid=anna,ou=alpha")[entries.USER] == (anna.der,)
    assert published.differ() == []


def test_no_certificate_takes_the_place_of_who_writes(published, server):
    publisher = server.slapd.publisher.removesuffix(f",{SUFFIX}")
    for names, kind in ((("publisher",), "tls-server"), (("urn:e2s:market:publisher",), "organisation")):
        assert published.tree.place(sight(published.issue(*names, kind=kind).der)).key != publisher
