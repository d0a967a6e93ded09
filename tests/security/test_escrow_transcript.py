"""A transcript is good by the root alone; whatever is left out, swapped or forged in it is found, whoever did it."""

from __future__ import annotations

import secrets
from copy import deepcopy

import pytest

from e2s.base import wire
from e2s.base.errors import E2SError
from e2s.base.instants import format_instant
from e2s.crypto import oids
from e2s.crypto.cms.signing import sign
from e2s.security.escrow import casefile, cases, resharing
from e2s.security.escrow.judging import judge_transcript
from e2s.security.escrow.policy import Policy
from e2s.security.escrow.transcript import read_transcript, transcript
from e2s.security.escrow.words import ACCEPT, CASE, ENTRY, NONE, RESHARE, read, sign_at
from e2s.security.pki.rights import RIGHTS
from tests.worlds.escrow import ANNA, DOMAIN, LENA, RITA, Person, World
from tests.worlds.pki import make_pki


class Told:
    """A world in which cases were received, with their transcripts; a vault that lies signs what it likes."""

    def __init__(self, folder):
        self.world = world = World(folder, make_pki())
        ident = world.deposit()
        world.govern(world.keepers[1:4])
        for keeper in (*world.keepers[:4], *world.keepers[:4]):
            resharing.move_all(
                world.vault, keeper.name, [keeper.opener], keeper.sign,
                secrets.token_bytes,
            )  # fmt: skip
        self.octets, self.other = (self._case(ident) for _ in range(2))
        self.document = read_transcript(self.octets).document

    def _case(self, ident):
        world = self.world
        case = world.open(ident)
        world.approve(case, *world.keepers[1:3])
        world.clock.forward(hours=80)
        world.release(case)
        world.recover(case)
        world.receive(case)
        return transcript(world.vault, case)

    def lied(self, change) -> bytes:
        """The transcript as a vault would sign it that changed it so."""
        document = deepcopy(self.document)
        change(document)
        return sign(wire.encode(document), oids.DATA, self.world.signer, read_transcript(self.octets).at)

    def rule(self, octets: bytes) -> str:
        try:
            judge_transcript(octets, [self.world.pki.root])
        except E2SError as error:
            return error.rule
        return ""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    made = Told(tmp_path_factory.mktemp("told"))
    yield made
    made.world.vault.database.close()


def test_it_says_who_did_what(told):
    found = judge_transcript(told.octets, [told.world.pki.root])
    assert (found.requester, found.recipient, found.holder) == (RITA, LENA, ANNA)
    assert found.officers == tuple(one.name for one in told.world.keepers[1:3])
    assert (found.state, found.policy, found.basis) == ("received", 2, "inquiry")
    assert found.certificates == (told.world.anna.certificate.id,)
    assert found.opened < found.released <= found.received


def test_no_share_and_no_key_is_in_it(told):
    world = told.world
    with world.vault.database.reading() as connection:
        driver = connection.connection.driver_connection
        boxes = [
            row[0]
            for table in ("shares", "turned", "parts")
            for row in driver.execute(f"SELECT box FROM {table}")
        ]
        keys = [row[0] for row in driver.execute("SELECT key FROM deposits")]
    assert boxes
    assert keys
    for one in (*boxes, *keys):
        assert one not in told.octets
        assert wire.b64u(one).encode() not in told.octets


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_one_changed_octet_is_found(told, place):
    at = len(told.octets) * place // 100
    altered = told.octets[:at] + bytes([told.octets[at] ^ 0x20]) + told.octets[at + 1 :]
    assert told.rule(altered)


def test_another_root_is_not_ours(told):
    with pytest.raises(E2SError):
        judge_transcript(told.octets, [make_pki().root])
    with pytest.raises(E2SError, match="no-anchor"):
        judge_transcript(told.octets, [])


def test_who_is_certified_by_another_root_that_is_trusted_has_no_say(told):
    """The same name under a root of another community, which somebody trusts beside ours."""
    other = make_pki()
    impostor = other.signer("component", told.world.signer.certificate.name)
    octets = sign(wire.encode(told.document), oids.DATA, impostor, read_transcript(told.octets).at)
    for anchors in ([told.world.pki.root, other.root], [other.root, told.world.pki.root]):
        with pytest.raises(E2SError, match="unknown-root"):
            judge_transcript(octets, anchors)
        assert judge_transcript(told.octets, anchors).state == "received"


def test_another_component_does_not_sign_it(told):
    impostor = told.world.pki.signer("component", "urn:e2s:market:authority:repository")
    octets = sign(wire.encode(told.document), oids.DATA, impostor, read_transcript(told.octets).at)
    assert told.rule(octets) == "wrong-name"


@pytest.mark.parametrize("name", ["records", "policies", "words", "entries", "lists", "deposits"])
def test_what_is_left_out_is_found(told, name):
    for place in range(len(told.document[name])):
        assert told.rule(told.lied(lambda said, at=place: said[name].pop(at))), place


def test_left_out_lists_leave_nobody_known_to_be_good(told):
    assert told.rule(told.lied(lambda said: said["lists"].clear())) == "revocation-unknown"


def test_moves_that_are_left_out_are_found(told):
    """All that the case's shares follow from; what an officer joined who has no part in it changes nothing."""
    moves = [read(wire.unb64u(one), RESHARE, ACCEPT) for one in told.document["deposits"][0]["moves"]]
    needed = [one for one in moves if "parts" in one.document or one.officer != told.world.keepers[3].name]
    assert len(needed) == len(moves) - 1
    for one in needed:
        place = moves.index(one)
        assert told.rule(told.lied(lambda said, at=place: said["deposits"][0]["moves"].pop(at))), place


