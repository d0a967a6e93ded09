"""Links: each direction is authenticated, fresh, answered once; what is altered has no effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.base.instants import DELTA
from e2s.network.sessions.link import Link, LinkDoor, make_key, read_key
from e2s.network.sessions.local import LocalExchange, alter_answer, alter_request, record_traffic
from tests.network.settings import Randomness
from tests.worlds.pki import SetClock

KEY = bytes(range(32))
ORIGIN = "http://inside:1"


class Pair:
    """Two components on a link, and whoever listens between."""

    def __init__(self, faults=()) -> None:
        self.clock = SetClock()
        self.served: list[tuple[str, bytes]] = []
        self.traffic: list = []
        self.exchange = LocalExchange(faults=[record_traffic(self.traffic), *faults])
        self.restart()
        self.link = self.link_of("outside", KEY)

    def restart(self) -> None:
        doors = {"/echo": self.echo, "/refuse": self.refuse, "/away": self.away}
        self.door = LinkDoor(
            "inside", {"outside": KEY, "other": KEY[::-1]}, doors, self.clock, Randomness(b"door")
        )
        self.exchange.doors[ORIGIN] = self.door.handle

    def link_of(self, me: str, key: bytes, peer: str = "inside") -> Link:
        return Link(me, peer, key, self.exchange, ORIGIN, self.clock, Randomness(me.encode()))

    def echo(self, peer: str, body: bytes) -> bytes:
        self.served.append((peer, body))
        return body[::-1]

    def refuse(self, _peer: str, _body: bytes) -> bytes:
        raise Refusal("not-yours", "ask näher", account="7", nothing=None)

    def away(self, _peer: str, _body: bytes) -> bytes:
        raise Unreachable("bank-away", "try later")

    def again(self, **changes) -> Response:
        """What the door says to the last request, perhaps altered, sent by a stranger."""
        request = self.traffic[-1][1]
        return self.door.handle(replace(request, **changes))


def test_the_door_knows_who_asks_and_nobody_between_can_read():
    pair = Pair()
    assert pair.link.ask("/echo", b"card 4111") == b"1114 drac"
    assert pair.link_of("other", KEY[::-1]).ask("/echo", b"") == b""
    assert pair.served == [("outside", b"card 4111"), ("other", b"")]
    assert b"4111" not in pair.traffic[0][1].body + pair.traffic[0][2].body


def test_a_refusal_of_the_door_comes_back_whole():
    with pytest.raises(Refusal) as caught:
        Pair().link.ask("/refuse", b"")
    assert (caught.value.rule, caught.value.message) == ("not-yours", "ask näher")
    assert caught.value.facts == {"account": "7"}
    with pytest.raises(Unreachable) as away:
        Pair().link.ask("/away", b"")
    assert away.value.rule == "bank-away"
    with pytest.raises(Refusal) as missing:
        Pair().link.ask("/nowhere", b"")
    assert missing.value.rule == "link-no-door"


def test_an_unknown_or_pretended_peer_is_refused():
    pair = Pair()
    for me, key, rule in (
        ("stranger", KEY, "link-unknown-peer"),
        ("other", KEY, "link-altered"),
        ("outside", bytes(32), "link-altered"),
    ):
        with pytest.raises(Unreachable) as caught:
            pair.link_of(me, key).ask("/echo", b"x")
        assert caught.value.rule == rule
    with pytest.raises(Unreachable) as caught:
        pair.link_of("outside", KEY, peer="elsewhere").ask("/echo", b"x")
    assert caught.value.rule == "link-unknown-peer"
    assert pair.served == []


def test_a_replayed_request_is_refused_and_has_no_effect():
    pair = Pair()
    pair.link.ask("/echo", b"once")
    refused = pair.again()
    assert (refused.status, refused.headers["e2s-rule"]) == (403, "link-replayed")
    pair.clock.forward(seconds=DELTA.seconds)
    assert pair.again().headers["e2s-rule"] == "link-replayed"
    pair.clock.forward(seconds=1)
    assert pair.again().headers["e2s-rule"] == "link-stale"
    assert pair.served == [("outside", b"once")]


def test_a_replay_cache_forgets_only_what_is_stale():
    pair = Pair()
    for _ in range(5):
        pair.link.ask("/echo", b"x")
        pair.clock.forward(seconds=100)
    assert len(pair.door._seen) == 4
    assert pair.again().headers["e2s-rule"] == "link-replayed"


def test_a_request_from_before_the_restart_is_refused():
    pair = Pair()
    pair.link.ask("/echo", b"once")
    pair.clock.forward(seconds=1)
    pair.restart()
    assert pair.again().headers["e2s-rule"] == "link-stale"
    assert pair.link.ask("/echo", b"new") == b"wen"


def test_a_clock_beyond_the_bound_is_stale():
    pair = Pair()
    asking = SetClock()
    link = Link("outside", "inside", KEY, pair.exchange, ORIGIN, asking, Randomness(b"a"))
    asking.forward(seconds=DELTA.seconds)
    assert link.ask("/echo", b"ok") == b"ko"
    asking.forward(seconds=1)
    with pytest.raises(Unreachable) as caught:
        link.ask("/echo", b"ok")
    assert caught.value.rule == "link-stale"


FIELDS = ("e2s-from", "e2s-to", "e2s-at", "e2s-id")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value", ["", "other", "2026-03-02T09:00:01Z", "AAAAAAAAAAAAAAAAAAAAAA", "\ud800", "é"]
)
def test_each_altered_field_is_refused(field, value):
    pair = Pair()
    pair.link.ask("/echo", b"once")
    request = pair.traffic[-1][1]
    answer = pair.again(headers={**request.headers, field: value})
    assert answer.status == 403
    assert answer.headers["e2s-rule"] in {"link-altered", "link-unknown-peer"}
    assert pair.again(path="/refuse").headers["e2s-rule"] == "link-altered"
    assert len(pair.served) == 1


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_each_altered_octet_of_a_request_is_refused(position, change):
    def flip(request: Request) -> Request:
        body = bytearray(request.body)
        body[position % len(body)] ^= change
        return replace(request, body=bytes(body))

    pair = Pair([alter_request(lambda *_: True, flip)])
    with pytest.raises(Unreachable) as caught:
        pair.link.ask("/echo", b"pay 5")
    assert caught.value.rule == "link-altered"
    assert pair.served == []


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_each_altered_octet_of_an_answer_is_seen(position, change):
    def flip(response: Response) -> Response:
        body = bytearray(response.body)
        body[position % len(body)] ^= change
        return replace(response, body=bytes(body))

    pair = Pair([alter_answer(lambda *_: True, flip)])
    with pytest.raises(Unreachable) as caught:
        pair.link.ask("/echo", b"pay 5")
    assert caught.value.rule == "link-altered"


def test_an_answer_to_another_request_is_not_taken():
    pair = Pair()
    pair.link.ask("/echo", b"first")
    old = pair.traffic[-1][2]
    pair.exchange.faults.append(alter_answer(lambda *_: True, lambda _: old))
    with pytest.raises(Unreachable) as caught:
        pair.link.ask("/echo", b"second")
    assert caught.value.rule == "link-altered"


def test_a_request_reflected_as_its_answer_is_not_taken():
    pair = Pair()
    pair.exchange.doors[ORIGIN] = lambda request: Response(200, request.body)
    with pytest.raises(Unreachable):
        pair.link.ask("/echo", b"first")


@given(st.binary(max_size=80), st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=30)))
def test_garbage_is_refused_by_the_door(body, headers):
    pair = Pair()
    given_headers = {"e2s-from": "outside", "e2s-to": "inside", "e2s-at": "2026-03-02T09:00:00Z", **headers}
    answer = pair.door.handle(Request("POST", "/echo", body, given_headers))
    assert answer.status == 403
    assert pair.served == []


@given(st.binary(max_size=80))
def test_garbage_is_no_answer(body):
    pair = Pair()
    pair.exchange.doors[ORIGIN] = lambda _: Response(200, body)
    with pytest.raises(Unreachable):
        pair.link.ask("/echo", b"x")


def test_key_files_are_private_and_never_overwritten(tmp_path):
    path = tmp_path / "outside.key"
    make_key(path, Randomness(b"k"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key(path)) == 32
    with pytest.raises(Misuse):
        make_key(path, Randomness(b"k"))
    path.chmod(0o640)
    with pytest.raises(Misuse):
        read_key(path)
    path.chmod(0o600)
    path.write_bytes(bytes(31))
    with pytest.raises(Misuse):
        read_key(path)
    with pytest.raises(Misuse):
        read_key(tmp_path / "absent.key")
    with pytest.raises(Misuse):
        Pair().link_of("outside", b"short")


def test_a_clock_set_back_opens_no_request_again():
    """What was answered and forgotten while the clock was ahead is not answered again once it is right."""
    pair = Pair()
    pair.link.ask("/echo", b"once")
    sealed = pair.traffic[-1][1]
    pair.clock.forward(seconds=600)
    pair.link.ask("/echo", b"while it was ahead")
    pair.clock.forward(seconds=-600 + 30)
    assert pair.door.handle(sealed).headers["e2s-rule"] == "link-stale"
    assert [body for _, body in pair.served] == [b"once", b"while it was ahead"]


def test_a_door_that_started_while_its_clock_was_ahead_serves_once_it_is_set_back():
    pair = Pair()
    pair.clock.forward(seconds=600)
    pair.restart()
    pair.clock.forward(seconds=-600)
    assert pair.link.ask("/echo", b"again") == b"niaga"


def test_a_clock_set_right_by_seconds_refuses_nobody():
    pair = Pair()
    pair.clock.forward(seconds=60)
    pair.link.ask("/echo", b"one")
    pair.clock.forward(seconds=-5)
    assert pair.link.ask("/echo", b"two") == b"owt"
    assert pair.again().headers["e2s-rule"] == "link-replayed"
