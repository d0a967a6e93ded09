"""The JSON interface: who may what at each path, log-ins, words; judged by schemathesis as it is served."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2s.base import wire
from e2s.base.wire import Document
from e2s.security.administration.logins import CHALLENGE_LIFE, IDLE, LIFE, MOST_OF_ONE
from e2s.security.enrolment.asking import Asked, Pending
from tests.worlds.administration import AUDREY, PAULA, Administration, Interface
from tests.worlds.enrolment import World as Enrolment
from tests.worlds.enrolment import csr
from tests.worlds.pki import make_pki
from tests.worlds.registration import OLGA

HERE = Path(__file__).parent
SOAK = os.environ.get("E2S_SOAK") == "1"
REGISTER, AUDIT, POLICY, REVOKE = "olga oskar tessa", "audrey tessa peter", "paula peter tessa", "olga tessa"
EVERYBODY = "olga oskar paula peter audrey tessa"
CONTENT = {"content": "[bounds]\n"}

#: method, path, body, and who may: everybody else is refused as ``not-authorised``.
READ = [
    ("GET", "/v1/me", None, EVERYBODY),
    ("GET", "/v1/cases", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/cases?state=named&most=1", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/cases/c-aaaa", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/approvals", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/requests", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/certificates", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/certificates/abc", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/reports", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/reports/weak", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/reports/weak/csv", None, f"{REGISTER} {AUDIT}"),
    ("GET", "/v1/officers", None, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/ceremonies", None, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/policies", None, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/policies/registration", None, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/policies/registration/versions/1", None, f"{POLICY} {AUDIT}"),
    ("POST", "/v1/policies/registration/effect", CONTENT, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/proposals", None, f"{POLICY} {AUDIT}"),
    ("GET", "/v1/proposals/1", None, f"{POLICY} {AUDIT}"),
]
DRAFTED: list[tuple[dict[str, object], str]] = [
    ({"act": "approve-cases", "cases": ["c-aaaa"]}, REGISTER),
    ({"act": "countersign", "approval": 1}, REGISTER),
    ({"act": "refuse-case", "case": "c-aaaa", "why": "no"}, REGISTER),
    ({"act": "revoke", "serial": "abc", "reason": "superseded"}, REVOKE),
    ({"act": "hold", "serial": "abc"}, REVOKE),
    ({"act": "release", "serial": "abc"}, REVOKE),
    ({"act": "propose", "policy": "registration", "content": "", "why": "so"}, POLICY),
    ({"act": "propose", "policy": "officers", "content": "", "why": "so"}, POLICY),
    ({"act": "go-back", "policy": "registration", "version": 1, "why": "so"}, POLICY),
    ({"act": "decide", "proposal": 1, "decision": "approve"}, POLICY),
    ({"act": "decide-request", "request": "r-1", "decision": "approve"}, REGISTER),
]
CELLS: list[Any] = [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in READ]
CELLS += [
    pytest.param("POST", "/v1/drafts", act, who, id=f"{act['act']} {act.get('policy', '')}".strip())
    for act, who in DRAFTED
]


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture(scope="module")
def standing(tmp_path_factory, pki):
    """One served world for those that change nothing."""
    world = Administration(tmp_path_factory.mktemp("standing"), pki)
    for number in range(3):
        world.issue("person", f"urn:e2s:market:alpha:p{number}")
    with Interface(world) as served:
        yield served
    world.close()


@pytest.fixture(scope="module")
def tokens(standing):
    names = EVERYBODY.split()
    return {name: standing.login(getattr(standing.world, name)) for name in names}


@pytest.fixture
def served(tmp_path, pki):
    world = Administration(tmp_path, pki)
    with Interface(world) as made:
        yield made
    world.close()


def problem(answer, status, rule):
    assert (answer[0], answer[1]["rule"]) == (status, rule), answer
    assert answer[1]["type"] == f"urn:e2s:rule:{rule}"


# ---------------------------------------------------------------- who may what
@pytest.mark.parametrize(("method", "path", "body", "who"), CELLS)
def test_each_path_is_for_who_holds_a_right(standing, tokens, method, path, body, who):
    for name, token in tokens.items():
        answer = standing.raw(method, path, None if body is None else wire.encode(body), token)
        denied = answer.status == 403 and answer.headers["e2s-rule"] == "not-authorised"
        assert denied is (name not in who.split()), (name, answer.status, answer.body)
        assert answer.status < 500
    problem(standing.call(method, path, body), 401, "no-session")


def test_every_path_is_in_the_table(standing):
    _, document = standing.call("GET", "/openapi.json")
    from_table = {path.split("?")[0] for _, path, _, _ in READ} | {"/v1/drafts", "/v1/words"}
    shape = len(document["paths"])
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["Revoke"]["additionalProperties"] is False
    # beside those of the table: log-in in two steps, and log-out
    assert shape == len(from_table) + 3


def test_security_headers_and_foreign_requests(standing, tokens):
    answer = standing.raw("GET", "/v1/me", None, tokens["audrey"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    token = tokens["audrey"]
    for status, headers in (
        (421, {"host": "administration.example"}),
        (403, {"origin": "https://evil.example"}),
        (403, {"origin": "null"}),
        (403, {"sec-fetch-site": "cross-site"}),
        (403, {"sec-fetch-site": "same-site"}),
    ):
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(standing.origin.rpartition(":")[2]), timeout=10
        )
        connection.request("GET", "/v1/me", headers={"authorization": f"Bearer {token}", **headers})
        assert connection.getresponse().status == status, headers
        connection.close()
    form = standing.raw(
        "POST", "/v1/drafts", b"act=hold", token, content_type="application/x-www-form-urlencoded"
    )
    assert (form.status, form.headers["e2s-rule"]) == (415, "not-json")
    large = standing.raw("POST", "/v1/words", b" " * (2 * 1024 * 1024 + 1), token)
    assert large.status == 413


def test_csv_that_no_spreadsheet_computes(served):
    world = served.world
    world.issue("tls-server", "a.alpha.example")
    answer = served.raw("GET", "/v1/reports/weak/csv", None, served.login(world.audrey))
    lines = answer.body.decode().split("\r\n")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert lines[0] == "serial,profile,name,until,state,case,finding,detail"
    assert ",a.alpha.example," in lines[1]


# ---------------------------------------------------------------- log-in
def test_an_officer_logs_in_reads_and_logs_out(served):
    token = served.login(served.world.audrey)
    status, me = served.call("GET", "/v1/me", token=token)
    assert (status, me["officer"], me["rights"]) == (200, AUDREY, ["admin.audit"])
    assert served.call("POST", "/v1/logout", token=token) == (204, None)
    problem(served.call("GET", "/v1/me", token=token), 401, "no-session")
    assert [k for k in served.world.kinds() if k.startswith("admin.")] == ["admin.login", "admin.refused"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"audience": "http://127.0.0.1:1"}, "wrong-audience"),
        ({"challenge": wire.b64u(b"\0" * 48)}, "bad-challenge"),
        ({"ca": "other-ca"}, "other-ca"),
        ({"community": "fair"}, "other-ca"),
        ({"type": "e2s/1/policy-decision"}, "wrong-label"),
    ],
)
def test_a_challenge_of_another_place_is_refused(served, change, rule):
    world = served.world
    said: Document = {**served.challenged(world.audrey), **change}
    problem(served.call("POST", "/v1/login", served.signed(said, world.audrey)), 401, rule)


def test_a_challenge_is_good_once_and_for_two_minutes(served):
    world = served.world
    said = served.challenged(world.audrey)
    word = served.signed(said, world.audrey)
    assert served.call("POST", "/v1/login", word)[0] == 200
    problem(served.call("POST", "/v1/login", word), 401, "challenge-used")
    # the same challenge, signed again, or by another
    problem(served.call("POST", "/v1/login", served.signed(said, world.audrey)), 401, "challenge-used")
    other = served.challenged(world.audrey)
    world.clock.forward(seconds=CHALLENGE_LIFE.total_seconds() + 1)
    problem(served.call("POST", "/v1/login", served.signed(other, world.audrey)), 401, "bad-challenge")


def test_who_is_no_officer_or_holds_no_right_does_not_get_in(served, pki):
    world = served.world
    problem(
        served.call("POST", "/v1/login", served.signed(served.challenged(world.otto), world.otto)),
        401,
        "not-authorised",
    )
    stranger = make_pki(at=pki.at).signer("officer", AUDREY)
    status, answer = served.call("POST", "/v1/login", served.signed(served.challenged(stranger), stranger))
    assert (status, answer["rule"] != "") == (401, True)
    # audrey's challenge, signed by olga
    said = served.challenged(world.audrey)
    status, answer = served.call("POST", "/v1/login", served.signed(said, world.olga))
    assert status == 401
    buyer = pki.signer("buyer", AUDREY)
    status, _ = served.call("POST", "/v1/login", served.signed(served.challenged(buyer), buyer))
    assert status == 401


def test_a_token_ends_unused_or_in_any_case(served):
    world = served.world
    token = served.login(world.audrey)
    world.clock.forward(seconds=IDLE.total_seconds() - 1)
    assert served.call("GET", "/v1/me", token=token)[0] == 200
    world.clock.forward(seconds=IDLE.total_seconds())
    problem(served.call("GET", "/v1/me", token=token), 401, "no-session")
    token, minutes = served.login(world.audrey), timedelta(minutes=10)
    for _ in range(int(LIFE / minutes) - 1):
        world.clock.forward(minutes=10)
        assert served.call("GET", "/v1/me", token=token)[0] == 200
    world.clock.forward(minutes=11)
    problem(served.call("GET", "/v1/me", token=token), 401, "no-session")


def test_foreign_tokens_and_those_of_an_earlier_process(served):
    world = served.world
    for token in ("", "A" * 43, "é", "A" * 5000):
        problem(served.call("GET", "/v1/me", token=token or "none"), 401, "no-session")
    token = served.login(world.audrey)
    with Interface(world) as later:
        problem(later.call("GET", "/v1/me", token=token), 401, "no-session")
    basic = served.raw("GET", "/v1/me", None, authorization="Basic YTpi")
    assert basic.status == 401


def test_a_revoked_officer_is_out_at_once(tmp_path):
    pki = make_pki()
    world = Administration(tmp_path, pki)
    with Interface(world) as served:
        token = served.login(world.audrey)
        pki.revoke(world.audrey.certificate)
        status, answer = served.call("GET", "/v1/me", token=token)
        assert (status, answer["rule"]) == (400, "revoked") or "revoked" in answer["rule"]
        problem(served.call("GET", "/v1/me", token=token), 401, "no-session")
    world.close()


def test_an_officer_has_few_sessions_and_the_oldest_goes(served):
    world = served.world
    tokens = []
    for _ in range(MOST_OF_ONE + 1):
        tokens.append(served.login(world.audrey))
        world.clock.forward(seconds=1)
    assert [served.call("GET", "/v1/me", token=one)[0] for one in tokens] == [401, *[200] * MOST_OF_ONE]


# ---------------------------------------------------------------- words
def test_a_session_alone_changes_nothing_and_a_word_is_its_own_officers(served):
    world = served.world
    case = world.named()
    stolen = served.login(world.olga)
    _, draft = served.call("POST", "/v1/drafts", {"act": "approve-cases", "cases": [case]}, stolen)
    assert world.state(case) == "named"
    # who has the token and another officer's key
    forged = served.signed(draft["document"], world.oskar)
    problem(served.call("POST", "/v1/words", forged, stolen), 400, "wrong-name")
    # and olga's word under oskar's session
    other = served.login(world.oskar)
    word = served.signed(draft["document"], world.olga)
    problem(served.call("POST", "/v1/words", word, other), 403, "other-officer")
    assert world.state(case) == "named"
    assert served.call("POST", "/v1/words", word, stolen)[1]["answer"]["state"] == "ready"
    assert world.state(case) == "approved"
    # replayed: answered again, and nothing else
    assert served.call("POST", "/v1/words", word, stolen)[0] == 200
    assert world.kinds().count("approval.signed") == 1


def test_a_certificate_is_looked_at_and_withdrawn(served):
    world = served.world
    serial = f"{world.issue('person', 'urn:e2s:market:alpha:anna'):x}"
    token = served.login(world.olga)
    _, found = served.call("GET", "/v1/certificates?name=urn:e2s:market:alpha:a", token=token)
    assert [one["serial"] for one in found["certificates"]] == [serial]
    _, draft = served.call(
        "POST", "/v1/drafts", {"act": "revoke", "serial": serial, "reason": "superseded"}, token
    )
    assert "anna, person, good" in draft["concerns"][0]
    assert served.say({"act": "hold", "serial": serial}, world.olga, token)[1]["answer"]["state"] == "waiting"
    from e2s.security.registration.withdrawing import send_withdrawals

    assert send_withdrawals(world.office, world.ca.ask).done == 1
    _, shown = served.call("GET", f"/v1/certificates/{serial}", token=token)
    assert (shown["line"]["state"], shown["reason"]) == ("held", "certificateHold")
    problem(served.call("POST", "/v1/drafts", {"act": "hold", "serial": serial}, token), 409, "out-of-order")
    problem(
        served.call("POST", "/v1/drafts", {"act": "hold", "serial": "abc"}, token), 404, "no-such-certificate"
    )
    reads = [e["facts"]["what"] for e in world.events() if e["kind"] == "admin.read"]
    assert reads == ["certificates", "certificate"]


def test_a_policy_is_changed_and_brought_back_by_two(served):
    world = served.world
    paula, peter = served.login(world.paula), served.login(world.peter)
    text = served.call("GET", "/v1/policies/registration", token=paula)[1]["content"]
    content = text.replace("evidence-days = 90", "evidence-days = 60")
    dry = served.call("POST", "/v1/policies/registration/effect", {"content": content}, paula)[1]
    assert dry["values"] == [{"place": "bounds.evidence-days", "now": "90", "then": "60"}]
    act = {"act": "propose", "policy": "registration", "content": content, "why": "shorter"}
    number = served.say(act, world.paula, paula)[1]["answer"]["proposal"]
    decide = {"act": "decide", "proposal": number, "decision": "approve"}
    problem(served.call("POST", "/v1/drafts", decide, paula), 403, "same-officer")
    shown = served.call("GET", f"/v1/proposals/{number}", token=peter)[1]
    assert shown["effect"]["values"][0]["then"] == "60"
    assert served.say(decide, world.peter, peter)[1]["answer"]["version"] == 2
    problem(served.call("POST", "/v1/drafts", decide, peter), 409, "decided")
    back = {"act": "go-back", "policy": "registration", "version": 1, "why": "back"}
    again = served.say(back, world.peter, peter)[1]["answer"]["proposal"]
    decide = {"act": "decide", "proposal": again, "decision": "approve"}
    assert served.say(decide, world.paula, paula)[1]["answer"]["version"] == 3
    assert served.call("GET", "/v1/policies/registration", token=paula)[1]["content"] == text


def test_a_request_for_enrolment_is_decided_by_an_officers_word(served, tmp_path):
    world = served.world
    (tmp_path / "enrolment").mkdir()
    desk = Enrolment(tmp_path / "enrolment", pki=world.pki, clock=world.clock, officers=world.officers)
    asked = Asked(
        door="est",
        transaction=b"1",
        request=csr("urn:e2s:market:authority:stamps"),
        shown=desk.invited("tsa", ("urn:e2s:market:authority:stamps",)),
    )
    assert isinstance(desk.desk.ask(asked), Pending)
    world.desk.enrolment = desk.office
    token = served.login(world.oskar)
    (waits,) = served.call("GET", "/v1/requests", token=token)[1]["requests"]
    assert (waits["profile"], waits["officer"], waits["door"]) == ("tsa", OLGA, "est")
    act = {"act": "decide-request", "request": waits["request"], "decision": "approve"}
    # who invited does not decide
    inviter = served.login(world.olga)
    problem(served.say(act, world.olga, inviter), 403, "same-officer")
    assert served.say(act, world.oskar, token)[1]["answer"]["officer"] == world.oskar.certificate.name
    assert served.call("GET", "/v1/requests", token=token)[1]["requests"] == []
    world.desk.enrolment = None
    desk.close()


def test_two_officers_at_once_and_one_of_two_decisions_counts(served):
    world = served.world
    content = world.desk.subject("registration").octets().replace(b"90", b"60")
    number = world.propose("registration", content)["proposal"]
    said = {}
    for name, decision in (("peter", "approve"), ("tessa", "decline")):
        officer = getattr(world, name)
        token = served.login(officer)
        act = {"act": "decide", "proposal": number, "decision": decision}
        _, draft = served.call("POST", "/v1/drafts", act, token)
        said[name] = (served.signed(draft["document"], officer), token)
    answers = {}

    def send(name):
        answers[name] = served.call("POST", "/v1/words", *said[name])

    threads = [threading.Thread(target=send, args=(name,)) for name in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer[0] for answer in answers.values()) == [200, 409]
    decided = [k for k in world.kinds() if k in {"policy.approved", "policy.declined"}]
    assert len(decided) == 1


def test_what_is_refused_is_an_event_with_its_rule(served):
    world = served.world
    token = served.login(world.audrey)
    served.call("POST", "/v1/drafts", {"act": "hold", "serial": "abc"}, token)
    served.call("POST", "/v1/words", {"word": "MAA"}, token)
    served.call("POST", "/v1/login", {"word": "MAA"})
    refused = [e["facts"] for e in world.events() if e["kind"] == "refused"]
    assert (refused[0]["rule"], refused[0]["officer"]) == ("not-authorised", AUDREY)
    assert [one.get("what") for one in refused[1:]] == ["word", "login"]


def test_names_of_officers_are_not_told_to_who_asks_for_a_challenge(served):
    for name in (OLGA, PAULA, "urn:e2s:market:authority:nobody"):
        assert served.call("POST", "/v1/login/challenge", {"officer": name})[0] == 200


# ---------------------------------------------------------------- judged by another
def test_schemathesis_finds_nothing(standing, tokens, tmp_path):
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        f"{standing.origin}/openapi.json",
        "--header",
        f"Authorization: Bearer {tokens['tessa']}",
        "--exclude-path",
        "/v1/logout",
        "--seed",
        "1",
        "--max-examples",
        "100" if SOAK else "1",
        "--phases",
        "coverage,fuzzing,stateful" if SOAK else "coverage",
        "--workers",
        "1",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Selected: 22/23" in done.stdout
