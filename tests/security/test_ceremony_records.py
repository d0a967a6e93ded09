"""The chain of ceremonies' records: whatever is altered, cut, forked, reordered or foreign is refused."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.cms.signing import sign
from e2s.security.ceremonies import ceremony_record
from e2s.security.ceremonies.ceremony import (
    Occasion,
    Setting,
    copy_records,
    found_authority,
    found_root,
    officer_rights,
    officers,
    open_root,
    read_chain,
)
from e2s.security.ceremonies.ceremony_record import Item, Record, chain, read, sign_record
from e2s.security.ceremonies.folder import CEREMONIES, OPEN, REGISTER
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.ca import RIGHTS
from tests.worlds.pki import SetClock

OLGA = "urn:e2s:market:authority:olga"
EVE = "urn:e2s:market:authority:eve"
WORDS = Phrase("root words")


def new_setting():
    return Setting(
        clock=SetClock(), random=secrets.token_bytes, cost=Cost(memory_kib=8, passes=1), software="e2s test"
    )


def make_root(folder, setting=None):
    return found_root(
        folder,
        Phrase("root words"),
        community="market",
        rights=officer_rights(OLGA, ("root",)),
        setting=setting or new_setting(),
        officer=OLGA,
        occasion=Occasion(present=("Ada Jones", "Bob Ray")),
    )


def make_ca(root, folder, component="ca"):
    return found_authority(
        root,
        folder,
        Phrase("words"),
        kind="operating-ca",
        name="urn:e2s:market:authority",
        component=component,
        officer=OLGA,
        authoriser=None,
        setting=root.setting,
        occasion=Occasion(rights=officer_rights(OLGA, (component,)), list_too=True),
    )


@pytest.fixture
def root(tmp_path):
    """A root that has certified a CA and named an officer: three ceremonies."""
    made = make_root(tmp_path / "root")
    make_ca(made, tmp_path / "ca").close()
    made.give([(EVE, RIGHTS.register, "ca")], officer=OLGA)
    yield made
    made.close()


def again(root):
    """The folder opened anew."""
    root.close()
    return open_root(root.folder, Phrase("root words"), setting=root.setting)


def file(root, number):
    return root.folder / CEREMONIES / f"{number:04d}.cms"


def test_a_ceremony_says_who_what_when(root):
    one, two, three = read_chain(root.folder, root.certificate).records
    assert (one.act, one.present, one.officer, one.software) == (
        "founding",
        ("Ada Jones", "Bob Ray"),
        OLGA,
        "e2s test",
    )
    assert [item.kind for item in two.items] == ["certificate", "list"]
    assert (three.act, three.rights - two.rights) == (
        "officers",
        frozenset({(EVE, RIGHTS.register, "ca")}),
    )
    assert (two.previous, three.previous) == (one.digest, two.digest)


def test_the_newest_record_is_in_force(root, tmp_path):
    root.withdraw([(EVE, RIGHTS.register, "ca")], officer=OLGA)
    granted = officers(root.folder, root.certificate)
    assert (EVE, RIGHTS.register, "ca") not in granted.table
    # a CA that was not told believes what it has
    assert (EVE, RIGHTS.register, "ca") not in officers(tmp_path / "ca", root.certificate).table
    copy_records(root.folder, tmp_path / "ca", root.certificate)
    assert officers(tmp_path / "ca", root.certificate) == granted


def test_an_altered_record(root):
    octets = bytearray(file(root, 2).read_bytes())
    octets[len(octets) // 2] ^= 1
    file(root, 2).write_bytes(octets)
    with pytest.raises(Refusal):
        read_chain(root.folder, root.certificate)


DAMAGES = {
    "first-gone": (lambda root: file(root, 1).unlink(), "ceremony-cut"),
    "middle-gone": (lambda root: file(root, 2).unlink(), "ceremony-cut"),
    "all-gone": (lambda root: shutil.rmtree(root.folder / CEREMONIES), "ceremony-cut"),
    "twice": (lambda root: shutil.copy(file(root, 2), file(root, 4)), "ceremony-order"),
    "renumbered": (lambda root: file(root, 3).rename(file(root, 9)), "ceremony-order"),
    "something-else": (lambda root: (root.folder / CEREMONIES / "extra").touch(), "bad-ceremony"),
    "huge": (lambda root: file(root, 3).write_bytes(b"0" * 300_000), "bad-ceremony"),
    "empty": (lambda root: file(root, 3).write_bytes(b""), "der-"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_records_cut_or_put_in_another_order(root, damage):
    act, rule = DAMAGES[damage]
    act(root)
    with pytest.raises(Refusal, match=rule):
        read_chain(root.folder, root.certificate)


def test_exchanged_records(root):
    two, three = file(root, 2).read_bytes(), file(root, 3).read_bytes()
    file(root, 2).write_bytes(three)
    file(root, 3).write_bytes(two)
    with pytest.raises(Refusal, match="ceremony-order"):
        read_chain(root.folder, root.certificate)


def test_a_fork_signed_by_the_root_itself(root):
    """Whoever stole the root's key writes another second record: what follows does not name it."""
    records = read_chain(root.folder, root.certificate).records
    forked = replace(records[1], rights=records[1].rights | {(EVE, RIGHTS.certify, "root")}, digest="")
    file(root, 2).write_bytes(sign_record(forked, root.authority.signer))
    with pytest.raises(Refusal, match="ceremony-forked"):
        read_chain(root.folder, root.certificate)


