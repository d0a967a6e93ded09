"""Names, filters, URLs and pairs of certificates: what is written is read back alone, by us and by libldap."""

from __future__ import annotations

import ldap.dn  # type: ignore[import-untyped]
import ldap.filter  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.security.directory import entries
from e2s.security.directory.entries import Entry, Held, Role, read_pair, write_pair
from e2s.security.directory.names import (
    all_of,
    any_of,
    equal,
    label,
    present,
    read_dn,
    read_suffix,
    same,
    write_dn,
)
from e2s.security.directory.sights import Facts
from e2s.security.directory.targets import read_target, write_target
from e2s.security.directory.tree import Tree
from tests.worlds.directory import PKI

#: Texts that LDAP can hold: not empty, no half of a pair, no NUL (libldap reads names as C does).
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)
KINDS = st.sampled_from(["cn", "ou", "uid", "o", "dc", "2.5.4.3"])
DNS = st.lists(
    st.lists(st.tuples(KINDS, TEXTS), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
).map(tuple)


@given(DNS)
def test_a_name_that_is_written_is_read_back_by_us_and_by_libldap(name):
    text = write_dn(name)
    assert text.isascii()
    assert text.isprintable()
    assert read_dn(text) == name
    theirs = ldap.dn.str2dn(text)
    assert [[(kind, value) for kind, value, _flags in rdn] for rdn in theirs] == [list(rdn) for rdn in name]


@given(DNS)
def test_what_libldap_writes_we_read(name):
    theirs = ldap.dn.dn2str([[(kind, value, 1) for kind, value in rdn] for rdn in name])
    try:
        assert read_dn(theirs) == name
    except Refusal:
        # it writes quotes and signs of relation plainly where RFC 4514 escapes them
        assert any(one in value for rdn in name for _, value in rdn for one in '";<>')


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = read_dn(text)
    except Refusal as refusal:
        assert refusal.rule == "bad-dn"
        return
    assert read_dn(write_dn(name)) == name
    assert [[value for _, value, _ in rdn] for rdn in ldap.dn.str2dn(text)] == [
        [value for _, value in rdn] for rdn in name
    ]


@pytest.mark.parametrize(
    "text",
    [
        "cn",
        "cn=",
        "=x",
        "cn=x,",
        ",cn=x",
        "cn=x+",
        "cn=#0401",
        'cn="x"',
        "cn=x;ou=y",
        "cn=\\",
        "cn=\\zz",
        "cn=\\ff",
        "c n=x",
        "cn=a\x00",
        "1=x",
        "cn=x" * 999,
        ",".join(["cn=x"] * 33),
        "+".join(["cn=x"] * 9),
    ],
)
def test_no_name_is_refused(text):
    with pytest.raises(Refusal, match="bad-dn"):
        read_dn(text)


def test_names_are_compared_as_ldap_does():
    assert same(read_dn("CN=Anna\\2C Berg , OU=Alpha")) == same(read_dn("cn=anna\\, berg,ou=ALPHA"))
    assert same(read_dn("cn=a+ou=b")) == same(read_dn("OU=B+CN=A"))
    assert same(read_dn("cn=a")) != same(read_dn("cn=ab"))
    with pytest.raises(Refusal, match="bad-dn"):
        read_suffix("cn=x")


@given(TEXTS, TEXTS)
def test_two_texts_never_have_one_label(one, other):
    assume(one != other)
    assert label(one) != label(other)
    for text in (one, other):
        # compared without regard to case, and nothing in it has to be escaped
        assert label(text) == label(text).lower()
        assert write_dn(((("cn", label(text)),),)) == f"cn={label(text)}"
        assert len(label(text)) <= 64


@given(TEXTS)
def test_a_value_in_a_filter_is_that_value_and_nothing_else(value):
    text = equal("cn", value)
    assert text.startswith("(cn=")
    inner = text[4:-1]
    assert not set(inner) & set("()*\x00")
    octets = inner.encode()
    unescaped = b"".join(
        bytes.fromhex(part[:2].decode()) + part[2:] if number else part
        for number, part in enumerate(octets.split(b"\\"))
    )
    assert unescaped == value.encode()
    # libldap's own escaping means the same
    assert len(ldap.filter.escape_filter_chars(value)) <= len(text)


def test_filters_are_joined():
    assert any_of([equal("cn", "a"), present("mail")]) == "(|(cn=a)(mail=*))"
    assert all_of([equal("userCertificate;binary", "a*")]) == "(&(userCertificate;binary=a\\2a))"
    for attribute in ("cn=*)(uid", "", "c n", "cn;", "1", "(cn"):
        with pytest.raises(Refusal, match="bad-attribute"):
            equal(attribute, "x")


@given(st.lists(st.tuples(KINDS, TEXTS), min_size=1, max_size=2), st.sampled_from(sorted(entries.BINARY)))
def test_a_target_that_is_written_is_read_back(pairs, attribute):
    name = tuple((pair,) for pair in pairs)
    path = write_target(write_dn(name), attribute)
    assume(len(path) <= 1024)
    found = read_target(path)
    assert (found.dn, found.attribute) == (name, attribute)
    assert set(path) <= {chr(one) for one in range(0x21, 0x7F)} - {'"', "<", ">", "#"}


@pytest.mark.parametrize(
    ("path", "attribute"),
    [
        ("/cn=ca,o=market?cACertificate", entries.CA),
        ("/cn=ca,o=market?certificaterevocationlist;binary?base?(objectClass=*)", entries.LIST),
        ("/cn=A%20B,o=market?deltaRevocationList?base?", entries.DELTA_LIST),
    ],
)
def test_urls_as_cas_write_them_are_read(path, attribute):
    assert read_target(path).attribute == attribute


@pytest.mark.parametrize(
    "path",
    [
        "",
        "cn=x?cACertificate",
        "/",
        "/?cACertificate",
        "/cn=x",
        "/cn=x?",
        "/cn=x?cn",
        "/cn=x?cACertificate,userCertificate",
        "/cn=x?cACertificate?sub",
        "/cn=x?cACertificate?one",
        "/cn=x?cACertificate?base?(cn=*)",
        "/cn=x?cACertificate?base??!bindname=cn=y",
        "/cn=%zz?cACertificate",
        "/cn=%ff?cACertificate",
        "/cn=\xe4?cACertificate",
        "/cn=" + "x" * 2000 + "?cACertificate",
        "/nonsense?cACertificate",
    ],
)
def test_urls_of_anything_else_are_refused(path):
    with pytest.raises(Refusal, match="bad-directory-url"):
        read_target(path)


@given(st.binary(max_size=80))
def test_any_octets_are_a_pair_or_refused(octets):
    try:
        read_pair(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-pair"


def test_a_pair_is_read_back_in_either_direction():
    der = PKI.operating.der
    assert read_pair(write_pair(der)) == (b"", der)
    one = write_pair(der)
    with pytest.raises(Refusal, match="bad-pair"):
        read_pair(b"\x30\x00")
    with pytest.raises(Refusal, match="bad-pair"):
        read_pair(one + one * 200)


@given(st.lists(st.text(max_size=20), max_size=3), TEXTS)
def test_an_entry_only_has_values_that_ldap_takes(texts, uid):
    facts = Facts(texts[0] if texts else "", tuple(texts), tuple(texts), tuple(texts), tuple(texts))
    for values in (
        entries.person(label(uid), [Held(Role.USER, b"x", facts)]),
        entries.application(label(uid), [Held(Role.CA, b"x", facts)]),
        entries.party(label(uid), [Held(Role.USER, b"x", facts)]),
    ):
        assert {"objectClass"} <= values.keys()
        for name, some in values.items():
            assert some, name
            assert all(some), name
            assert len({one.decode().casefold() for one in some}) == len(some)


def test_what_others_added_to_an_entry_stays():
    ours = Entry(dn="uid=anna", attributes=entries.person("anna", [Held(Role.USER, b"x", Facts("anna"))]))
    standing = {name.upper(): some for name, some in ours.attributes.items()}
    assert ours.differs(standing) == {}
    others = {**standing, "OBJECTCLASS": (b"INETORGPERSON", b"pkiUser", b"posixAccount", b"pkiCA")}
    assert ours.differs(others) == {"objectClass": (b"inetOrgPerson", b"pkiUser", b"posixAccount")}
    assert ours.differs({**standing, "TELEPHONENUMBER": (b"1",)}) == {}
    assert ours.differs({**standing, "MAIL": (b"m@evil.example",)}) == {"mail": ()}


def test_a_name_elsewhere_has_no_key():
    tree = Tree(suffix=read_suffix("ou=pki,o=market"), community="market")
    assert tree.key("UID=Anna,OU=Alpha,ou=PKI, o=Market") == "uid=anna,ou=alpha"
    assert tree.key("ou=pki,o=market") == ""
    assert tree.key("uid=anna,o=market") is None
    assert tree.key("garbage") is None
    assert tree.key(tree.dn("cn=7,cn=ca")) == "cn=7,cn=ca"
