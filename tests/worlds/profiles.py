"""A certificate of every profile, with all that it can say, by keys of any kind."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import cache

from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import KeySigner
from e2s.security.certificates.certify import Wish, certify, certify_root
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.places import Places
from e2s.security.certificates.profiles import PROFILES, Limits, Use, profile
from e2s.security.keys.generation import generate
from tests.worlds.pki import START

ORIGIN = "http://repository.example"
PLACES = Places(
    base=ORIGIN,
    ocsp=f"{ORIGIN}/ocsp",
    cps="http://repository.example/practice",
    shards=16,
    deltas=True,
)
#: Kinds of keys that sign, and the suites of those that agree in their place.
KINDS = {
    "p256": ("p256-sha256", "ecdh-p256-aes256gcm"),
    "rsa": ("rsa3072-pss-sha256", "rsa-oaep-aes256gcm"),
    "edwards": ("ed25519", "x25519-aes256gcm"),
    "lattice": ("ml-dsa-44", "ml-kem-768-aes256gcm"),
}
#: A policy of ours and of others, as a cross-certificate maps them.
OURS, THEIRS = "2.5.29.32.7", "2.5.29.32.8"


@cache
def key(suite: str, name: str = ""):
    """A key for ``suite``, made once for each ``name``: RSA keys take their time."""
    assert name is not None
    return generate(suite, secrets.token_bytes)


def subject_key(name: str, kind: str):
    """The key of a profile's certificate: a CA's is its own."""
    wanted = PROFILES[name]
    return key(KINDS[kind][wanted.use is Use.AGREE], name if wanted.is_ca and kind != "rsa" else "")


@cache
def root(kind: str) -> KeySigner:
    """A root with a key of the kind."""
    own = key(KINDS[kind][0], "root")
    subject = distinguished(community="market", common="root")
    wish = Wish(profile=profile("root"), names=(), subject=subject, public_key=own.public_key())
    made_at = START - timedelta(days=1)
    return KeySigner(certify_root(wish, own, serial=serial_number(secrets.token_bytes), at=made_at), (), own)


@cache
def authority(name: str, kind: str) -> KeySigner:
    """A CA of profile ``name``, ``operating-ca`` by the root and the others by an operating CA."""
    own = subject_key(name, kind)
    return KeySigner(sample(name, kind), (), own)


def issuer_of(name: str, kind: str) -> KeySigner:
    """Who certifies for the profile here."""
    if name in {"operating-ca", "sub-ca", "cross", "card-ca"}:
        return root(kind)
    if name.startswith("card-holder"):
        return authority("card-ca", kind)
    if name in PROFILES["buying-ca"].issues:
        return authority("buying-ca", kind)
    return authority("operating-ca", kind)


@cache
def sample(name: str, kind: str = "p256", by: str = "") -> Certificate:
    """A certificate of profile ``name`` for a key of ``kind``, by a CA whose key is of kind ``by``."""
    wanted = PROFILES[name]
    own = subject_key(name, kind)
    more: dict = {"names": ("urn:e2s:market:alpha:alice", "urn:e2s:market:alpha")}
    if wanted.is_ca:
        more["names"] = ("urn:e2s:market:alpha",)
        more["subject"] = distinguished(community="market", party="alpha", common=name)
    if name == "tls-server":
        more["names"] = ("shop.example", "192.0.2.1", "2001:db8::1")
    if name.startswith("person"):
        more["names"] = ("urn:e2s:market:alpha:alice", "alice@alpha.example")
    if wanted.pan_commit:
        more["pan_commit"] = bytes(32)
    if name == "cross":
        more["limits"] = Limits(
            policies=(OURS,),
            mappings=((OURS, THEIRS),),
            permitted=("dir:O=other", "dns:other.example", "uri:other.example", "ip:192.0.2.0/24"),
            excluded=("mail:other.example",),
            require_explicit=0,
        )
    wish = Wish(profile=wanted, public_key=own.public_key(), **more)
    signer = issuer_of(name, by or kind)
    return certify(wish, signer, serial=serial_number(secrets.token_bytes), at=START, places=PLACES)
