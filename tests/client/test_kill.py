"""Killed after any commit and before any message, the wallet goes on from its home: one contract, one payment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from e2s.base import meter
from e2s.client.wallet.wallet import Wish
from e2s.crypto.acts import read_act
from tests.client.parties import LINES, Scene, phrase

WISH = Wish(shop="volt", lines=LINES, deliver_to="Alpha", cost_centre="4711", at_most="100.00")


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(what: str, number: int) -> Iterator[list[int]]:
    """The world ends at the ``number``-th count of ``what``; gives the counts seen."""
    seen: list[int] = []

    def watcher(counted: str, _total: int) -> None:
        if counted == what:
            seen.append(1)
            if len(seen) == number:
                raise Killed

    meter.watch(watcher)
    try:
        yield seen
    finally:
        meter._WATCHERS.remove(watcher)


def buy(scene: Scene) -> None:
    trade = scene.wallet.begin(WISH)
    scene.wallet.advance(trade, phrase())


def resumed(scene: Scene) -> None:
    scene.again()
    for trade in scene.wallet.unfinished():
        scene.wallet.advance(trade.trade, phrase())
    if not scene.wallet.trades():
        buy(scene)


def how_often(scene: Scene, what: str) -> int:
    with killed_at(what, 10**9) as seen:
        buy(scene)
    return len(seen)


@pytest.mark.parametrize("what", ["commit", "hop", "sign"])
def test_kill_between_sign_and_send(parties, tmp_path, what):
    """At every point in turn; a fresh wallet each time, one shop that remembers."""
    points = how_often(Scene(parties, tmp_path / "count"), what)
    assert points > 5
    kills = 0
    for number in range(1, points + 1):
        parties.acts.clear()
        scene = Scene(parties, tmp_path / f"{what}-{number}")
        with suppress(Killed), killed_at(what, number) as seen:
            buy(scene)
        kills += len(seen) == number
        resumed(scene)
        (ended,) = scene.wallet.trades()
        assert (ended.state, ended.settled) == ("received", True), number
        assert ended.bundle
        (acts,) = parties.acts.values()
        assert len({read_act(acts["pay"]).id}) == 1
        scene.wallet.close()
    assert kills > points - 5  # the trust centre's own lists are signed once a day, by the first who asks


def test_killed_twice_at_the_same_point(parties, tmp_path):
    scene = Scene(parties, tmp_path / "twice")
    for number in (9, 3, 2):
        with pytest.raises(Killed), killed_at("commit", number):
            resumed(scene) if scene.wallet.trades() else buy(scene)
    resumed(scene)
    (ended,) = scene.wallet.trades()
    assert (ended.state, ended.settled) == ("received", True)
