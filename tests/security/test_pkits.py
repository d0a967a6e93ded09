"""NIST's Public Key Interoperability Test Suite (PKITS 1.0.1): every case of its sections 4.1 to 4.16.

The cases that need DSA are refused by rule: no key of E2S is one (FIPS 186-5 withdrew it).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import pytest

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import Verifier

DATA = Path(__file__).parents[1] / "data" / "pkits"
CASES = json.loads((DATA / "cases.json").read_text(encoding="utf-8"))
AT = datetime(2022, 5, 1, tzinfo=UTC)
DSA = {"4.1.4", "4.1.5"}
ROOT = "TrustAnchorRootCertificate"


@cache
def octets(name: str) -> bytes:
    with ZipFile(DATA / "data.zip") as held:
        return held.read(name)


def certificate(name: str) -> Certificate:
    return Certificate.read(octets(f"certs/{name}.crt"))


@cache
def verifier() -> Verifier:
    return Verifier((certificate(ROOT),))


def test_all_cases_are_here():
    assert len(CASES) == 246
    assert len({case["case"] for case in CASES}) == 246


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_case(case):
    wanted = Wanted(
        policies=frozenset(case.get("policies", [ANY])),
        explicit=case.get("explicit", False),
        inhibit_any=case.get("inhibit_any", False),
        inhibit_mapping=case.get("inhibit_mapping", False),
    )
    try:
        verdict = verifier().judge(
            certificate(case["certificate"]),
            [certificate(name) for name in case["above"]],
            [octets(f"crls/{name}.crl") for name in ("TrustAnchorRootCRL", *case["lists"])],
            at=AT,
            purpose=None,
            name=None,
            wanted=wanted,
        )
    except Refusal as refusal:
        assert refusal.rule == "bad-certificate"
        assert not case["accepted"] or case["case"] in DSA
        return
    assert verdict.accepted == case["accepted"], verdict.reason
    assert bool(verdict.rule) != verdict.accepted
    assert verdict.rule == case.get("rule", verdict.rule), verdict.reason