def test_a_forked_end_shows_to_who_knows_the_old_one(root, tmp_path):
    copy_records(root.folder, tmp_path / "ca", root.certificate)
    records = read_chain(root.folder, root.certificate).records
    forked = replace(records[2], rights=records[2].rights | {(EVE, RIGHTS.certify, "ca")}, digest="")
    file(root, 3).write_bytes(sign_record(forked, root.authority.signer))
    with pytest.raises(Refusal, match="ceremony-forked"):
        copy_records(root.folder, tmp_path / "ca", root.certificate)
    file(root, 3).unlink()
    with pytest.raises(Refusal, match="ceremony-cut"):
        copy_records(root.folder, tmp_path / "ca", root.certificate)


def test_records_taken_away_show_in_the_register(root):
    file(root, 3).unlink()
    file(root, 2).unlink()
    with pytest.raises(Refusal, match="ceremony-cut"):
        again(root)


def test_a_register_brought_back_from_before_shows_in_the_records(root, tmp_path):
    for name in (REGISTER, f"{REGISTER}-wal"):
        root.close()
        if (root.folder / name).exists():
            shutil.copy(root.folder / name, tmp_path / name)
    opened = again(root)
    make_ca(opened, tmp_path / "second", "ca-2").close()
    opened.close()
    for name in (REGISTER, f"{REGISTER}-wal"):
        (root.folder / name).unlink(missing_ok=True)
        if (tmp_path / name).exists():
            shutil.copy(tmp_path / name, root.folder / name)
    with pytest.raises(Refusal, match="register-cut"):
        again(root)


def test_another_roots_records(root, tmp_path):
    other = make_root(tmp_path / "other")
    shutil.copy(other.folder / CEREMONIES / "0001.cms", file(root, 1))
    other.close()
    with pytest.raises(Refusal, match="bad-ceremony"):
        read_chain(root.folder, root.certificate)


def test_a_second_root_in_the_same_folder(root):
    with pytest.raises(Misuse, match="root-exists"):
        make_root(root.folder)
    shutil.rmtree(root.folder / CEREMONIES)
    with pytest.raises(Misuse, match="root-exists"):
        make_root(root.folder)


def test_another_certificate_in_the_roots_place(root, tmp_path):
    other = make_root(tmp_path / "other")
    other.close()
    shutil.copy(tmp_path / "other" / "root.pem", root.folder / "root.pem")
    with pytest.raises(Refusal, match="wrong-root"):
        again(root)


def test_one_ceremony_at_a_time(root):
    with pytest.raises(Refusal, match="root-in-use"):
        open_root(root.folder, Phrase("root words"), setting=root.setting)


@pytest.mark.parametrize("officer", [EVE, "urn:e2s:market:authority:nobody"])
def test_rights_that_are_not_in_the_record(root, tmp_path, officer):
    certificate = make_ca(root, tmp_path / "ca-3", "ca-3")
    certificate.close()
    before = len(root.chain.records)
    with pytest.raises(Refusal, match="not-authorised"):
        root.revoke(certificate.certificate.serial, "cACompromise", officer=officer)
    with pytest.raises(Refusal, match="not-authorised"):
        root.give([(officer, RIGHTS.certify, "ca")], officer=officer)
    with pytest.raises(Refusal, match="not-authorised"):
        root.withdraw([(OLGA, RIGHTS.certify, "ca")], officer=officer)
    assert len(root.chain.records) == before


