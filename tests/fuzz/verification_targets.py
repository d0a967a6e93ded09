"""Targets of what only some paths need: old keys, others' private keys, attribute certificates."""

from __future__ import annotations

from collections.abc import Iterator

from e2s.crypto.legacy import read_legacy
from e2s.crypto.private_info import key_of
from e2s.security.verification.attribute_certificates import AttributeCertificate
from e2s.security.verification.legacy import settled
from e2s.security.verification.traits import traits
from tests.fuzz.ground import the_same
from tests.fuzz.shapes import der_bent
from tests.fuzz.target import Target, promised
from tests.judges.examples import example
from tests.security.forge import Node, ca, leaf, root
from tests.security.test_attribute_certificates import NO_REVOCATION, SHOP, attributes_of, targets
from tests.security.test_pkits import octets as pkits

_OLD = ("DSACACert", "DSAParametersInheritedCACert", "ValidDSAParameterInheritanceTest5EE")


def _old(octets: bytes) -> None:
    """An old certificate, and a path of it under the CA that it inherits from."""
    for one in read_legacy(octets):
        promised(one.der == octets or octets.startswith(b"-"), "a certificate is its octets")
        (above,) = read_legacy(pkits(f"certs/{_OLD[0]}.crt"))
        settled((traits(one), traits(above)))


def _old_seeds() -> Iterator[bytes]:
    return (pkits(f"certs/{name}.crt") for name in _OLD)


def _key_seeds() -> Iterator[bytes]:
    for name in (
        "rfc8410-10.3-private",
        "rfc8410-10.3-private-attributes",
        "rfc9881-c1-ml-dsa-44-seed",
        "rfc9935-c1-ml-kem-768-both",
        "rfc9881-c1-ml-dsa-44-both",
    ):
        yield example(name)


def _attributes(octets: bytes) -> None:
    found = AttributeCertificate.read(octets)
    promised(all(isinstance(role, str) for role in found.roles), "roles are text")


def _attribute_seeds() -> Iterator[bytes]:
    with the_same("attributes"):
        middle = ca(root())
        holder, giver = leaf(middle), Node("attributes", issuer=middle)
        yield attributes_of(holder, giver)
        yield attributes_of(holder, giver, by_name=True, extensions=(targets(SHOP), NO_REVOCATION))


TARGETS = (
    Target(name="old-certificate", read=_old, seeds=_old_seeds, mutate=der_bent, most=4096),
    Target(name="private-info", read=key_of, seeds=_key_seeds, mutate=der_bent, most=4096),
    Target(
        name="attribute-certificate", read=_attributes, seeds=_attribute_seeds, mutate=der_bent, most=4096
    ),
)
