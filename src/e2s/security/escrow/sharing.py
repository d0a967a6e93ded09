"""A secret is split so that any ``threshold`` of its shares give it back, and fewer say nothing about it.

Shamir's scheme over GF(2^8), each octet by itself: share ``x`` is the value at ``x`` of a polynomial whose
constant is the secret and whose other coefficients are random.  All octets of a value are worked on at once,
packed into one number; nothing branches on a secret, and none is an index: only shares' numbers are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from operator import xor
from typing import Final, NamedTuple

from e2s.base.errors import Misuse, Refusal

#: Octets of a secret and of each share.
SIZE: Final = 32
MAX_SHARES: Final = 255
_LOW: Final = int.from_bytes(b"\x7f" * SIZE, "big")
_ONES: Final = int.from_bytes(b"\x01" * SIZE, "big")
#: What x^8 is modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2).
_REDUCED: Final = 0x1B


class Share(NamedTuple):
    """One share: the point, 1 to 255, and the value there."""

    point: int
    value: bytes

    def encoded(self) -> bytes:
        """The point in one octet, then the value."""
        return bytes((self.point,)) + self.value


def read_share(octets: bytes) -> Share:
    """Read :meth:`Share.encoded`; raises :class:`Refusal` ``bad-share``."""
    if len(octets) != SIZE + 1 or not octets[0]:
        raise Refusal("bad-share", "a share is a point from 1 and 32 octets")
    return Share(octets[0], octets[1:])


def split(
    secret: bytes,
    *,
    threshold: int,
    indices: Sequence[int],
    random: Callable[[int], bytes],
    alone: bool = False,
) -> tuple[Share, ...]:
    """A share for each of ``indices``, any ``threshold`` of which give ``secret``.

    Raises :class:`Misuse` ``bad-threshold`` for one below two, unless ``alone``, or above the number of
    shares, ``bad-share`` for indices that are none or twice there, and for a secret of another size.
    """
    if not (1 if alone else 2) <= threshold <= len(indices) <= MAX_SHARES:
        raise Misuse("bad-threshold", "at least two, and no more than there are shares", threshold=threshold)
    _check_indices(indices)
    if len(secret) != SIZE:
        raise Misuse("bad-share", "a secret has 32 octets")
    drawn = random(SIZE * (threshold - 1))
    rest = [_number(drawn[at : at + SIZE]) for at in range(0, len(drawn), SIZE)]
    coefficients = (_number(secret), *rest)
    return tuple(Share(index, _octets(_value(coefficients, index))) for index in indices)


def joined(shares: Sequence[Share], *, threshold: int) -> bytes:
    """The secret from exactly ``threshold`` of the shares; of wrong shares it gives another, unnoticed.

    Raises :class:`Refusal` ``too-few-shares``, ``bad-share``.
    """
    if len(shares) < threshold:
        raise Refusal("too-few-shares", "fewer shares than are needed", needed=threshold, found=len(shares))
    used = shares[:threshold]
    _check_indices([share.point for share in used])
    return _octets(_at_zero([(share.point, _number(share.value)) for share in used]))


def shared_again(
    share: Share,
    *,
    threshold: int,
    indices: Sequence[int],
    random: Callable[[int], bytes],
    alone: bool = False,
) -> tuple[Share, ...]:
    """One share's own value, split anew: its parts go to those who hold shares from now on.

    Each of them joins the parts of enough old shares by :func:`moved`; nobody holds the secret meanwhile
    (Desmedt and Jajodia, Redistributing secret shares, 1997).  Raises as :func:`split` does.
    """
    return split(share.value, threshold=threshold, indices=indices, random=random, alone=alone)


def moved(parts: Sequence[tuple[int, Share]], *, threshold: int) -> Share:
    """The new share, from parts of ``threshold`` old shares, each with the old share's index.

    Raises :class:`Refusal` ``too-few-shares``, and ``bad-share`` where the parts are of different new shares.
    """
    if len(parts) < threshold:
        raise Refusal("too-few-shares", "fewer parts than are needed", needed=threshold, found=len(parts))
    used = parts[:threshold]
    _check_indices([index for index, _ in used])
    if len({part.point for _, part in used}) != 1:
        raise Refusal("bad-share", "the parts are of different shares")
    value = _at_zero([(index, _number(part.value)) for index, part in used])
    return Share(used[0][1].point, _octets(value))


def _check_indices(indices: Sequence[int]) -> None:
    if len(set(indices)) != len(indices) or not all(0 < index <= MAX_SHARES for index in indices):
        raise Refusal("bad-share", "each share has an index of its own, from 1 to 255")


def _value(coefficients: Sequence[int], at: int) -> int:
    """The polynomial's value, by Horner's rule."""
    return reduce(lambda value, coefficient: _times(value, at) ^ coefficient, reversed(coefficients), 0)


def _at_zero(points: Sequence[tuple[int, int]]) -> int:
    """Lagrange's interpolation at zero; its factors follow from the indices alone."""
    indices = tuple(index for index, _ in points)
    return reduce(xor, (_times(value, _factor(index, indices)) for index, value in points), 0)


@lru_cache(maxsize=1024)
def _factor(mine: int, indices: tuple[int, ...]) -> int:
    others = [index for index in indices if index != mine]
    above = reduce(_product, others, 1)
    below = reduce(_product, (mine ^ index for index in others), 1)
    return _product(above, _inverse(below))


def _times(values: int, factor: int) -> int:
    """Each octet of ``values`` times the public ``factor``."""
    result = 0
    for bit in range(8):
        if factor >> bit & 1:
            result ^= values
        values = (values & _LOW) << 1 ^ (values >> 7 & _ONES) * _REDUCED
    return result


def _product(one: int, other: int) -> int:
    """Two public octets multiplied."""
    return _times(one, other)


def _inverse(octet: int) -> int:
    """The 254th power of a public octet: its squares from the second to the 128th power, multiplied."""
    power, result = octet, 1
    for _ in range(7):
        power = _product(power, power)
        result = _product(result, power)
    return result


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _octets(number: int) -> bytes:
    return number.to_bytes(SIZE, "big")