@pytest.mark.parametrize("name", ["words", "entries", "policies"])
def test_what_is_swapped_is_found(told, name):
    def swapped(said, at=0):
        said[name][at], said[name][at + 1] = said[name][at + 1], said[name][at]

    places = range(len(told.document[name]) - 1)
    rules = [told.rule(told.lied(lambda said, at=place: swapped(said, at))) for place in places]
    # words are found by what the entries name, in whatever order they lie
    assert all(rules) or name == "words"


@pytest.mark.parametrize("name", ["words", "entries"])
def test_what_is_of_another_case_is_found(told, name):
    other = read_transcript(told.other).document[name]
    for place, one in enumerate(other):

        def moved(said, place=place, one=one):
            said[name][place] = one

        assert told.rule(told.lied(moved)), place
        assert told.rule(told.lied(lambda said, one=one: said[name].append(one))), place


def test_another_case_in_its_place_is_found(told):
    other = read_transcript(told.other).document["case"]
    assert told.rule(told.lied(lambda said: said.update(case=other))) == "transcript-order"


@pytest.mark.parametrize("state", ["open", "released", "stopped"])
def test_another_state_is_found(told, state):
    assert told.rule(told.lied(lambda said: said.update(state=state))) == "state-differs"


def test_a_shorter_story_is_told_as_such(told):
    """Without the receipt it is a story of a case that was released, if the vault says so, and not of this one."""

    def shortened(said):
        said["entries"].pop()
        said["words"].pop()

    assert told.rule(told.lied(shortened)) == "state-differs"


# -------------------------------------------------------------------- a vault that lies in its own name
def entry(told, number, previous, kind, **more) -> bytes:
    said = told.world.vault.said(
        ENTRY.type,
        told.world.clock.at,
        {
            "case": case_of(told),
            "lists": [],
            "number": number,
            "previous": previous,
            "kind": kind,
            "of": case_of(told),
            **more,
        },
    )
    return sign_at(said, told.world.signer)


def case_of(told) -> str:
    return read(wire.unb64u(told.document["case"]), CASE).id


def test_a_release_before_its_time_is_found(tmp_path):
    """The vault's clock went back, or its rules were taken out: the story itself says so."""
    world = World(tmp_path, make_pki())
    case = world.open()
    world.approve(case, world.keepers[0])
    file = casefile.case_file(world.vault, case)
    approvals = [one.id for one in file.approvals]
    forged = cases._entry(
        world.vault, file, "released", file.row.id, world.clock.at, {"approvals": approvals, "lists": []}
    )
    document = read_transcript(transcript(world.vault, case)).document
    document["entries"].append(wire.b64u(forged.octets))
    document["state"] = "released"
    octets = sign(wire.encode(document), oids.DATA, world.signer, world.clock.at)
    with pytest.raises(E2SError, match="waiting-time"):
        judge_transcript(octets, [world.pki.root])
    world.clock.forward(hours=80)
    forged = cases._entry(
        world.vault, file, "released", file.row.id, world.clock.at, {"approvals": approvals, "lists": []}
    )
    document["at"] = format_instant(world.clock.at)
    document["entries"][-1] = wire.b64u(forged.octets)
    document["lists"] += [wire.b64u(one) for one in world.pki.crls(world.clock.at)]
    octets = sign(wire.encode(document), oids.DATA, world.signer, world.clock.at)
    with pytest.raises(E2SError, match="too-few-officers"):
        judge_transcript(octets, [world.pki.root])
    world.vault.database.close()


def test_entries_that_start_elsewhere_are_found(told):
    first = entry(told, 1, NONE, "released", approvals=[NONE])
    assert told.rule(told.lied(lambda said: said.update(entries=[wire.b64u(first)]))) == "out-of-order"
    gap = entry(told, 2, NONE, "opened")
    assert told.rule(told.lied(lambda said: said.update(entries=[wire.b64u(gap)]))) == "transcript-order"


def test_who_had_no_right_by_the_records_is_found(told):
    """The vault believed somebody whom the root's records do not name."""
    world = told.world
    before, world.rights = world.rights, world.rights - {(RITA, RIGHTS.open_case, DOMAIN)}
    records = [wire.b64u(one) for one in world.records()]
    world.rights = before
    assert told.rule(told.lied(lambda said: said.update(records=records))) == "not-authorised"


def test_an_owner_who_was_not_told_is_found(tmp_path, monkeypatch):
    world = World(tmp_path, make_pki())
    quiet = Policy.basis

    def silent(self, name):
        return type(quiet(self, name))(**{**vars(quiet(self, name)), "notify": False})

    with monkeypatch.context() as patched:
        patched.setattr(Policy, "basis", silent)
        case = world.released()
    octets = transcript(world.vault, case)
    assert casefile.case_file(world.vault, case).row.state == "released"
    with pytest.raises(E2SError, match="owner-not-told"):
        judge_transcript(octets, [world.pki.root])
    world.vault.database.close()


def test_a_stopped_case_and_one_of_several_releases_are_good(tmp_path):
    world = World(tmp_path, make_pki())
    stopped = world.open()
    world.stop(stopped, world.anna)
    case = world.released()
    world.approve(case, world.keepers[2])
    world.release(case)
    world.receive(case)
    assert judge_transcript(transcript(world.vault, stopped), [world.pki.root]).state == "stopped"
    found = judge_transcript(transcript(world.vault, case), [world.pki.root])
    assert (found.state, len(found.officers)) == ("received", 3)
    anew = Person(world.pki, ANNA, "person")
    own = world.open(by=world.anna, to=anew, basis="lost-card", path="owner")
    assert judge_transcript(transcript(world.vault, own), [world.pki.root]).state == "open"
    world.vault.database.close()
