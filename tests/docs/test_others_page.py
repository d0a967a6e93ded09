"""The page on others' messages: its code runs as it stands, in turn, and does what the page says."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from e2s.crypto import oids
from e2s.crypto.cms import check_signature, open_sealed, sign
from tests.worlds.ber import lengthened
from tests.worlds.crypto import AT, parse, party

PAGE = Path(__file__).parents[2] / "docs" / "others.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_runs(capsys):
    anna, volt = party("p256", "anna"), party("p384", "volt")
    written = sign(b"nine resistors", oids.DATA, volt.signer, AT)
    names: dict[str, Any] = {
        "octets": lengthened(parse(written), 5),
        "anna": anna.signer,
        "bert": party("rsa", "bert"),
        "volt": volt.signer,
        "content": b"nine resistors",
        "at": AT,
        "oids": oids,
        "random": secrets.token_bytes,
    }
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["suites"] == ("ecdh-p256-aes256gcm", "rsa-oaep-aes256gcm")
    assert open_sealed(names["sealed"], anna.opener) == (oids.DATA, b"nine resistors")
    check_signature(names["given"])
    assert capsys.readouterr().out == f"{anna.certificate.name} has it\n"
    assert names["expanded"] == b"nine resistors"
