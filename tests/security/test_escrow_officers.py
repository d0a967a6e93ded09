"""Officers change, rehearse, and parties compare: keys stay recoverable, and nobody has one whole meanwhile."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace

import pytest

from e2s.base.errors import E2SError
from e2s.base.instants import format_instant
from e2s.crypto.keys import spki_of
from e2s.security.escrow import comparing, recovering, rehearsing, resharing, sealing
from e2s.security.escrow.policy import shipped
from e2s.security.escrow.sharing import Share, shared_again
from e2s.security.escrow.words import RESHARE, digest_of, read, sign_at
from e2s.security.pki.rights import RIGHTS
from tests.worlds.escrow import DOMAIN, RITA, World
from tests.worlds.pki import make_pki


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, make_pki())
    yield made
    made.vault.database.close()


def rule(act) -> str:
    try:
        act()
    except E2SError as error:
        return error.rule
    return ""


def move(world: World, *keepers) -> list[tuple[int, int]]:
    return [
        resharing.move_all(
            world.vault,
            one.name,
            [one.opener],
            one.sign,
            secrets.token_bytes,
        )
        for one in keepers
    ]


def recovers(world: World, ident: str, *keepers) -> bool:
    case = world.open(ident)
    world.approve(case, *keepers)
    world.clock.forward(hours=80)
    world.release(case)
    return spki_of(world.recover(case)[0].public_key()) == world.anna.certificate.spki


# -------------------------------------------------------------------- shares move
def test_any_of_the_new_officers_recover_and_the_old_ones_still_do(world):
    ident, (one, two, three, four, five) = world.deposit(), world.keepers
    old = world.policy
    world.govern([two, three, four, five], replace(world.terms, threshold=3, persons=5))
    assert move(world, one, two) == [(1, 0), (1, 1)]
    assert move(world, three, four, five, two) == [(0, 1)] * 3 + [(0, 0)]
    for some in itertools.combinations((two, three, four, five), 3):
        assert recovers(world, ident, *some)
    assert {(each.officer, each.version) for each in resharing.depends(world.vault)} == {
        *((each.name, 1) for each in (one, two, three)),
        *((each.name, 2) for each in (two, three, four, five)),
    }
    assert old.version == 1


def test_fewer_old_officers_than_are_needed_move_nothing(world):
    ident, (one, _, _, four, five) = world.deposit(), world.keepers
    world.govern([four, five])
    move(world, one)
    assert move(world, four, five) == [(0, 0), (0, 0)]
    openers = ([four.opener], secrets.token_bytes)
    assert rule(lambda: resharing.join(world.vault, four.name, ident, *openers)) == "too-few-officers"
    # and the key is where it was
    assert recovers(world, ident, *world.keepers[:2])


def test_half_moved_shares_leave_the_old_ones_in_use(world):
    ident, (one, two, three, four, five) = world.deposit(), world.keepers
    world.govern([three, four, five])
    move(world, one, two, three)
    assert recovers(world, ident, one, three)
    move(world, four)
    assert recovers(world, ident, three, four)


def test_who_was_moved_twice_or_is_a_stranger_is_refused(world):
    ident, (one, two, three, four, _) = world.deposit(), world.keepers
    world.govern([three, four])
    said, boxes = resharing.share_again(world.vault, one.name, ident, [one.opener], secrets.token_bytes)
    octets = sign_at(said, one.signer)
    assert resharing.take_move(world.vault, octets, boxes) == resharing.take_move(world.vault, octets, boxes)
    again, more = resharing.share_again(world.vault, one.name, ident, [one.opener], secrets.token_bytes)
    assert rule(lambda: resharing.take_move(world.vault, sign_at(again, one.signer), more)) == "moved-already"
    assert (
        rule(lambda: resharing.share_again(world.vault, four.name, ident, [four.opener], bytes))
        == "no-such-share"
    )
    other = {**again, "officer": two.name}
    assert rule(lambda: resharing.take_move(world.vault, sign_at(other, two.signer), more)) == "other-shares"
    world.rights -= {(two.name, RIGHTS.recover, DOMAIN)}
    assert rule(lambda: move(world, two)) == "not-authorised"
    assert rule(lambda: resharing.take_move(world.vault, octets[:-1] + b"x", boxes))


def test_a_part_that_is_not_what_was_said_is_found_and_its_officer_named(world):
    ident, (one, two, _, four, five) = world.deposit(), world.keepers
    world.govern([four, five])
    said, boxes = resharing.share_again(world.vault, one.name, ident, [one.opener], secrets.token_bytes)
    false = sealing.seal_share(Share(1, secrets.token_bytes(32)), four.certificate, secrets.token_bytes)
    said["parts"][0]["sealed"] = digest_of(false)
    resharing.take_move(world.vault, sign_at(said, one.signer), {**boxes, four.name: false})
    move(world, two)
    with pytest.raises(E2SError, match="wrong-share") as caught:
        move(world, four)
    assert caught.value.facts["officer"] == one.name
    assert recovers(world, ident, one, two)


def test_an_officer_who_shares_something_else_only_loses_what_she_gave(world):
    """Her parts hang together and are not of her share: found when a key is recovered; the old shares serve."""
    ident, (one, two, _, four, five) = world.deposit(), world.keepers
    world.govern([four, five])
    kept = _kept(world, ident)
    parts = shared_again(
        Share(1, secrets.token_bytes(32)), threshold=2, indices=(1, 2), random=secrets.token_bytes
    )
    boxes, rows = {}, []
    for keeper, part in zip((four, five), parts, strict=True):
        boxes[keeper.name], row = sealing.boxed(
            part, keeper.name, keeper.certificate, kept.certificate, secrets.token_bytes
        )
        rows.append(row)
    generation = next(iter(kept.generations))
    members = {
        "deposit": ident,
        "generation": generation,
        "policy": world.policy.id,
        "index": 1,
        "parts": rows,
    }
    said = world.vault.asked(RESHARE.type, one.name, members)
    resharing.take_move(world.vault, sign_at(said, one.signer), boxes)
    assert read(sign_at(said, one.signer), RESHARE).officer == one.name
    move(world, two, four, five)
    assert rule(lambda: recovers(world, ident, four, five)) == "wrong-shares"
    case = world.open(ident)
    for keeper in (one, two):
        from e2s.security.escrow import approving, cases

        handed = approving.given(world.vault, case, keeper.name, older=True)
        word, turned = approving.approval(world.vault, handed, [keeper.opener], secrets.token_bytes)
        cases.take(world.vault, sign_at(word, keeper.signer), turned)
    world.clock.forward(hours=80)
    world.release(case)
    assert spki_of(world.recover(case)[0].public_key()) == world.anna.certificate.spki


def _kept(world, ident):
    with world.vault.database.reading() as connection:
        return world.vault.kept(connection, ident)[1]


# -------------------------------------------------------------------- rehearsals
def test_a_rehearsal_proves_that_officers_recover(world):
    def sign(said):
        return sign_at(said, world.rita.signer)

    case = rehearsing.start(world.vault, RITA, [world.rita.certificate], sign)["case"]
    with pytest.raises(E2SError, match="too-few-officers"):
        rehearsing.finish(world.vault, RITA, case, world.rita.opener, sign)
    world.approve(case)
    assert rehearsing.finish(world.vault, RITA, case, world.rita.opener, sign)["state"] == "received"
    assert "rehearsed" in world.kinds()
    assert world.notices() == []
    # it is over, as any other case
    with pytest.raises(E2SError, match="already-received"):
        rehearsing.finish(world.vault, RITA, case, world.rita.opener, sign)


def test_a_rehearsal_gives_back_no_real_key(world):
    case = world.released()

    def sign(said):
        return sign_at(said, world.lena.signer)

    with pytest.raises(E2SError, match="wrong-path"):
        rehearsing.finish(world.vault, world.lena.name, case, world.lena.opener, sign)
    assert len(recovering.recover(recovering.package(world.vault, case), world.lena.opener)) == 1


# -------------------------------------------------------------------- policies of two parties
@pytest.fixture(scope="module")
def both(tmp_path_factory):
    worlds = [World(tmp_path_factory.mktemp(name), make_pki()) for name in ("ours", "theirs")]
    yield worlds
    for one in worlds:
        one.vault.database.close()


def stated(worlds):
    roots = [one.pki.root for one in worlds]
    return [comparing.read_statement(comparing.statement(one.vault), roots) for one in worlds], roots


def test_equal_policies_of_other_people_are_acceptable(both, tmp_path):
    (ours, theirs), _ = stated(both)
    assert comparing.differences(ours.policy, theirs.policy) == []
    # the same names in another community's world would be other people; here they are the same
    (short,) = comparing.shortfalls(ours.policy, theirs.policy, shipped().minimum)
    assert short.rule == "officers"
    assert comparing.shortfalls(ours.policy, theirs.policy, replace(shipped().minimum, disjoint=False)) == []


@pytest.mark.parametrize(
    ("change", "rule_"),
    [
        ({"threshold": 1}, "threshold"),
        ({"persons": 2}, "persons"),
        ({"alone": True}, "alone"),
        ({"jurisdiction": "Elsewhere"}, "jurisdiction"),
        ({"officers": 2}, "officers"),
        ({"hours": 1}, "basis inquiry"),
        ({"notify": False}, "basis inquiry"),
    ],
)
def test_each_rule_below_the_minimum_is_said(both, change, rule_):
    (ours, theirs), _ = stated(both)
    minimum = replace(shipped().minimum, disjoint=False, jurisdictions=frozenset({"Utopia"}))
    policy = theirs.policy
    if "officers" in change:
        policy = replace(policy, officers=policy.officers[:2])
    elif rule_.startswith("basis"):
        policy = replace(
            policy, bases={**policy.bases, "inquiry": replace(policy.bases["inquiry"], **change)}
        )
    else:
        policy = replace(policy, **change)
    assert rule_ in [one.rule for one in comparing.shortfalls(ours.policy, policy, minimum)]
    assert comparing.differences(ours.policy, policy) or "alone" in change


def test_both_sign_what_they_trust(both):
    (ours, theirs), roots = stated(both)
    now = both[0].clock.at
    words = [
        read(
            sign_at(
                comparing.trust_document(*sides, world.pia.name, now, now.replace(year=now.year + 1)),
                world.pia.signer,
            ),
            comparing.TRUST,
        )
        for world, sides in zip(both, ((ours, theirs), (theirs, ours)), strict=True)
    ]
    comparing.check_agreement(words, (ours, theirs), roots, now)
    for broken in (words[:1], [words[0], words[0]], [*words, words[0]]):
        assert (
            rule(lambda some=broken: comparing.check_agreement(some, (ours, theirs), roots, now))
            == "no-agreement"
        )
    later = now.replace(year=now.year + 2)
    assert rule(lambda: comparing.check_agreement(words, (ours, theirs), roots, later)) == "agreement-over"
    said = comparing.trust_document(ours, theirs, both[0].rita.name, now, later)
    wrong = read(sign_at(said, both[0].rita.signer), comparing.TRUST)
    assert (
        rule(lambda: comparing.check_agreement([wrong, words[1]], (ours, theirs), roots, now))
        == "not-authorised"
    )
    assert format_instant(now) == words[0].document["at"]


def test_a_statement_is_judged_by_its_own_root(both):
    octets = comparing.statement(both[0].vault)
    assert rule(lambda: comparing.read_statement(octets, [both[1].pki.root])) == "unknown-root"
    from e2s.base import wire

    document = wire.decode(octets, 1 << 24)
    other = wire.decode(comparing.statement(both[1].vault), 1 << 24)
    for name in ("policy", "agreed", "records"):
        changed = wire.encode({**document, name: other[name]})
        assert rule(lambda one=changed: comparing.read_statement(one, [both[0].pki.root]))
    assert rule(lambda: comparing.read_statement(wire.encode({**document, "more": 1}), [])) == "bad-document"
