"""What goes through files a piece at a time, between E2S and a peer that shares no code with it, both ways."""

from __future__ import annotations

from contextlib import ExitStack
from io import FileIO

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import oids
from e2s.crypto.cms import streaming
from tests.judges.npm import judge
from tests.judges.parties import OPENING, SIGNING, peer, pkcs8, random
from tests.worlds.crypto import AT

CONTENT = bytes(range(256)) * 700


@pytest.fixture
def file(tmp_path):
    """Makes a file that can be read and written without a buffer, holding the given octets."""

    with ExitStack() as opened:

        def made(octets: bytes = b"") -> FileIO:
            path = tmp_path / str(len(list(tmp_path.iterdir())))
            path.write_bytes(octets)
            return opened.enter_context(path.open("r+b", buffering=0))

        yield made


def whole(file: FileIO) -> bytes:
    file.seek(0)
    return file.read()


def loosened(octets: bytes) -> bytes:
    return judge().ask("loosen", cms=octets, size=1000)["cms"]


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("kind", SIGNING)
def test_the_peer_verifies_ours(file, kind, detached):
    out = file()
    streaming.sign(file(CONTENT), out, oids.ACT, peer(kind).signer, AT, detached=detached)
    found = judge().ask("verify", cms=whole(out), **({"content": CONTENT} if detached else {}))
    assert (found["signers"][0]["good"], found["complaints"]) == (True, [])


@pytest.mark.parametrize("loose", [False, True], ids=["der", "ber"])
@pytest.mark.parametrize("kind", SIGNING)
def test_we_verify_the_peers(file, kind, loose):
    own = {"certificate": peer(kind).certificate.der, "key": pkcs8(peer(kind))} | (
        {"salt": 32} if kind == "rsa" else {}
    )
    order = {"content": CONTENT, "contentType": oids.ACT, "at": "2026-05-04T12:00:00", "signers": [own]}
    octets = judge().ask("sign", **order)["cms"]
    sent, out = loosened(octets) if loose else octets, file()
    verified = streaming.verify(file(sent), out)
    assert (verified.signed.signer_certificate, verified.size) == (peer(kind).certificate, len(CONTENT))
    assert whole(out) == CONTENT
    with pytest.raises(Refusal, match="altered-content"):
        streaming.verify(file(sent.replace(CONTENT[100:120], CONTENT[:20], 1)))


@pytest.mark.parametrize("kind", OPENING)
def test_the_peer_opens_ours(file, kind):
    out = file()
    streaming.seal(file(CONTENT), out, oids.ACT, [peer(kind).certificate], random)
    found = judge().ask("open", cms=whole(out), certificate=peer(kind).certificate.der, key=pkcs8(peer(kind)))
    assert (found["content"], found["contentType"], found["complaints"]) == (CONTENT, oids.ACT, [])


@pytest.mark.parametrize("loose", [False, True], ids=["der", "ber"])
@pytest.mark.parametrize("mode", ["gcm", "cbc"])
@pytest.mark.parametrize("kind", OPENING)
def test_we_open_the_peers(file, kind, mode, loose):
    recipients = [{"certificate": peer(one).certificate.der, "keyId": True} for one in {kind, "x25519"}]
    order = {"content": CONTENT, "contentType": oids.DATA, "recipients": recipients, "cipher": [mode, 32]}
    octets = judge().ask("seal", **order)["cms"]
    sent, out = loosened(octets) if loose else octets, file()
    opened = streaming.open_sealed(file(sent), out, peer(kind).opener, allow_legacy=True)
    assert (opened.content_type, opened.authenticated) == (oids.DATA, mode == "gcm")
    assert whole(out) == CONTENT
