"""Signatures side by side (RFC 5752) between E2S and a peer that shares no code with it, both ways."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal
from e2s.crypto import cms, oids
from tests.judges.npm import judge
from tests.judges.parties import peer, pkcs8
from tests.worlds.crypto import AT, parse, unparse

CONTENT = b"a contract for ten years"
TOGETHER = [("p256", "ml-dsa-65"), ("p384", "ml-dsa-87"), ("rsa", "ed448", "p521", "ed25519", "ml-dsa-44")]


def ours(*kinds: str, content_type: str = oids.ACT, **more) -> bytes:
    return cms.sign_parallel(CONTENT, content_type, [peer(kind).signer for kind in kinds], AT, **more)


def theirs(*kinds: str, parallel: bool = True) -> bytes:
    signers = [
        {"certificate": peer(kind).certificate.der, "key": pkcs8(peer(kind))}
        | ({"salt": 32} if kind == "rsa" else {})
        for kind in kinds
    ]
    order = {"content": CONTENT, "contentType": oids.ACT, "at": "2026-05-04T12:00:00", "signers": signers}
    return judge().ask("sign", **order, parallel=parallel)["cms"]


def proven(octets: bytes, content: bytes | None = None) -> set:
    signers = cms.read_signers(octets)
    cms.check_parallel(signers, content)
    return {one.signer_certificate for one in signers}


def without(octets: bytes, signer: int) -> bytes:
    """The message with one SignerInfo less, and no trace of its digest."""
    tree = parse(octets)
    data = tree[0][1][1][1][0][1]
    del data[-1][1][signer]
    digests = {unparse([info[1][2]]) for info in data[-1][1]}
    data[1][1] = [parse(one)[0] for one in sorted(digests)]
    return unparse(tree)


@pytest.mark.parametrize("content_type", [oids.DATA, oids.ACT])
@pytest.mark.parametrize("kinds", TOGETHER, ids="+".join)
def test_the_peer_verifies_ours(kinds, content_type):
    found = judge().ask("verify", cms=ours(*kinds, content_type=content_type))
    assert found["complaints"] == []
    assert [(one["good"], one["bound"]) for one in found["signers"]] == [(True, True)] * len(kinds)
    assert {one["certificate"] for one in found["signers"]} == {peer(kind).certificate.der for kind in kinds}


def test_the_peer_verifies_ours_detached():
    found = judge().ask("verify", cms=ours("p256", "ml-dsa-65", detached=True), content=CONTENT)
    assert (found["complaints"], [one["good"] for one in found["signers"]]) == ([], [True, True])


@pytest.mark.parametrize("kinds", TOGETHER, ids="+".join)
def test_we_verify_the_peers(kinds):
    assert proven(theirs(*kinds)) == {peer(kind).certificate for kind in kinds}


@pytest.mark.parametrize("kinds", TOGETHER, ids="+".join)
@pytest.mark.parametrize("made", [ours, theirs])
def test_none_is_taken_away_unseen(made, kinds):
    whole = made(*kinds)
    for signer in range(len(kinds)):
        left = without(whole, signer)
        found = judge().ask("verify", cms=left)
        assert all(one["good"] for one in found["signers"])  # each by itself still is
        assert not any(one["bound"] for one in found["signers"])
        with pytest.raises(Refusal, match="cms-parallel"):
            proven(left)


def test_none_is_exchanged():
    """A signature of the same key over the same content, made by itself or beside another."""
    whole, alone = ours("p256", "ml-dsa-65"), cms.sign(CONTENT, oids.ACT, peer("ml-dsa-65").signer, AT)
    other = theirs("p384", "ml-dsa-65")
    for stranger in (alone, other):
        tree = parse(whole)
        infos = tree[0][1][1][1][0][1][-1][1]
        found = parse(stranger)[0][1][1][1][0][1][-1][1]
        lattice = next(info for info in found if len(info[1][5][1]) > 1000)
        at = next(place for place, info in enumerate(infos) if len(info[1][5][1]) > 1000)
        infos[at] = lattice
        infos.sort(key=lambda info: unparse([info]))
        with pytest.raises(Refusal, match="cms-parallel"):
            proven(unparse(tree))
        assert not any(one["bound"] for one in judge().ask("verify", cms=unparse(tree))["signers"])


def test_signatures_that_do_not_name_each_other():
    octets = theirs("p256", "ml-dsa-65", parallel=False)
    assert [one["bound"] for one in judge().ask("verify", cms=octets)["signers"]] == [None, None]
    for signed in cms.read_signers(octets):
        cms.check_signature(signed)
    with pytest.raises(Refusal, match="cms-parallel"):
        proven(octets)


def test_loose_encoding():
    octets = theirs("p256", "ml-dsa-65")
    loose = judge().ask("loosen", cms=octets, size=600)["cms"]
    with pytest.raises(Refusal, match="der"):
        proven(loose)
    assert cms.normalised(loose) == octets
    assert len(proven(cms.normalised(loose))) == 2
