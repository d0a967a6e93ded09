"""A public key of small order is nobody's: anyone makes signatures under it, and one fits many messages.

RFC 8032 lets such keys pass.  Evidence must not: whoever has one certified could deny whatever he signed.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class _Curve(NamedTuple):
    """The field of a curve, the size of a coordinate in bits, and y of the points of small order."""

    prime: int
    bits: int
    small: frozenset[int]


_P25519: Final = 2**255 - 19
_P448: Final = 2**448 - 2**224 - 1
#: y of a point of order 8 on edwards25519; the others of that order have it or its negative.
_EIGHTH: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# y is 1 for the neutral element, -1 for the point of order 2, 0 for those of order 4
_CURVES: Final = {
    "ed25519": _Curve(_P25519, 255, frozenset((0, 1, _P25519 - 1, _EIGHTH, _P25519 - _EIGHTH))),
    "ed448": _Curve(_P448, 448, frozenset((0, 1, _P448 - 1))),
}


def is_nobodys(kind: str, key: Any) -> bool:
    """Whether the public ``key`` of ``kind`` has small order, in whatever form its coordinate is written."""
    curve = _CURVES.get(kind)
    if curve is None or not hasattr(key, "public_bytes_raw"):
        return False
    y: int = int.from_bytes(key.public_bytes_raw(), "little") & ((1 << curve.bits) - 1)
    return y % curve.prime in curve.small
