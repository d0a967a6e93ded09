"""The octets of others in ``tests/data``: examples of RFCs, and vectors of Project Wycheproof."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"
#: Members of a case that are octets.
OCTETS = frozenset({"message", "signature", "public", "private", "shared", "seed", "ciphertext", "secret"})


def pem(name: str) -> bytes:
    """The file of an RFC's example as it stands."""
    return (DATA / "rfc" / f"{name}.pem").read_bytes()


@cache
def example(name: str) -> bytes:
    """The octets of an RFC's example."""
    return base64.b64decode(b"".join(pem(name).splitlines()[1:-1]), validate=True)


@cache
def wycheproof(name: str) -> list[dict[str, Any]]:
    """The cases for one primitive; a signature's ``key`` is a SubjectPublicKeyInfo."""
    document = json.loads((DATA / "wycheproof" / f"{name}.json").read_text())
    keys = [base64.b64decode(one) for one in document.get("keys", ())]
    cases = []
    for case in document["cases"]:
        read = {k: base64.b64decode(v) if k in OCTETS else v for k, v in case.items()}
        if keys:
            read["key"] = keys[case["key"]]
        cases.append(read)
    return cases


def described(case: dict[str, Any]) -> str:
    """A case as a test is named by it."""
    return f"{case['id']}-{case['result']}-{case.get('comment') or '/'.join(case['flags'])}".replace(" ", "_")
