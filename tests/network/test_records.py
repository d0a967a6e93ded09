"""Records and the other decoders of a session: round trips, garbage, and any order of arrival."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal
from e2s.crypto.exchange import Ephemeral, respond
from e2s.crypto.suites import SESSIONS
from e2s.network.sessions import calls, login, pages, presence
from e2s.network.sessions.keys import SessionKeys, derive, session_suite, transcript
from e2s.network.sessions.records import (
    HEADER_BYTES,
    LAST_SEQ,
    MAX_RECORD_BODY,
    MAX_RECORD_BYTES,
    Channel,
    Kind,
    Side,
    read_header,
)
from tests.network.market import Market
from tests.network.settings import Randomness

SID = bytes(range(16))
NAMES = list(SESSIONS)


def keys(name: str = NAMES[0]) -> SessionKeys:
    return derive(session_suite(name), b"\x07" * 48, b"\x09" * 32)


def ends() -> tuple[Channel, Channel]:
    return Channel(Side.BUYER, SID, keys()), Channel(Side.MERCHANT, SID, keys())


def refused(*rules: str):
    return pytest.raises(Refusal, check=lambda refusal: refusal.rule in rules)


@pytest.mark.parametrize("name", NAMES)
def test_the_key_schedule_is_the_protocols(name):
    """Recomputed with HMAC alone from RFC 5869 and the labels of the protocol."""
    digest = name.partition("-hkdf-")[2].partition("-")[0]
    th = transcript(b"page", b"login", b"answer")
    told = b"e2s/1 th" + b"".join(len(x).to_bytes(4, "big") + x for x in (b"page", b"login", b"answer"))
    assert th == hashlib.sha256(told).digest()
    prk = hmac.new(th, b"secret", digest).digest()
    made = derive(session_suite(name), b"secret", th)
    for label, size, value in (
        (b"c2s key", 32, made.c2s_key),
        (b"s2c key", 32, made.s2c_key),
        (b"c2s iv", 12, made.c2s_iv),
        (b"s2c iv", 12, made.s2c_iv),
    ):
        info = b"e2s/1 " + label + b"\x00" + name.encode() + b"\x00" + th
        assert hmac.new(prk, info + b"\x01", digest).digest()[:size] == value
    assert len({made.c2s_key, made.s2c_key}) == 2
    assert "key" not in repr(made)


def test_a_record_is_laid_out_as_the_protocol_says():
    buyer, _ = ends()
    buyer.seal(Kind.REQUEST, b"first")
    record = buyer.seal(Kind.REQUEST, b"hello")
    header = b"E2R1" + bytes([1, 1]) + SID + (2).to_bytes(8, "big") + (256).to_bytes(4, "big")
    assert record[:34] == header
    assert len(record) == 34 + 256 + 16
    iv = int.from_bytes(keys().c2s_iv, "big") ^ 2
    plain = AESGCM(keys().c2s_key).decrypt(iv.to_bytes(12, "big"), record[34:], header)
    assert plain == b"\x00\x00\x00\x05hello" + bytes(247)


@given(st.binary(max_size=1200))
def test_a_record_opens_at_the_other_end_and_hides_its_size(body):
    buyer, merchant = ends()
    record = buyer.seal(Kind.REQUEST, body)
    assert merchant.open(record) == (Kind.REQUEST, 1, body)
    assert len(record) == HEADER_BYTES + (4 + len(body) + 255) // 256 * 256 + 16
    answer = merchant.seal(Kind.ANSWER, body)
    assert buyer.open(answer) == (Kind.ANSWER, 1, body)
    assert answer[HEADER_BYTES:] != record[HEADER_BYTES:]


def test_the_largest_body_fits_and_no_larger():
    buyer, merchant = ends()
    record = buyer.seal(Kind.REQUEST, bytes(MAX_RECORD_BODY))
    assert len(record) <= MAX_RECORD_BYTES < len(record) + 256
    assert len(merchant.open(record)[2]) == MAX_RECORD_BODY
    with pytest.raises(Misuse):
        buyer.seal(Kind.REQUEST, bytes(MAX_RECORD_BODY + 1))
    with refused("bad-record"):
        merchant.open(record + bytes(256 * 2))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_altered_octet_is_refused_without_effect(position, change):
    buyer, merchant = ends()
    record = buyer.seal(Kind.REQUEST, b"body")
    altered = bytearray(record)
    altered[position % len(record)] ^= change
    with refused("altered-record", "bad-record", "wrong-direction", "no-session"):
        merchant.open(bytes(altered))
    assert merchant.received == 0
    assert merchant.open(record) == (Kind.REQUEST, 1, b"body")


NET = st.lists(
    st.tuples(st.sampled_from(["send", "deliver", "again", "drop", "alter"]), st.integers(0, 30)), max_size=60
)


@given(NET)
def test_a_channel_delivers_exactly_what_was_sent_in_order_whatever_the_network_does(steps):
    """What is delivered is a subsequence of what was sent: nothing twice, nothing swapped, nothing else."""
    buyer, merchant = ends()
    sent: list[bytes] = []
    way: list[bytes] = []
    delivered: list[bytes] = []
    for step, number in steps:
        if step == "send":
            sent.append(b"%d" % len(sent))
            way.append(buyer.seal(Kind.REQUEST, sent[-1]))
        elif way:
            index = number % len(way)
            record = way[index]
            if step in {"deliver", "drop"}:
                del way[index]
            if step == "drop":
                continue
            if step == "alter":
                changed = bytearray(record)
                changed[(number * 7) % len(record)] ^= 1 + number
                record = bytes(changed)
            try:
                delivered.append(merchant.open(record)[2])
            except Refusal:
                continue
    positions = [sent.index(body) for body in delivered]
    assert positions == sorted(set(positions))


@given(st.permutations(range(6)))
def test_each_record_is_delivered_exactly_when_it_is_newer_than_all_before(order):
    buyer, merchant = ends()
    records = [buyer.seal(Kind.REQUEST, b"%d" % number) for number in range(6)]
    newest = -1
    for number in order:
        if number > newest:
            assert merchant.open(records[number]) == (Kind.REQUEST, number + 1, b"%d" % number)
            newest = number
        else:
            with refused("replayed-record"):
                merchant.open(records[number])


@given(st.binary(max_size=700))
def test_garbage_is_no_record(octets):
    for garbage in (
        octets,
        b"E2R1" + octets,
        b"E2R1\x01\x01" + SID + bytes(7) + b"\x01\x00\x00\x01\x00" + octets,
    ):
        with refused("bad-record", "altered-record", "no-session"):
            ends()[1].open(garbage)


def test_a_header_out_of_bounds_is_refused():
    good = ends()[0].seal(Kind.REQUEST, b"")
    for start, stop, value in (
        (4, 5, b"\x00"),
        (4, 5, b"\x03"),
        (5, 6, b"\x00"),
        (5, 6, b"\x02"),
        (5, 6, b"\x05"),
        (22, 30, bytes(8)),
        (22, 30, (LAST_SEQ + 1).to_bytes(8, "big")),
        (30, 34, (255).to_bytes(4, "big")),
        (30, 34, b"\xff\xff\xff\xff"),
    ):
        with refused("bad-record"):
            read_header(good[:start] + value + good[stop:])


def sealed_plain(plain: bytes) -> bytes:
    header = b"E2R1\x01\x01" + SID + (1).to_bytes(8, "big") + len(plain).to_bytes(4, "big")
    iv = int.from_bytes(keys().c2s_iv, "big") ^ 1
    return header + AESGCM(keys().c2s_key).encrypt(iv.to_bytes(12, "big"), plain, header)


@pytest.mark.parametrize(
    "plain",
    [
        b"\x00\x00\x00\x01a" + bytes(250) + b"x",
        b"\x00\x00\x01\x00" + bytes(252),
        b"\xff\xff\xff\xff" + bytes(252),
        b"\x00\x00\x00\x01a" + bytes(507),
    ],
    ids=["not zeros", "longer than is there", "far longer", "a block too many"],
)
def test_a_record_that_is_padded_otherwise_is_refused(plain):
    with refused("bad-record"):
        ends()[1].open(sealed_plain(plain))


def test_numbers_end_and_a_closed_channel_does_nothing():
    buyer, merchant = ends()
    buyer.sent = LAST_SEQ - 1
    assert merchant.open(buyer.seal(Kind.REQUEST, b""))[1] == LAST_SEQ
    with refused("session-exhausted"):
        buyer.seal(Kind.REQUEST, b"")
    assert buyer.sent == LAST_SEQ
    record = merchant.seal(Kind.ANSWER, b"")
    for channel in (buyer, merchant):
        channel.close()
        with refused("no-session"):
            channel.seal(Kind.CLOSE, b"")
    with refused("no-session"):
        buyer.open(record)


def test_each_side_sends_its_own_kinds_only():
    buyer, merchant = ends()
    for channel, kind in ((buyer, Kind.ANSWER), (merchant, Kind.REQUEST), (merchant, Kind.PRESENCE)):
        with pytest.raises(Misuse):
            channel.seal(kind, b"")
    with pytest.raises(Misuse):
        Channel(Side.BUYER, b"short", keys())
    assert "key" not in repr(buyer)


@pytest.mark.parametrize("name", NAMES)
def test_two_shares_agree_once(name):
    suite = session_suite(name)
    mine = Ephemeral(name, Randomness(b"a"))
    assert len(mine.share) == suite.share_size
    answer, theirs = respond(name, mine.share, Randomness(b"b"))
    assert len(answer) == suite.answer_size
    assert mine.secret(answer) == theirs
    with pytest.raises(Misuse):
        mine.secret(answer)
    with refused("suite-unknown"):
        session_suite("rot13")


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(min_size=1, max_size=120))
def test_garbage_is_no_share(name, octets):
    if len(octets) != 32:  # of which every one is a point, or nearly, of X25519
        with refused("invalid-point"):
            Ephemeral(name, Randomness(b"a")).secret(octets)
        with refused("invalid-point"):
            respond(name, octets, Randomness(b"a"))


JSON = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="ascii"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(st.characters(codec="ascii"), max_size=6), JSON, max_size=4)


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}", fullmatch=True),
    DOCUMENTS,
)
def test_calls_come_through(rid, op, args):
    call = calls.Call(rid, op, args)
    assert calls.read_call(calls.write_call(call)) == call


@given(st.integers(1, 2**32), DOCUMENTS)
def test_results_come_through(seq, result):
    if {"answers", "rid", "refused", "presence"} & result.keys():
        with pytest.raises(Misuse):
            calls.write_result(seq, "r", result)
        return
    assert calls.read_answer(calls.write_result(seq, "r", result)) == calls.Answer(seq, "r", result)


@given(st.text(max_size=700))
def test_a_refusal_comes_through_whatever_its_sentence(message):
    answer = calls.read_answer(calls.write_refusal(7, "", Refusal("some-rule", message)))
    assert answer.refusal is not None
    assert answer.refusal.rule == "some-rule"
    assert answer.result is None


def test_a_challenge_comes_through():
    answer = calls.read_answer(calls.write_challenge(7, "r", b"c" * 32))
    assert (answer.answers, answer.rid, answer.challenge) == (7, "r", b"c" * 32)


def changed(document: wire.Document, name: str, value: object) -> wire.Document:
    return {**document, name: value}


@given(st.binary(max_size=300) | DOCUMENTS.map(wire.encode))
def test_garbage_is_refused_by_every_decoder(octets):
    for read in (pages.read_page, pages.read_page_answer, calls.read_call, calls.read_answer):
        try:
            read(octets)
        except Refusal:
            continue
        assert read is calls.read_answer
        assert {"answers", "rid"} <= wire.decode(octets).keys()


PAGE = wire.decode(pages.make_page(Market().volt.shop, bytes(32), Randomness(b"p"), Market().clock.now()))
MARKET = Market()
LOGIN = MARKET.opened(MARKET.begin()).document
ANSWER_OCTETS = wire.encode({"answers": 1, "rid": "r", "refused": {"message": "m", "rule": "x"}})


@given(st.sampled_from([*PAGE, "more"]), JSON)
def test_a_page_with_a_member_of_another_kind_is_refused_or_is_another_page(name, value):
    octets = wire.encode(changed(PAGE, name, value))
    try:
        assert pages.read_page(octets).octets == octets
    except Refusal as refusal:
        assert refusal.rule in {"bad-document", "wrong-label", "too-large"}


@given(st.sampled_from([*LOGIN, "more"]), JSON)
def test_a_login_with_a_member_of_another_kind_is_refused(name, value):
    document = changed(LOGIN, name, value)
    try:
        login.read_login(document)
    except Refusal as refusal:
        assert refusal.rule in {"bad-document", "wrong-label"}
    else:
        assert name not in {"kex", "tls", "page", "type", "more"} or document == LOGIN


@given(st.sampled_from(["refused", "presence", "answers", "rid", "more"]), JSON)
def test_an_answer_with_a_member_of_another_kind_is_refused_or_read(name, value):
    octets = wire.encode(changed(wire.decode(ANSWER_OCTETS), name, value))
    try:
        answer = calls.read_answer(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-answer"
    else:
        assert answer.refusal is not None


@pytest.mark.parametrize(
    "form", [pages.PAGE_FORM, login.LOGIN_FORM, login.ANSWER_FORM, presence.PRESENCE_FORM]
)
def test_an_empty_document_fits_no_form(form):
    with refused("wrong-label"):
        form.check({})
    with refused("bad-document"):
        form.check({"type": form.type})
