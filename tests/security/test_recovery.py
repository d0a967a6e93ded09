"""A replaced CA and a lost root: everything valid is certified again, once, wherever the work was killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from hashlib import sha256

import pytest

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.signed import read_signed
from e2s.security.ceremonies.buying import Buying, found_buying
from e2s.security.ceremonies.ceremony import (
    Occasion,
    found_authority,
    officer_rights,
    open_root,
)
from e2s.security.ceremonies.folder import CEREMONIES, REGISTER
from e2s.security.ceremonies.own_records import adopt
from e2s.security.ceremonies.recovery import confidence_of, names_of
from e2s.security.ceremonies.rehearsal import rehearse
from e2s.security.ceremonies.replacing import REPORT, Replacing, replace_authority
from e2s.security.ceremonies.root_recovery import (
    ANCHOR,
    NEW_WITH_OLD,
    OLD_WITH_NEW,
    Branch,
    Recovering,
    lost_root,
    read_anchor,
    recover_root,
)
from e2s.security.ceremonies.standalone import look, look_root, open_ca
from e2s.security.keys import durable
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import holdings, store
from e2s.security.verification.verifier import Verifier
from tests.security.test_ceremony_records import EVE, OLGA, make_ca, make_root, new_setting

SECRET = "words"
PEOPLE = 6


class Centre:
    """A root with an operating CA and a card CA, and what they certified."""

    def __init__(self, folder):
        self.folder = folder
        self.setting = new_setting()
        root = make_root(folder / "root", self.setting)
        operating = make_ca(root, folder / "ca")
        card = found_authority(
            root,
            folder / "cards",
            Phrase(SECRET),
            kind="card-ca",
            name="urn:e2s:market:bank",
            component="cards",
            officer=OLGA,
            authoriser=None,
            setting=self.setting,
            occasion=Occasion(rights=officer_rights(OLGA, ("cards",))),
        )
        for number in range(PEOPLE):
            name = f"urn:e2s:market:alpha:p{number}"
            self.issue(operating, "buyer", name, confidence="low" if number % 2 else None)
        held = self.issue(operating, "merchant", "urn:e2s:market:volt")
        gone = self.issue(operating, "merchant", "urn:e2s:market:gone")
        operating.hold(held.serial, officer=OLGA)
        operating.revoke(gone.serial, "superseded", officer=OLGA)
        self.issue(operating, "tls-server", "shop.example")
        name = "urn:e2s:market:bank:h"
        self.issue(card, "card-holder", name, pan_commit=sha256(b"a card").digest())
        for one in (root, operating, card):
            one.close()

    def issue(self, authority, kind, name, **more):
        key = generate("p256-sha256", self.setting.random)
        return authority.issue(kind, key.public_key(), (name,), officer=OLGA, **more)

    def root(self, name="root"):
        return open_root(self.folder / name, Phrase("root words"), setting=self.setting)

    def held(self, name):
        database = Database.open(self.folder / name / REGISTER, store.TABLES)
        with database.reading() as connection:
            found = list(holdings.holdings(connection, self.setting.clock.now()))
        database.close()
        return found

    def replace(self, root, *, reason="cACompromise", officer=OLGA, tell=lambda _done, _whole: None):
        wanted = Replacing(
            old=look(self.folder / "ca"),
            folder=self.folder / "new",
            reason=reason,
            officer=officer,
            occasion=Occasion(),
        )
        return replace_authority(root, wanted, Phrase(SECRET), setting=self.setting, tell=tell)

    def recover(self, *, old_root=None, officer=OLGA, names=("ca", "cards")):
        beneath = [self.folder / name for name in names]
        wanted = Recovering(
            lost=lost_root(self.folder / "root", self.folder / "root-2", beneath),
            folder=self.folder / "root-2",
            branches=tuple(Branch(one, Phrase(SECRET)) for one in beneath),
            officer=officer,
            occasion=Occasion(present=("Ada Jones",)),
            old=old_root,
        )
        tell = lambda _name, _done, _whole: None  # noqa: E731
        return recover_root(wanted, Phrase("root words"), setting=self.setting, tell=tell)

    def judged(self, root, name, certificate):
        """How the verifier judges by the lists as they are now."""
        seen = look(self.folder / name)
        authority = open_ca(seen, Phrase(SECRET), setting=self.setting)
        lists = (*(one.der for one in authority.current_lists()), root.current_crl())
        authority.close()
        at = self.setting.clock.now()
        return Verifier([seen.root]).judge(certificate, seen.issuers, lists, at=at, purpose=None, name=None)


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    return Centre(tmp_path_factory.mktemp("centre"))


@pytest.fixture
def centre(founded, tmp_path):
    """A copy of the centre, made once."""
    shutil.copytree(founded.folder, tmp_path / "centre")
    made = object.__new__(Centre)
    made.folder, made.setting = tmp_path / "centre", new_setting()
    return made


def described(one):
    """What must be the same of a certificate and the one that follows it."""
    certificate = one.certificate
    commitment = [e.value for e in certificate.x509.extensions if "3.1" in e.oid.dotted_string[-4:]]
    key = certificate.spki
    return (
        one.profile,
        key,
        names_of(certificate),
        certificate.subject,
        confidence_of(certificate),
        str(commitment),
    )


def good(held):
    return Counter(described(one) for one in held if one.state in {"good", "held"})


def test_a_replaced_ca(centre):
    before = centre.held("ca")
    root = centre.root()
    told = []
    outcomes = centre.replace(root, tell=lambda done, whole: told.append((done, whole)))
    assert [one.rule for one in outcomes if not one.new] == []
    assert told[-1] == (len(outcomes), len(outcomes))
    after = centre.held("new")
    assert good(after) == good(before)
    assert {one.name for one in after if one.state == "held"} == {"urn:e2s:market:volt"}
    assert all(one.certificate.not_after <= look(centre.folder / "new").own.not_after for one in after)
    # the old ones are worth nothing, the new ones are good
    sample = next(one.certificate for one in after if one.name == "shop.example")
    assert centre.judged(root, "new", sample).accepted
    sample = next(one.certificate for one in before if one.name == "shop.example")
    assert centre.judged(root, "ca", sample).rule == "revoked"
    assert root.chain.newest.act == "replacing"
    assert [item.kind for item in root.chain.newest.items] == ["revocation", "certificate", "list"]
    # who had rights at the old one has them at the new one
    assert look(centre.folder / "new").component == "ca"
    root.close()


def test_replacing_again_changes_nothing(centre):
    root = centre.root()
    one = centre.replace(root)
    records = len(root.chain.records)
    assert centre.replace(root) == one
    assert len(root.chain.records) == records
    root.close()


def test_what_could_not_be_certified_is_told(centre):
    folder = centre.folder
    ca = open_ca(look(folder / "ca"), Phrase(SECRET), setting=centre.setting)
    doomed = centre.issue(ca, "buyer", "urn:e2s:market:alpha:late")
    ca.close()

    def revoke_meanwhile(_done, _whole):
        raise Killed

    root = centre.root()
    # the plan is made; then the certificate is withdrawn by the old CA, whose key turns up again
    with pytest.raises(Killed):
        centre.replace(root, tell=revoke_meanwhile)
    ca = open_ca(look(folder / "ca"), Phrase(SECRET), setting=centre.setting)
    ca.revoke(doomed.serial, "keyCompromise", officer=OLGA)
    ca.close()
    (fault,) = [one for one in centre.replace(root) if not one.new]
    assert (fault.old, fault.rule) == (f"{doomed.serial:x}", "revoked")
    lines = (folder / "new" / REPORT).read_text().splitlines()
    assert [json.loads(line)["rule"] for line in lines if not json.loads(line)["new"]] == ["revoked"]
    root.close()


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [("officer", "not-authorised"), ("folder", "ca-exists"), ("root", "not-of-this-root")],
)
def test_no_ca_is_replaced_by_who_may_not(centre, tmp_path, wrong, rule):
    root = make_root(tmp_path / "r", centre.setting) if wrong == "root" else centre.root()
    if wrong == "folder":
        shutil.copytree(centre.folder / "cards", centre.folder / "new")
    with pytest.raises((Refusal, Misuse), match=rule):
        centre.replace(root, officer=EVE if wrong == "officer" else OLGA)
    root.close()
    if wrong == "officer":
        assert centre.held("root")[0].state == "good"


class Killed(BaseException):
    """The process dies here."""


class Deaths:
    """Lets so many durable writes happen, then kills: at files and at commits."""

    def __init__(self, patched, after):
        self.left = after
        replace, transaction = durable.replace_file, Database.transaction
        for module in list(sys.modules.values()):
            if getattr(module, "replace_file", None) is replace and module is not durable:
                patched.setattr(module, "replace_file", self.before(replace))
        patched.setattr(Database, "transaction", self.before(transaction))

    def before(self, act):
        def dying(*arguments, **named):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return act(*arguments, **named)

        return dying


def killed_everywhere(centre, monkeypatch, work, *, most=200):
    """Do the work, killed before its first, second... durable write, each time from a fresh copy or going on."""
    for after in range(most):
        with monkeypatch.context() as patched:
            deaths = Deaths(patched, after)
            try:
                work()
            except Killed:
                continue
            assert deaths.left >= 0
            return after
    raise AssertionError("the work never ended")


def test_replacing_killed_before_each_write(centre, monkeypatch, tmp_path):
    """Wherever it is killed, the next run ends what the first one began."""
    before = centre.held("ca")
    for after in range(100):
        copy = object.__new__(Centre)
        copy.folder, copy.setting = tmp_path / str(after), centre.setting
        shutil.copytree(centre.folder, copy.folder)
        root = copy.root()
        with monkeypatch.context() as patched:
            deaths = Deaths(patched, after)
            with contextlib.suppress(Killed):
                copy.replace(root)
        root.close()  # the dead process's lock
        root = copy.root()
        copy.replace(root)
        assert good(copy.held("new")) == good(before), after
        assert [item.digest for item in root.chain.items("revocation")] == [look(copy.folder / "ca").own.id]
        certified = {item.digest for item in root.chain.items("certificate") if item.component == "ca"}
        assert certified == {look(copy.folder / "ca").own.id, look(copy.folder / "new").own.id}
        root.close()
        copy.root().close()  # records and register agree
        if deaths.left:
            break
    assert 15 < after < 99


def test_founding_killed_before_each_write(monkeypatch, tmp_path):
    """Root and CA are founded by the same calls again, with the same keys, and every certificate on record."""
    for after in range(60):
        folder, setting = tmp_path / str(after), new_setting()
        with monkeypatch.context() as patched:
            deaths = Deaths(patched, after)
            roots = []
            with contextlib.suppress(Killed):
                roots.append(make_root(folder / "root", setting))
                make_ca(roots[0], folder / "ca").close()
        for root in roots:
            root.close()  # the dead process's lock
        try:
            root = make_root(folder / "root", setting)
        except Misuse as error:
            assert error.rule == "root-exists"
            root = open_root(folder / "root", Phrase("root words"), setting=setting)
        with contextlib.suppress(Misuse):  # there already is a whole one
            make_ca(root, folder / "ca").close()
        seen = look(folder / "ca")
        assert (seen.component, (OLGA, "ca.certify", "ca") in seen.chain.newest.rights) == ("ca", True), after
        certified = {
            item.digest for item in root.chain.items("certificate") if item.profile == "operating-ca"
        }
        assert certified == {seen.own.id}
        root.close()
        open_root(folder / "root", Phrase("root words"), setting=setting).close()
        if deaths.left:
            break
    assert 10 < after < 59


def test_recovering_killed_before_each_write(centre, monkeypatch):
    before = {name: good(centre.held(name)) for name in ("ca", "cards")}
    roots = []

    def work():
        for root in roots:
            root.close()
        roots[:] = [centre.root()]
        centre.recover(old_root=roots[0])

    tries = killed_everywhere(centre, monkeypatch, work, most=300)
    assert tries > 20
    roots[0].close()
    for name, held in before.items():
        # the register goes on: each stands there once from before and once again
        assert good(centre.held(name)) == held + held
    centre.root("root-2").close()
    centre.root().close()
    assert_recovered(centre)


def assert_recovered(centre):
    new = centre.root("root-2")
    for name in ("ca", "cards"):
        seen = look(centre.folder / name)
        assert seen.root == new.certificate
        sample = centre.held(name)[-1].certificate
        assert centre.judged(new, name, sample).accepted, name
    assert new.rights == look_root(centre.folder / "root").chain.newest.rights
    new.close()


def test_a_lost_root_whose_key_is_gone(centre):
    shutil.rmtree(centre.folder / "root")
    shutil.copytree(
        centre.folder / "ca", centre.folder / "root"
    )  # all that is left: a CA's copy of the records
    old = look_root(centre.folder / "root").own
    outcomes = centre.recover()
    assert all(one.new for one in outcomes)
    assert len(outcomes) == PEOPLE + 3
    new = centre.root("root-2")
    assert old.id in new.chain.records[0].note
    assert not (new.folder / ANCHOR).exists()
    new.close()
    for name in ("ca", "cards"):
        assert look(centre.folder / name).root == new.certificate
        assert (centre.folder / name / f"{CEREMONIES}-of-lost-root").is_dir()


def test_a_buying_organisations_ca_is_left_to_its_manager(centre, tmp_path):
    """The new root certifies its key; she adopts that, and what she certified before is good again."""
    albert = "urn:e2s:market:alpha:albert"
    root = centre.root()
    alpha = found_buying(
        root,
        centre.folder / "alpha",
        Phrase(SECRET),
        Buying(party="urn:e2s:market:alpha", component="alpha", manager=albert),
        root=root.certificate,
        officer=OLGA,
        setting=centre.setting,
    )
    key = generate("p256-sha256", centre.setting.random).public_key()
    buyer = alpha.issue("buyer", key, ("urn:e2s:market:alpha:anna",), officer=albert)
    alpha.close()
    root.close()
    found = rehearse(
        look(centre.folder / "root"),
        tmp_path / "drill",
        (Branch(centre.folder / "alpha", Phrase("guess")),),
        officer=OLGA,
        setting=centre.setting,
        tell=lambda _name, _done, _whole: None,
    )
    assert found.closed == {"alpha": "wrong-pass-phrase"}
    before = snapshot(centre.folder / "alpha")
    assert len(centre.recover(names=("ca", "alpha", "cards"))) == PEOPLE + 3
    assert snapshot(centre.folder / "alpha") == before
    newer = Certificate.read((centre.folder / "root-2" / "recovery" / "for-alpha.pem").read_bytes())
    new = centre.root("root-2")
    seen = look(centre.folder / "alpha")
    with pytest.raises(Refusal, match="not-authorised"):
        adopt(seen, Phrase(SECRET), (newer,), new.certificate, officer=OLGA, setting=centre.setting)
    with pytest.raises(Refusal, match=r"unknown-root|bad-signature|no-path"):
        adopt(seen, Phrase(SECRET), (newer,), seen.root, officer=albert, setting=centre.setting)
    adopt(seen, Phrase(SECRET), (newer,), new.certificate, officer=albert, setting=centre.setting)
    assert centre.judged(new, "alpha", buyer).accepted
    new.close()


def test_links_and_anchor_lead_from_the_old_root_to_the_new(centre):
    old = centre.root()
    centre.recover(old_root=old)
    folder, at = centre.folder / "root-2", centre.setting.clock.now()
    new = centre.root("root-2")
    assert read_anchor((folder / ANCHOR).read_bytes(), old.certificate) == new.certificate
    new_with_old = Certificate.read((folder / NEW_WITH_OLD).read_bytes())
    old_with_new = Certificate.read((folder / OLD_WITH_NEW).read_bytes())
    lists = (old.current_crl(), new.current_crl())
    sample = next(one.certificate for one in reversed(centre.held("ca")) if one.state == "good")
    seen = look(centre.folder / "ca")
    ca = open_ca(seen, Phrase(SECRET), setting=centre.setting)
    lists = (*lists, *(one.der for one in ca.current_lists()))
    ca.close()
    for anchor, link in ((old, new_with_old), (new, old_with_new)):
        pool = (link, *seen.issuers)
        verdict = Verifier([anchor.certificate]).judge(sample, pool, lists, at=at, purpose=None, name=None)
        assert verdict.accepted, verdict.reason
    old.close()
    new.close()


def test_only_the_known_roots_word_names_a_new_anchor(centre, tmp_path):
    old = centre.root()
    centre.recover(old_root=old)
    octets = (centre.folder / "root-2" / ANCHOR).read_bytes()
    other = make_root(tmp_path / "other", centre.setting)
    with pytest.raises(Refusal, match="bad-anchor"):
        read_anchor(octets, other.certificate)
    record = (centre.folder / "root" / CEREMONIES / "0001.cms").read_bytes()
    with pytest.raises(Refusal, match="bad-anchor"):
        read_anchor(record, old.certificate)
    assert read_signed(octets).signer_certificate == old.certificate
    old.close()
    other.close()


@pytest.mark.parametrize(
    ("names", "officer", "rule"), [(("ca",), EVE, "not-authorised"), (("other",), OLGA, "not-of-this-root")]
)
def test_no_root_is_replaced_by_who_may_not(centre, tmp_path, names, officer, rule):
    other = make_root(tmp_path / "other-root", centre.setting)
    make_ca(other, centre.folder / "other").close()
    other.close()
    with pytest.raises((Refusal, Misuse), match=rule):
        centre.recover(officer=officer, names=names)


# ---------------------------------------------------------------------------------------- rehearsal


def snapshot(folder):
    """Every file with its digest and when it was last written."""
    return {
        path.relative_to(folder): (sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def rehearsed(centre, scratch, secret=SECRET, officer=OLGA):
    branches = tuple(Branch(centre.folder / name, Phrase(secret)) for name in ("ca", "cards"))
    lost = look(centre.folder / "root")
    tell = lambda _name, _done, _whole: None  # noqa: E731
    return rehearse(lost, scratch, branches, officer=officer, setting=centre.setting, tell=tell)


def test_a_rehearsal_changes_nothing_real(centre, tmp_path):
    before = snapshot(centre.folder)
    found = rehearsed(centre, tmp_path / "drill")
    assert found.good
    assert len(found.outcomes) == PEOPLE + 3
    assert snapshot(centre.folder) == before


def test_what_a_rehearsal_makes_is_worth_nothing(centre, tmp_path):
    rehearsed(centre, tmp_path / "drill")
    real = look(centre.folder / "ca")
    drill = look(tmp_path / "drill" / "ca")
    assert drill.own.spki != real.own.spki
    database = Database.open(tmp_path / "drill" / "ca" / REGISTER, store.TABLES)
    with database.reading() as connection:
        sample = next(holdings.holdings(connection, centre.setting.clock.now())).certificate
    database.close()
    at = centre.setting.clock.now()
    verdict = Verifier([real.root]).judge(
        sample, (*drill.issuers, *real.issuers), (), at=at, purpose=None, name=None
    )
    assert not verdict.accepted


def test_a_rehearsal_finds_the_pass_phrase_that_nobody_knows(centre, tmp_path):
    found = rehearsed(centre, tmp_path / "drill", secret="guess")
    assert found.closed == {"ca": "wrong-pass-phrase", "cards": "wrong-pass-phrase"}
    assert not found.good


@pytest.mark.parametrize("where", ["ca", "root/drill", ".", "used"])
def test_a_rehearsal_keeps_away_from_real_folders(centre, where):
    (centre.folder / "used").mkdir()
    (centre.folder / "used" / "file").touch()
    before = snapshot(centre.folder)
    with pytest.raises(Misuse, match="scratch-used"):
        rehearsed(centre, centre.folder / where)
    assert snapshot(centre.folder) == before


def test_a_rehearsal_is_for_officers(centre, tmp_path):
    with pytest.raises(Refusal, match="not-authorised"):
        rehearsed(centre, tmp_path / "drill", officer=EVE)


# ---------------------------------------------------------------------------------------- kill -9


def test_replacing_killed_with_9(centre):
    """Real processes, killed at moments spread over the work; the last one ends it."""
    ca = open_ca(look(centre.folder / "ca"), Phrase(SECRET), setting=centre.setting)
    for number in range(300):
        centre.issue(ca, "buyer", f"urn:e2s:market:alpha:q{number}")
    ca.close()
    before = centre.held("ca")

    def child():
        """A process that replaces the CA; nothing of it is shared but the disk."""
        pid = os.fork()
        if pid:
            return pid
        with contextlib.suppress(BaseException):
            root = centre.root()
            centre.replace(root)
            os._exit(0)
        os._exit(1)

    kills = 0
    for number in range(8):
        pid = child()
        time.sleep(0.02 + 0.04 * number)
        os.kill(pid, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    assert kills > 3
    pid = child()
    assert os.waitpid(pid, 0)[1] == 0
    after = centre.held("new")
    lines = (centre.folder / "new" / REPORT).read_text().splitlines()
    assert Counter(json.loads(line)["message"] for line in lines) == {"": len(lines)}
    assert good(after) == good(before)
    assert not [one for one in after if one.state == "revoked" and one.name]
    centre.root().close()
