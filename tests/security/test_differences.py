"""Where other verifiers say otherwise: every disagreement is of a kind that docs/verification.md explains."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2s.security.verification.rules import NOTHING_WANTED
from e2s.security.verification.verdict import Verdict
from tests.security.graphs import COMMON, Recipe, World, made, mixtures, singles
from tests.security.others import (
    cryptographys,
    openssl_says,
    openssls,
    ours,
    patience,
    policy_words,
    pyhankos,
)
from tests.security.test_pkits import AT, CASES, ROOT, lists, octets, wanted

GUIDE = Path(__file__).parents[2] / "docs" / "verification.md"
MIXTURES = 200


@dataclass(frozen=True)
class Kind:
    """A kind of disagreement: who the other is, how the recipe shows it, what the refusing side says (regular)."""

    name: str
    other: str
    we_accept: bool
    shows: Callable[[Recipe], bool]
    said: str

    def explains(self, other: str, recipe: Recipe, verdict: Verdict, says: str) -> bool:
        """Whether a disagreement with ``other`` is of this kind."""
        return (
            self.other == other
            and self.we_accept == verdict.accepted
            and self.shows(recipe)
            and re.search(self.said, says if verdict.accepted else verdict.rule) is not None
        )


def has(*odd: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.has(*odd)


def at_end(*odd: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.has(*odd, place=recipe.end)


def at_anchor(*odd: str) -> Callable[[Recipe], bool]:
    return lambda recipe: recipe.has(*odd, place=0)


def above_end(*odd: str) -> Callable[[Recipe], bool]:
    return lambda recipe: any(recipe.has(*odd, place=place) for place in range(recipe.end))


WEAK = has("rsa1024", "k1", "sha224")
POLICIES = has("p1-critical", "map-1-2", "map-2-1", "map-any", *COMMON["limits"])


def maps_inhibited(recipe: Recipe) -> bool:
    """A CA that asserts any policy, where that counts for nothing, and maps one."""
    inhibited = recipe.wanted == "inhibit-any" or recipe.has("no-any")
    return inhibited and any(
        recipe.has("any-policy", place=place) and recipe.has("map-1-2", "map-2-1", place=place)
        for place in range(1, recipe.end)
    )


def forged_in_mesh(recipe: Recipe) -> bool:
    """CAs that certify each other, and a list that nobody signed."""
    return recipe.crossed and recipe.has("forged-list")


def rolled_over_kinds(recipe: Recipe) -> bool:
    """Two CAs of one name have keys of different kinds."""
    return recipe.has("self-issued") and recipe.has("rsa2048")


ANCHOR_ODDITIES = ("expired", "future", "no-ca", "length-0", "dns-in", "dns-out")
KINDS = (
    # cryptography.x509.verification: the profile of public web servers, without revocation and policies
    Kind(
        "policies-critical",
        "cryptography",
        True,
        POLICIES,
        "unaccounted-for critical extensions|signature does not match",
    ),
    Kind("key-ids-required", "cryptography", True, has("no-ids"), "2.5.29.35"),
    Kind("ca-usage-required", "cryptography", True, above_end("no-usage"), "2.5.29.15"),
    Kind(
        "names-critical",
        "cryptography",
        True,
        has("all-names-critical"),
        "subjectAltName MUST NOT be critical",
    ),
    Kind("use-critical", "cryptography", True, has("use-critical"), "2.5.29.37"),
    Kind("dn-constraint", "cryptography", True, has("dn-in", "dn-case-in"), "unsupported directoryName"),
    Kind("uri-constraint", "cryptography", True, has("uri-in"), "unsupported name constraint"),
    Kind("work-bounded", "cryptography", True, lambda recipe: recipe.crossed, "xceed"),
    Kind("end-that-is-a-ca", "cryptography", True, at_end("end-ca"), "cA must not be asserted"),
    Kind("end-usage", "cryptography", False, at_end("agrees-only"), "wrong-purpose"),
    Kind("end-without-use", "cryptography", False, at_end("no-use"), "wrong-purpose"),
    Kind("wildcard", "cryptography", False, at_end("wildcard"), "wrong-name"),
    Kind("weak-end-key", "cryptography", False, at_end("rsa1024", "k1"), "weak-algorithm"),
    # pyhanko-certvalidator: RFC 5280 with revocation, made for signed documents
    Kind("anchor-judged", "pyhanko", False, at_anchor(*ANCHOR_ODDITIES), ""),
    Kind("mesh-list-unproven", "pyhanko", False, forged_in_mesh, "revocation-unknown"),
    Kind("ca-confined", "pyhanko", False, above_end("ca-code"), "wrong-purpose"),
    Kind("weak", "pyhanko", False, WEAK, "weak-algorithm"),
    Kind("roll-over-of-kinds", "pyhanko", True, rolled_over_kinds, "AssertionError"),
    Kind("ip-constraint", "pyhanko", True, has("ip-in"), "NotImplementedError"),
    Kind("end-usage-required", "pyhanko", True, at_end("no-usage"), "not valid for the purpose"),
    Kind("answer-from-later", "pyhanko", False, has("early-answer"), "revocation-unknown"),
    # openssl verify
    Kind("revoked-later", "openssl", True, has("revoked-later"), "certificate revoked"),
    Kind("strict-key-ids", "openssl", True, has("no-ids"), "Key Identifier"),
    Kind("strict-ca-usage", "openssl", True, has("no-usage"), "does not include key usage"),
    Kind("roll-over", "openssl", True, has("self-issued"), "CRL signature failure|self-signed certificate"),
    Kind("ca-any-use-only", "openssl", True, above_end("ca-any-use"), "unsuitable certificate purpose"),
    Kind("level-of-security", "openssl", False, WEAK, "weak-algorithm"),
    Kind("mapping-of-any", "openssl", False, has("map-any"), "bad-mapping"),
    Kind("mapping-of-inhibited-any", "openssl", False, maps_inhibited, "policy-required"),
    Kind("agreement-serves", "openssl", False, at_end("agrees-only"), "wrong-purpose"),
    Kind("no-use-is-any", "openssl", False, at_end("no-use"), "wrong-purpose"),
)

#: NIST's cases that ``openssl verify`` judges otherwise than NIST expects.
OPENSSL_AND_NIST = {"4.1.5": "dsa-inherited", "4.14.30": "lister-of-its-own"}


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [made(recipe) for recipe in (*singles(), *mixtures(2026, MIXTURES))]


Said = Iterator[tuple[World, Verdict, str]]


def unexplained(other: str, said: Said, agreed: int) -> None:
    """Every disagreement has its kind, each kind occurs, and both sides agree often, both ways."""
    seen: Counter[str] = Counter()
    agreement: Counter[bool] = Counter()
    open_ = []
    for world, verdict, says in said:
        if verdict.accepted == (not says):
            agreement[verdict.accepted] += 1
            continue
        kinds = [kind.name for kind in KINDS if kind.explains(other, world.recipe, verdict, says)]
        seen.update(kinds)
        if not kinds:
            open_.append((world.recipe, verdict.rule, says[:300]))
    assert not open_
    assert set(seen) == {kind.name for kind in KINDS if kind.other == other}
    assert min(agreement[True], agreement[False]) > agreed


def test_cryptography(worlds):
    def said() -> Said:
        for world in worlds:
            if not (world.recipe.lists or world.recipe.answers):
                yield world, ours(world, revocation=False, wanted=NOTHING_WANTED), cryptographys(world)

    unexplained("cryptography", said(), 100)


def test_pyhanko(worlds):
    def said() -> Said:
        for world in worlds:
            yield world, ours(world, revocation=True, name=None), pyhankos(world)

    unexplained("pyhanko", said(), 100)


@pytest.mark.tool
def test_openssl(worlds, tmp_path):
    def said() -> Said:
        for world in worlds[:-100]:
            if not world.answers:
                yield world, ours(world, revocation=True), openssls(tmp_path, world)

    unexplained("openssl", said(), 100)


@pytest.mark.tool
def test_openssl_and_nist(tmp_path):
    """All of PKITS, by ``openssl verify``: whom NIST's cases judge as they do us."""
    differing = set()
    for case in CASES:
        names = ([ROOT], case["above"], [case["certificate"]])
        certificates = [[octets(f"certs/{name}.crt") for name in each] for each in names]
        words = [*policy_words(wanted(case)), "-attime", str(int(AT.timestamp()))]
        says = openssl_says(tmp_path, certificates, lists(case), words)
        if case["accepted"] != (not says):
            differing.add(case["case"])
    assert differing == set(OPENSSL_AND_NIST)


def test_patience_ends():
    def count() -> Iterable[int]:
        while True:
            yield 1

    with pytest.raises(TimeoutError), patience(1):
        sum(count())


def test_each_kind_is_explained():
    """The table of the guide has a row for each kind: who, how, and the clause."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text[text.index("## Where other verifiers say otherwise") :]
    rows = [
        tuple(cell.strip(" `") for cell in line.split("|")[1:-1])
        for line in table.splitlines()
        if line[:2] == "| "
    ]
    told = {(row[0], row[1], row[2]) for row in rows[1:] if not row[0].startswith("-")}
    expected = {(kind.name, kind.other, "accepts" if kind.we_accept else "refuses") for kind in KINDS}
    expected |= {(name, "openssl", "accepts") for name in OPENSSL_AND_NIST.values()}
    assert told == expected