def test_nobody_takes_the_name_of_a_ca_to_get_rights_at_it(root, tmp_path):
    """Who may certify, but not name officers, founds no second "ca" with rights of her own at the first."""
    root.give([(EVE, RIGHTS.certify, "root")], officer=OLGA)
    with pytest.raises(Refusal, match="not-authorised"):
        found_authority(
            root,
            tmp_path / "false",
            Phrase("words"),
            kind="operating-ca",
            name="urn:e2s:market:authority",
            component="ca",
            officer=EVE,
            authoriser=None,
            setting=root.setting,
            occasion=Occasion(rights=officer_rights(EVE, ("ca",))),
        )
    assert (EVE, RIGHTS.certify, "ca") not in root.rights


def test_somebody_is_left_who_may_name_officers(root):
    with pytest.raises(Refusal, match="last-officer"):
        root.withdraw([(OLGA, RIGHTS.name, "root")], officer=OLGA)
    root.give([(EVE, RIGHTS.name, "root")], officer=OLGA)
    root.withdraw([(OLGA, RIGHTS.name, "root")], officer=OLGA)
    with pytest.raises(Refusal, match="not-authorised"):
        root.give([(OLGA, RIGHTS.name, "root")], officer=OLGA)


def test_a_ceremony_that_fails_is_recorded_without_new_rights(root, tmp_path):
    with pytest.raises(Refusal, match="wrong-profile"):
        fail(root, tmp_path)
    newest = root.chain.newest
    assert newest.note == "ended: wrong-profile"
    assert newest.items[0].kind == "certificate"
    assert (EVE, RIGHTS.certify, "x") not in newest.rights
    assert not (root.folder / OPEN).exists()
    again(root).close()


def fail(root, tmp_path):
    with root.ceremony("certifying") as held:
        held.rights |= {(EVE, RIGHTS.certify, "x")}
        make_ca(root, tmp_path / "ca-4", "ca-4").close()
        root.issue(
            "merchant", root.authority.signer.certificate.public_key, ("urn:e2s:market:m",), officer=OLGA
        )


def test_a_clock_set_back_does_not_end_the_chain(root):
    root.setting.clock.forward(days=-3)
    root.crl()
    assert again(root).chain.newest.act == "listing"


def test_the_renewed_list_is_recorded_once(root):
    records = len(root.chain.records)
    root.current_crl()
    assert len(root.chain.records) == records
    root.setting.clock.forward(days=100)
    root.current_crl()
    root.current_crl()
    assert len(root.chain.records) == records + 1


# ---------------------------------------------------------------------------------------- the reader

TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=12)


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    made = make_root(tmp_path_factory.mktemp("root") / "root")
    yield made.authority.signer
    made.close()


def records(certificate):
    return st.builds(
        Record,
        number=st.integers(1, 9999),
        previous=TEXTS,
        act=st.sampled_from(ceremony_record.ACTS),
        at=st.just(SetClock().now()),
        community=TEXTS,
        root=st.just(certificate.id),
        rights=st.frozensets(st.tuples(TEXTS, TEXTS, TEXTS), max_size=5),
        officer=TEXTS,
        present=st.lists(TEXTS, max_size=3).map(tuple),
        items=st.lists(
            st.builds(Item, kind=st.sampled_from(ceremony_record.KINDS), digest=TEXTS, name=TEXTS), max_size=3
        ).map(tuple),
        software=TEXTS,
        note=TEXTS,
    )


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read(signer, data):
    record = data.draw(records(signer.certificate))
    found = read(sign_record(record, signer), signer.certificate)
    assert replace(found, digest="") == record
    assert chain([replace(found, number=1, previous="", act="founding")]).head == found.digest


JUNK = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 10**6), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_other_document_is_refused_by_its_rule(signer, data):
    """The root signs whatever it is given here: the reader still takes nothing but records."""
    record = data.draw(records(signer.certificate))
    document = record.document()
    member = data.draw(st.sampled_from([*document, "more"]))
    document[member] = data.draw(JUNK)
    octets = sign(wire.encode(document), oids.DATA, signer, record.at)
    try:
        found = read(octets, signer.certificate)
    except Refusal as refusal:
        assert refusal.rule in {"bad-ceremony", "bad-instant"}
    else:
        assert found.document() == document


@given(st.binary(max_size=200))
def test_garbage_is_refused(signer, octets):
    with pytest.raises(Refusal):
        read(octets, signer.certificate)
