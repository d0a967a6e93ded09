"""The expanded form of an ML-DSA or ML-KEM private key, from its seed (FIPS 204, 6.1; FIPS 203, 7.1).

Nothing signs or opens with it: it is only compared with the one that stands beside a seed in a file, as RFC
9881, 8.1 and RFC 9935, 8 ask of whoever reads both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha3_256, sha3_512, shake_128, shake_256
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

_N: Final = 256
_Poly: TypeAlias = list[int]


class _Signing(NamedTuple):
    """Rows and columns of the matrix, and how large a secret's coefficients are (FIPS 204, 4)."""

    rows: int
    columns: int
    eta: int


_SIGNING: Final = MappingProxyType(
    {"ml-dsa-44": _Signing(4, 4, 2), "ml-dsa-65": _Signing(6, 5, 4), "ml-dsa-87": _Signing(8, 7, 2)}
)
#: Ranks (FIPS 203, 8); secrets of both have coefficients of at most two.
_SEALING: Final = MappingProxyType({"ml-kem-768": 3, "ml-kem-1024": 4})

#: Octets of the seed, by kind.
SEEDS: Final[Mapping[str, int]] = MappingProxyType(dict.fromkeys(_SIGNING, 32) | dict.fromkeys(_SEALING, 64))


def expanded(kind: str, seed: bytes, public: bytes) -> bytes:
    """The expanded private key of ``seed``, whose public key has the octets ``public``."""
    if kind in _SIGNING:
        return _signing(_SIGNING[kind], seed, public)
    return _sealing(_SEALING[kind], seed, public)


# ML-DSA

_Q: Final = 8380417
_DROPPED: Final = 13


def _signing(of: _Signing, seed: bytes, public: bytes) -> bytes:
    """What KeyGen makes, as skEncode writes it (FIPS 204, algorithms 6 and 24)."""
    stream = shake_256(seed + bytes((of.rows, of.columns))).digest(128)
    rho, secret, key = stream[:32], stream[32:96], stream[96:]
    vectors = [_bounded(secret, n, of.eta) for n in range(of.columns + of.rows)]
    first, second = vectors[: of.columns], vectors[of.columns :]
    transformed = [_ntt(one) for one in first]
    low: list[_Poly] = []
    for row in range(of.rows):
        total = [0] * _N
        for column, one in enumerate(transformed):
            uniform = _uniform(rho + bytes((column, row)))
            total = [(t + a * b) % _Q for t, a, b in zip(total, uniform, one, strict=True)]
        added = [(a + b) % _Q for a, b in zip(_inverse(total), second[row], strict=True)]
        low.append([_low(one) for one in added])
    small = 3 if of.eta == 2 else 4
    return b"".join(
        (
            rho,
            key,
            shake_256(public).digest(64),
            *(_packed([of.eta - one for one in poly], small) for poly in vectors),
            *(_packed([(1 << _DROPPED - 1) - one for one in poly], _DROPPED) for poly in low),
        )
    )


def _low(number: int) -> int:
    """What Power2Round takes off (algorithm 35)."""
    low = number % (1 << _DROPPED)
    return low - (1 << _DROPPED) if low > 1 << _DROPPED - 1 else low


def _bounded(secret: bytes, place: int, eta: int) -> _Poly:
    """RejBoundedPoly: coefficients from -eta to eta (algorithm 31)."""
    found: _Poly = []
    for octet in shake_256(secret + place.to_bytes(2, "little")).digest(1024):
        for half in (octet & 15, octet >> 4):
            if half < (15 if eta == 2 else 9) and len(found) < _N:
                found.append(2 - half % 5 if eta == 2 else 4 - half)
    return found


def _uniform(seed: bytes) -> _Poly:
    """RejNTTPoly: coefficients below q, in the order of the transform (algorithm 30)."""
    stream = shake_128(seed).digest(3 * 512)
    numbers = (int.from_bytes(stream[at : at + 3], "little") & 0x7FFFFF for at in range(0, len(stream), 3))
    return [number for number in numbers if number < _Q][:_N]


def _reversed(number: int, bits: int) -> int:
    return int(f"{number:0{bits}b}"[::-1], 2)


_ZETAS: Final = tuple(pow(1753, _reversed(n, 8), _Q) for n in range(_N))


def _ntt(poly: Sequence[int]) -> _Poly:
    """The transform (algorithm 41)."""
    found, place, length = list(poly), 0, 128
    while length:
        for start in range(0, _N, 2 * length):
            place += 1
            zeta = _ZETAS[place]
            for n in range(start, start + length):
                turned = zeta * found[n + length] % _Q
                found[n + length] = (found[n] - turned) % _Q
                found[n] = (found[n] + turned) % _Q
        length //= 2
    return found


def _inverse(poly: Sequence[int]) -> _Poly:
    """Its inverse (algorithm 42)."""
    found, place, length = list(poly), _N, 1
    while length < _N:
        for start in range(0, _N, 2 * length):
            place -= 1
            zeta = -_ZETAS[place]
            for n in range(start, start + length):
                here, there = found[n], found[n + length]
                found[n] = (here + there) % _Q
                found[n + length] = zeta * (here - there) % _Q
        length *= 2
    return [8347681 * one % _Q for one in found]


def _packed(numbers: Sequence[int], bits: int) -> bytes:
    """Numbers of so many bits each, the lowest first (FIPS 204, algorithm 16; FIPS 203, algorithm 5)."""
    whole = sum(number << bits * place for place, number in enumerate(numbers))
    return whole.to_bytes(bits * len(numbers) // 8, "little")


# ML-KEM

_KEM_Q: Final = 3329
_KEM_ZETAS: Final = tuple(pow(17, _reversed(n, 7), _KEM_Q) for n in range(128))


def _sealing(rank: int, seed: bytes, public: bytes) -> bytes:
    """The decapsulation key of KeyGen_internal (FIPS 203, algorithms 13 and 16)."""
    secret = sha3_512(seed[:32] + bytes((rank,))).digest()[32:]
    polys = [_kem_ntt(list(_binomial(shake_256(secret + bytes((n,))).digest(128)))) for n in range(rank)]
    return b"".join((*(_packed(poly, 12) for poly in polys), public, sha3_256(public).digest(), seed[32:]))


def _binomial(stream: bytes) -> Iterator[int]:
    """SamplePolyCBD with eta = 2 (algorithm 8)."""
    for octet in stream:
        for half in (octet & 15, octet >> 4):
            yield ((half & 1) + (half >> 1 & 1) - (half >> 2 & 1) - (half >> 3)) % _KEM_Q


def _kem_ntt(poly: Sequence[int]) -> _Poly:
    """The transform (algorithm 9)."""
    found, place, length = list(poly), 0, 128
    while length > 1:
        for start in range(0, _N, 2 * length):
            place += 1
            zeta = _KEM_ZETAS[place]
            for n in range(start, start + length):
                turned = zeta * found[n + length] % _KEM_Q
                found[n + length] = (found[n] - turned) % _KEM_Q
                found[n] = (found[n] + turned) % _KEM_Q
        length //= 2
    return found
