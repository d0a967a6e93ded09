"""Compressed content between E2S and a peer that shares no code with it, both ways (RFC 3274)."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from e2s.crypto.cms.compressed import compress, decompress
from tests.judges.examples import example
from tests.judges.npm import judge

CONTENTS = [b"", b"nine thousand resistors", bytes(1_000_000)]


@pytest.mark.parametrize("content_type", [oids.DATA, oids.SIGNED_DATA])
@pytest.mark.parametrize("content", CONTENTS, ids=["none", "short", "long"])
def test_both_ways(content, content_type):
    found = judge().ask("expand", cms=compress(content, content_type))
    assert (found["contentType"], found["content"], found["complaints"]) == (content_type, content, [])
    theirs = judge().ask("compress", content=content, contentType=content_type)["cms"]
    assert decompress(theirs) == (content_type, content)


def test_example():
    """A message by the author of the RFC's ASN.1 module; the RFC has none."""
    octets = example("rfc3274-compressed")
    found = judge().ask("expand", cms=octets)
    assert decompress(octets) == (found["contentType"], found["content"])
    assert b"RFC 3274, published in June 2002" in found["content"]


def test_in_pieces():
    theirs = judge().ask("compress", content=CONTENTS[1], contentType=oids.DATA)["cms"]
    loose = judge().ask("loosen", cms=theirs, size=7)["cms"]
    assert decompress(cms.normalised(loose)) == (oids.DATA, CONTENTS[1])


def test_more_than_may_be_read():
    theirs = judge().ask("compress", content=bytes(5_000_000), contentType=oids.DATA)["cms"]
    assert len(theirs) < 10_000
    with pytest.raises(Refusal, match="too-large"):
        decompress(theirs)
