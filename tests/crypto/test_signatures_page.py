"""docs/signatures.md names the suites that there are, and its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from e2s.crypto import cms, oids, suites
from e2s.crypto.workers import SigningWorkers
from tests.judges.parties import peer
from tests.worlds.crypto import AT

PAGE = (Path(__file__).parents[2] / "docs" / "signatures.md").read_text(encoding="utf-8")


def test_the_table_is_the_suites():
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE, re.MULTILINE) == [
        *suites.SIGNATURES,
        *suites.OLD_SIGNATURES,
    ]


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_examples_run(example):
    one = peer("rsa")
    given: dict[str, Any] = {
        "cms": cms,
        "oids": oids,
        "SigningWorkers": SigningWorkers,
        "deed": b"a deed",
        "at": AT,
        "classical": peer("p256").signer,
        "lattice": peer("ml-dsa-65").signer,
        "certificate": one.certificate,
        "chain": (one.issuer,),
        "key": one.key,
    }
    exec(example, given)
    assert cms.read_signers(given["message"])[0].content == b"a deed"
