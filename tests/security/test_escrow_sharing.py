"""Shares: any threshold of them give the secret, fewer say nothing about it; checked against another arithmetic."""

from __future__ import annotations

import itertools
import random as chance
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.security.escrow.sharing import SIZE, Share, joined, moved, read_share, shared_again, split

# GF(2^8) again, by logarithms to the base of 3: nothing here is shared with what is tested
_POWERS = [1]
for _ in range(254):
    _last = _POWERS[-1]
    _doubled = _last << 1 ^ (0x11B if _last & 0x80 else 0)
    _POWERS.append(_doubled ^ _last)
_LOGS = {power: n for n, power in enumerate(_POWERS)}


def times(a: int, b: int) -> int:
    return _POWERS[(_LOGS[a] + _LOGS[b]) % 255] if a and b else 0


def over(a: int, b: int) -> int:
    return _POWERS[(_LOGS[a] - _LOGS[b]) % 255] if a else 0


def value_at(points: dict[int, bytes], x: int) -> bytes:
    """The value at ``x`` of the polynomials through ``points``."""
    found = bytearray(SIZE)
    for mine, value in points.items():
        factor = 1
        for other in points:
            if other != mine:
                factor = times(factor, over(x ^ other, mine ^ other))
        for place in range(SIZE):
            found[place] ^= times(value[place], factor)
    return bytes(found)


_secret = st.binary(min_size=SIZE, max_size=SIZE)


@st.composite
def splits(draw):
    n = draw(st.integers(2, 7))
    t = draw(st.integers(2, n))
    points = draw(st.lists(st.integers(1, 255), min_size=n, max_size=n, unique=True))
    seed = chance.Random(draw(st.integers()))
    secret = draw(_secret)
    return secret, t, split(secret, threshold=t, indices=points, random=seed.randbytes)


@given(splits())
@settings(max_examples=60)
def test_any_threshold_of_shares_gives_the_secret(drawn):
    secret, t, shares = drawn
    for some in itertools.combinations(shares, t):
        assert joined(some, threshold=t) == secret
        assert value_at({one.point: one.value for one in some}, 0) == secret
    assert joined(shares[::-1], threshold=t) == secret


@given(splits(), _secret)
@settings(max_examples=60)
def test_fewer_shares_go_with_every_secret(drawn, other):
    """For every secret there is a share that, with the known ones, gives it: they say nothing about which it is."""
    t, shares = drawn[1:]
    for some in itertools.combinations(shares, t - 1):
        known = {one.point: one.value for one in some}
        point = next(x for x in range(1, 256) if x not in known)
        invented = Share(point, value_at({0: other, **known}, point))
        assert joined([*some, invented], threshold=t) == other
        with pytest.raises(Refusal, match="too-few-shares"):
            joined(some, threshold=t)


@given(splits(), st.integers(2, 4), st.integers())
@settings(max_examples=40)
def test_shares_move_to_others_and_the_secret_stays(drawn, threshold, seed):
    secret, t, shares = drawn
    random = chance.Random(seed).randbytes
    givers = chance.Random(seed).sample(shares, t)
    parts: dict[int, list] = {}
    for giver in givers:
        for part in shared_again(giver, threshold=threshold, indices=(9, 1, 200, 31), random=random):
            parts.setdefault(part.point, []).append((giver.point, part))
    new = [moved(some, threshold=t) for some in parts.values()]
    for some in itertools.combinations(new, threshold):
        assert joined(some, threshold=threshold) == secret
    with pytest.raises(Refusal, match="too-few-shares"):
        moved(parts[9][: t - 1], threshold=t)
    with pytest.raises(Refusal, match="bad-share"):
        moved([*parts[9][: t - 1], parts[1][t - 1]], threshold=t)


@given(st.binary(max_size=40))
def test_a_share_is_read_strictly(octets):
    try:
        share = read_share(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-share"
    else:
        assert share.encoded() == octets


@pytest.mark.parametrize(
    ("threshold", "points"), [(1, (1, 2)), (0, (1, 2)), (3, (1, 2)), (2, (0, 1)), (2, (1, 1)), (2, (1, 256))]
)
def test_what_is_no_split_is_refused(threshold, points):
    with pytest.raises((Misuse, Refusal), match=r"bad-threshold|bad-share"):
        split(bytes(32), threshold=threshold, indices=points, random=secrets.token_bytes)


def test_one_share_is_enough_only_where_that_is_said():
    (share,) = split(b"k" * 32, threshold=1, indices=(1,), random=secrets.token_bytes, alone=True)
    assert joined([share], threshold=1) == b"k" * 32


def test_a_secret_has_its_size():
    with pytest.raises(Misuse, match="bad-share"):
        split(bytes(31), threshold=2, indices=(1, 2), random=secrets.token_bytes)


def test_equal_points_are_refused_when_joined():
    shares = split(bytes(32), threshold=2, indices=(1, 2), random=secrets.token_bytes)
    with pytest.raises(Refusal, match="bad-share"):
        joined([shares[0], shares[0]], threshold=2)
