"""NIST's Public Key Interoperability Test Suite (PKITS 1.0.1): every case of its sections 4.1 to 4.16.

The cases that need DSA are refused by rule (FIPS 186-5 withdrew it), unless old paths are to be judged.
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
from e2s.crypto.legacy import read_legacy
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import Verifier

DATA = Path(__file__).parents[1] / "data" / "pkits"
CASES = json.loads((DATA / "cases.json").read_text(encoding="utf-8"))
NOTICES = json.loads((DATA / "notices.json").read_text(encoding="utf-8"))
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


def lists(case):
    return [octets(f"crls/{name}.crl") for name in ("TrustAnchorRootCRL", *case["lists"])]


def wanted(case):
    return Wanted(
        policies=frozenset(case.get("policies", [ANY])),
        explicit=case.get("explicit", False),
        inhibit_any=case.get("inhibit_any", False),
        inhibit_mapping=case.get("inhibit_mapping", False),
    )


def judged(case, read=Certificate.read, by=None):
    return (by or verifier()).judge(
        read(octets(f"certs/{case['certificate']}.crt")),
        [read(octets(f"certs/{name}.crt")) for name in case["above"]],
        lists(case),
        at=AT,
        purpose=None,
        name=None,
        wanted=wanted(case),
    )


def old(octets):
    (found,) = read_legacy(octets)
    return found


@cache
def old_verifier():
    return Verifier((certificate(ROOT),), legacy=True)


def test_all_cases_are_here():
    assert len(CASES) == 246
    assert len({case["case"] for case in CASES}) == 246
    assert len([case for case in NOTICES if "notice" in case]) == 10


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_case(case):
    try:
        verdict = judged(case)
    except Refusal as refusal:
        assert refusal.rule == "bad-certificate"
        assert not case["accepted"] or case["case"] in DSA
        return
    assert verdict.accepted == case["accepted"], verdict.reason
    assert bool(verdict.rule) != verdict.accepted
    assert verdict.rule == case.get("rule", verdict.rule), verdict.reason
    assert not verdict.notes


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_case_where_old_paths_are_judged(case):
    try:
        verdict = judged(case, old, old_verifier())
    except Refusal as refusal:
        assert refusal.rule == "bad-certificate"
        assert not case["accepted"]
        return
    assert verdict.accepted == case["accepted"], verdict.reason
    assert bool(verdict.notes) == (case["case"] in DSA)


@pytest.mark.parametrize("case", NOTICES, ids=lambda case: case["case"])
def test_what_is_to_be_shown(case):
    verdict = judged(case)
    assert verdict.accepted, verdict.reason
    (notice,) = verdict.notices
    assert (notice.text, notice.statement) == (case.get("notice", ""), case.get("statement", ""))
    assert notice.policy in verdict.policies | {ANY}


def test_a_key_without_parameters_has_them_from_its_own_path_alone():
    case = next(one for one in CASES if one["case"] == "4.1.5")
    middle = old(octets("certs/DSAParametersInheritedCACert.crt"))
    assert judged(case, old, old_verifier()).accepted
    # as an anchor it inherits from nobody, so nothing below it was signed
    verdict = judged(case, old, Verifier((middle,), legacy=True))
    assert verdict.rule == "no-parameters"
    # and without being asked for old paths, no verifier takes such a key, however it was read
    assert judged(case, old).rule == "weak-algorithm"


def test_a_signature_under_inherited_parameters_is_checked():
    """Last, when the path is known; until then the key is not whole."""
    case = next(one for one in CASES if one["case"] == "4.1.5")
    octets_ = octets(f"certs/{case['certificate']}.crt")
    altered = octets_[:-1] + bytes((octets_[-1] ^ 1,))
    above = [old(octets(f"certs/{name}.crt")) for name in case["above"]]
    verdict = old_verifier().judge(
        old(altered), above, lists(case), at=AT, purpose=None, name=None, require_revocation=False
    )
    assert verdict.rule == "bad-path-signature"
