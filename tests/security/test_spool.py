"""A folder carries questions and answers, proves nothing, and stops nobody."""

from __future__ import annotations

import hashlib
import os

import pytest

from e2s.base.errors import Refusal, Unreachable
from e2s.security.pki import spool
from e2s.security.pki.spool import Spool, answer_spool


def echo(peer, body):
    return peer.encode() + b":" + body


def refuse(_peer, _body):
    raise Refusal("a-rule", "why", n=3, who=None)


def absent(_peer, _body):
    raise Unreachable("disk-full", "no room")


DOORS = {"/echo": echo, "/refuse": refuse, "/absent": absent}


def put(folder, octets, name=""):
    (folder / "ask").mkdir(parents=True, exist_ok=True)
    (folder / "ask" / (name or hashlib.sha256(octets).hexdigest())).write_bytes(octets)


def test_a_question_waits_until_it_is_answered_and_is_then_gone(tmp_path):
    asking = Spool(tmp_path)
    for _ in range(2):
        with pytest.raises(Unreachable, match="order-waits"):
            asking.ask("/echo", b"body\nof lines")
    assert answer_spool(tmp_path, DOORS) == 1
    assert answer_spool(tmp_path, DOORS) == 0
    assert asking.ask("/echo", b"body\nof lines") == b"spool:body\nof lines"
    assert not any((*tmp_path.glob("ask/*"), *tmp_path.glob("answer/*")))


@pytest.mark.parametrize(
    ("path", "kind", "rule"),
    [
        ("/refuse", Refusal, "a-rule"),
        ("/absent", Unreachable, "disk-full"),
        ("/none", Refusal, "link-no-door"),
    ],
    ids=["refused", "absent", "no-door"],
)
def test_what_the_other_side_raises_is_raised_here(tmp_path, path, kind, rule):
    asking = Spool(tmp_path)
    with pytest.raises(Unreachable):
        asking.ask(path, b"")
    answer_spool(tmp_path, DOORS)
    with pytest.raises(kind) as caught:
        asking.ask(path, b"")
    assert caught.value.rule == rule


def test_what_does_not_belong_there_is_refused_or_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "MAX_MESSAGE_BYTES", 100)
    put(tmp_path, b"/echo\n" + bytes(200))
    put(tmp_path, b"/echo\nx", name="0" * 64)
    put(tmp_path, b"/echo\ny", name="notes.txt")
    put(tmp_path, b"\xff\n")
    os.mkfifo(tmp_path / "ask" / ("1" * 64))
    (tmp_path / "ask" / ("2" * 64)).symlink_to("/etc/passwd")
    put(tmp_path, b"/echo\ngood")
    assert answer_spool(tmp_path, DOORS) == 4
    assert Spool(tmp_path).ask("/echo", b"good") == b"spool:good"
    assert answer_spool(tmp_path, DOORS) == 0


@pytest.mark.parametrize(
    "answer", [b"", b"\x01", b"\x01{}", b"\x01[1]", b"\x07x", b'\x01{"facts":{},"message":"m"}']
)
def test_an_answer_that_cannot_be_read_is_none(tmp_path, answer):
    name = hashlib.sha256(b"/echo\n").hexdigest()
    (tmp_path / "answer").mkdir()
    (tmp_path / "answer" / name).write_bytes(answer)
    with pytest.raises((Refusal, Unreachable)):
        Spool(tmp_path).ask("/echo", b"")
