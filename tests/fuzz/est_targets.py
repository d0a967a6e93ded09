"""Targets of EST: bundles of certificates, answers in parts, attributes, requests, key packages, and the door."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from e2s.base.http import Handler, Request
from e2s.crypto import cms, oids
from e2s.security.certificates.request_attributes import challenge_in, request_attributes
from e2s.security.est import bodies, packages
from e2s.security.est.asking import basic
from e2s.security.est.attributes import CsrAttributes, wanted
from e2s.security.est.bodies import Part
from e2s.security.keys.generation import generate
from tests.fuzz.ground import pki, the_same
from tests.fuzz.shapes import bent, der_bent
from tests.fuzz.target import Target, promised
from tests.network.settings import Randomness
from tests.worlds.enrolment import World, csr
from tests.worlds.pki import START, SetClock

_RANDOM = Randomness(b"e2s fuzz est key")
_KEY = generate("p256-sha256", _RANDOM)


def _bundle(octets: bytes) -> None:
    found = cms.unbundled(octets)
    again = cms.unbundled(cms.bundle([one.der for one in found.certificates], found.crls))
    promised(set(again.certificates) == set(found.certificates), "a bundle is what is in it")


def _bundles() -> Iterator[bytes]:
    yield cms.bundle([pki().root.der, pki().operating.der], pki().crls())
    yield cms.bundle([])


def _parts(octets: bytes) -> None:
    header, _, body = octets.partition(b"\n\n")
    parts = bodies.parted(header.decode("latin-1"), body)
    promised(len(parts) <= 4, "an answer has few parts")


def _parts_seeds() -> Iterator[bytes]:
    parts = (Part(bodies.PLAIN_KEY, bytes(40)), Part(bodies.CERTIFICATES, cms.bundle([pki().root.der])))
    yield bodies.KEY_AND_CERTIFICATE.encode() + b"\n\n" + bodies.joined(*parts)
    yield b'Multipart/Mixed; boundary="a b"\n\nhello\r\n--a b\r\n\r\nAAAA\r\n--a b--'


def _attributes(octets: bytes) -> None:
    found = CsrAttributes.read(octets)
    promised(len(found.alone) + len(found.attributes) <= 64, "a server asks for few things")


def _attributes_seeds() -> Iterator[bytes]:
    suites = ("p256-sha256", "rsa3072-pss-sha256", "ed25519", "ml-kem-768-aes256gcm")
    yield wanted(suites, ("urn:e2s:market:alpha:anna", "host.example")).encoded()


def _request(octets: bytes) -> None:
    promised(oids.CHALLENGE_PASSWORD in request_attributes(octets) or not challenge_in(octets), "one says it")


def _requests() -> Iterator[bytes]:
    yield packages.key_request(_KEY, "urn:e2s:market:alpha:anna")
    with the_same("est request"):
        yield csr()


@cache
def _packaged() -> bytes:
    with the_same("est package"):
        signer = pki().signer("component", "urn:e2s:market:authority:enrolment")
    made = generate("ecdh-p256-aes256gcm", _RANDOM)
    recipient = packages.bearer(_KEY.public_key(), START)
    return packages.package(made, signer, recipient, None, at=START, random=_RANDOM)


@cache
def _world() -> tuple[Handler, str, SetClock]:
    with the_same("est door"):
        clock = SetClock()
        world = World(Path(mkdtemp(prefix="e2s-fuzz-")), clock=clock)
        return world.door("est"), basic(*world.invite(uses=1000)), clock


def _door(octets: bytes) -> None:
    """Whatever comes is answered, and refused by its rule."""
    handler, by, clock = _world()
    clock.forward(milliseconds=10)
    headers = {"content-type": bodies.REQUEST, "authorization": by}
    request = Request("POST", "/.well-known/est/simpleenroll", bodies.written(octets), headers, secure=True)
    answer = handler(request)
    promised(answer.status == 200 or answer.headers["e2s-rule"], "a refusal says its rule")


TARGETS = (
    Target(name="certificate-bundle", read=_bundle, seeds=_bundles, mutate=der_bent),
    Target(name="est-parts", read=_parts, seeds=_parts_seeds, mutate=bent),
    Target(name="est-attributes", read=_attributes, seeds=_attributes_seeds, mutate=der_bent),
    Target(name="request-attributes", read=_request, seeds=_requests, mutate=der_bent),
    Target(
        name="key-package",
        read=lambda octets: packages.unpacked(octets, packages.opener_of(_KEY, START)),
        seeds=lambda: [_packaged()],
        mutate=der_bent,
    ),
    Target(name="est-door", read=_door, seeds=_requests, mutate=der_bent, short=60),
)
