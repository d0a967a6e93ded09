"""Targets of the directory: names and URLs of LDAP, entries and pairs of certificates that a server gives."""

from __future__ import annotations

from collections.abc import Iterator

from e2s.base.errors import Refusal
from e2s.security.directory.entries import CA, PAIR, certificates_of, read_pair, write_pair
from e2s.security.directory.names import read_dn, read_suffix, same, write_dn
from e2s.security.directory.sights import sight
from e2s.security.directory.targets import read_target, write_target
from e2s.security.directory.tree import Tree
from tests.fuzz.ground import pki
from tests.fuzz.shapes import bent
from tests.fuzz.target import Target, promised

_TREE = Tree(suffix=read_suffix("o=market"), community="market")


def _name(octets: bytes) -> None:
    name = read_dn(octets.decode("latin-1"))
    promised(read_dn(write_dn(name)) == name, "a name that is written is read back")
    promised(same(read_dn(write_dn(same(name)))) == same(name), "a name is compared with itself")


def _names() -> Iterator[bytes]:
    yield b"uid=anna,ou=alpha,o=market"
    yield b"cn=Anna\\2C Berg+uid=a, OU = Alpha , dc=example"
    yield b"2.5.4.3=\\C3\\A4\\\\\\#x\\20"


def _url(octets: bytes) -> None:
    target = read_target(octets.decode("latin-1"))
    again = read_target(write_target(write_dn(target.dn), target.attribute))
    promised(again == target, "a target that is written is read back")


def _urls() -> Iterator[bytes]:
    yield b"/cn=ca,ou=authority,o=market?certificateRevocationList;binary?base"
    yield b"/cn=A%20B,o=market?cACertificate?base?(objectClass=*)"


def _pair(octets: bytes) -> None:
    both = read_pair(octets)
    promised(all(one in octets for one in both), "what is read stands in the pair")
    found = certificates_of({PAIR: (octets,), CA: (octets,)})
    promised(len(found) <= 3, "each is found once")


def _pairs() -> Iterator[bytes]:
    yield write_pair(pki().operating.der[:300])
    yield write_pair(pki().root.der)


def _certificate(octets: bytes) -> None:
    seen = sight(octets)
    place = _TREE.place(seen)
    name = read_dn(_TREE.dn(place.key))
    promised(name[-1] == (("o", "market"),), "an entry stands below the top")
    promised(_TREE.key(_TREE.dn(place.key)) == place.key, "a key is found again in its name")
    promised(len(name) <= 3, "no name makes a place of its own")


def _certificates() -> Iterator[bytes]:
    yield pki().operating.der
    yield pki().root.der
    yield pki().issue("person", ("urn:e2s:market:alpha:anna", "anna@alpha.example"))[0].der
    yield pki().issue("tls-server", ("shop.example", "192.0.2.1"))[0].der


def _refusing(octets: bytes) -> None:
    """Reading a name of a server never fails otherwise than by None."""
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        raise Refusal("bad-dn", "no text") from error
    key = _TREE.key(text)
    promised(key is None or _TREE.key(_TREE.dn(key)) == key, "a key is found again")


TARGETS = (
    Target(name="directory-name", read=_name, seeds=_names, mutate=bent, most=2100),
    Target(name="directory-url", read=_url, seeds=_urls, mutate=bent, most=1100),
    Target(name="directory-pair", read=_pair, seeds=_pairs, mutate=bent),
    Target(name="directory-certificate", read=_certificate, seeds=_certificates, mutate=bent),
    Target(name="directory-key", read=_refusing, seeds=_names, mutate=bent, most=2100),
)
