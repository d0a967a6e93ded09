"""JSON signatures: the RFCs' own examples, every key and algorithm, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.base.wire import b64u, unb64u
from e2s.crypto import jose
from e2s.crypto.jose import jwk_of, key_of_jwk, thumbprint
from e2s.crypto.jose.jws import ALGORITHMS, algorithms_of, read_document

_RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": _RSA,
}
SECRET = b"a secret of at least 256 bits, that is"

#: RFC 7515, A.2: the key, and the three parts of its message.
A2_KEY = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}
A2 = (
    "eyJhbGciOiJSUzI1NiJ9",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
)
#: RFC 7515, A.3 (ES256) and A.4 (ES512).
A3_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
A3 = (
    "eyJhbGciOiJFUzI1NiJ9",
    A2[1],
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
)
A4_KEY = {
    "kty": "EC",
    "crv": "P-521",
    "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
    "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
}
A4 = (
    "eyJhbGciOiJFUzUxMiJ9",
    "UGF5bG9hZA",
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
)
#: RFC 8037, A.2 and A.4.
ED_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
ED = (
    "eyJhbGciOiJFZERTQSJ9",
    "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
)
#: RFC 7515, A.1.
A1_SECRET = unb64u("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
A1 = ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", A2[1], "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")


def flat(parts: tuple[str, str, str]) -> bytes:
    return json.dumps(dict(zip(("protected", "payload", "signature"), parts, strict=True))).encode()


def rule(act, *arguments, **named) -> str:
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    return caught.value.rule


@pytest.mark.parametrize(
    ("key", "parts"),
    [(A2_KEY, A2), (A3_KEY, A3), (A4_KEY, A4), (ED_KEY, ED)],
    ids=["A.2", "A.3", "A.4", "8037"],
)
def test_the_rfcs_examples_verify_and_altered_ones_do_not(key, parts):
    public = key_of_jwk(key)
    jose.check(jose.read(flat(parts)), public)
    altered = (parts[0], b64u(unb64u(parts[1]) + b"!"), parts[2])
    assert rule(jose.check, jose.read(flat(altered)), public) == "bad-signature"
    short = (parts[0], parts[1], b64u(unb64u(parts[2])[:-1]))
    assert rule(jose.check, jose.read(flat(short)), public) == "bad-signature"
    assert jwk_of(public) == key


def test_the_rfcs_mac_verifies_and_another_secret_does_not():
    jose.check_mac(jose.read(flat(A1)), A1_SECRET)
    assert rule(jose.check_mac, jose.read(flat(A1)), SECRET) == "bad-mac"
    assert rule(jose.check_mac, jose.read(flat(A1)), SECRET[:31]) == "weak-secret"
    with pytest.raises(Misuse, match="weak-secret"):
        jose.sign_mac({}, b"", SECRET[:31])


def test_the_rfcs_thumbprints():
    # RFC 7638, 3.1, whose key has further members; RFC 8037, A.3
    rfc7638 = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert thumbprint(key_of_jwk(rfc7638)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert thumbprint(key_of_jwk(ED_KEY)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("name", KEYS)
def test_what_a_key_signs_is_its_own_and_no_others(name):
    key = KEYS[name]
    made = jose.read(jose.sign({"nonce": "n", "url": "u"}, b"payload", key))
    assert made.header == {"alg": name, "nonce": "n", "url": "u"}
    assert made.payload == b"payload"
    jose.check(made, key_of_jwk(jwk_of(key.public_key())))
    for other, stranger in KEYS.items():
        if other != name:
            assert rule(jose.check, made, stranger.public_key()) in {"wrong-algorithm", "bad-signature"}
    assert rule(jose.check_mac, made, SECRET) == "wrong-algorithm"


def test_pss_is_read():
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    protected = b64u(b'{"alg":"PS256"}')
    signature = _RSA.sign(
        f"{protected}.".encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    )
    jose.check(jose.read(flat((protected, "", b64u(signature)))), _RSA.public_key())


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "HS512", "ES256K", "RS512", "RSA-OAEP"])
def test_the_message_does_not_choose_how_it_is_verified(algorithm):
    """Neither unsigned nor signed by a MAC whose secret is the public key."""
    for key in KEYS.values():
        spki = json.dumps(jwk_of(key.public_key())).encode()
        protected = b64u(json.dumps({"alg": algorithm}).encode())
        forged = jose.read(jose.sign_mac({}, b"x", spki))
        assert rule(jose.check, forged, key.public_key()) == "wrong-algorithm"
        assert rule(jose.check, jose.read(flat((protected, "", ""))), key.public_key()) == "wrong-algorithm"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", "bad-json"),
        (b"[]", "bad-json"),
        (b"{}", "bad-jws"),
        (b'{"payload":"","protected":"e30","signature":1}', "bad-jws"),
        (flat((b64u(b"{}"), "", "")), "bad-jws"),
        (flat((b64u(b'{"alg":1}'), "", "")), "bad-jws"),
        (flat((b64u(b'{"alg":"ES256","alg":"none"}'), "", "")), "bad-json"),
        (flat((b64u(b'{"alg":"ES256","crit":["b64"],"b64":false}'), "", "")), "bad-jws"),
        (flat((b64u(b'{"alg":"ES256","b64":true}'), "", "")), "bad-jws"),
        (flat((b64u(b'{"alg":"ES256"}') + "=", "", "")), "bad-base64"),
        (flat((b64u(b'{"alg":"ES256"}'), "AB", "")), "bad-base64"),
        (flat((b64u(b'{"alg":"ES256"}'), "", "\u00e9")), "bad-base64"),
        (b'{"protected":"e30","payload":"","signature":"","header":{}}', "bad-jws"),
        (b'{"protected":"e30","payload":"","signature":"","signatures":[]}', "bad-jws"),
        (b'{"protected":"e30","payload":"","payload":"","signature":""}', "bad-json"),
        (b" " * 70_000, "too-large"),
        (b"[" * 5000, "too-large"),
    ],
)
def test_what_is_no_message_is_refused(octets, expected):
    assert rule(jose.read, octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b'{"a":1.5}', "bad-json"),
        (b'{"a":NaN}', "bad-json"),
        (b'{"a":1e400}', "bad-json"),
        (b'{"a":9007199254740992}', "bad-json"),
        (b'{"a":"\\ud800"}', "bad-json"),
        (b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", "bad-json"),
        (b'{"a":1,"a":2}', "bad-json"),
        (b'{"a":{"b":1,"b":1}}', "bad-json"),
        (b"\xef\xbb\xbf{}", "bad-json"),
        (b"\xff", "bad-json"),
        (b"{} {}", "bad-json"),
    ],
)
def test_json_that_two_may_read_differently_is_refused(octets, expected):
    assert rule(jose.read_object, octets) == expected


def test_text_of_a_member_is_bounded():
    from e2s.crypto.jose.objects import text_of

    assert text_of({"a": "x"}, "a") == "x"
    assert {rule(text_of, one, "a", 3) for one in ({}, {"a": 1}, {"a": "xxxx"}, {"a": None})} == {
        "bad-member"
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kty": "oct", "k": "AA"}, "private-jwk"),
        ({"kty": "oct"}, "key-not-supported"),
        ({"kty": ["EC"]}, "key-not-supported"),
        ({"d": "AA"}, "private-jwk"),
        ({"crv": "secp256k1"}, "key-not-supported"),
        ({"crv": None}, "key-not-supported"),
        ({"crv": "P-384"}, "bad-jwk"),
        ({"x": b64u(bytes(31))}, "bad-jwk"),
        ({"x": b64u(bytes(32))}, "bad-jwk"),
        ({"x": None}, "bad-jwk"),
        ({"x": "A" * 5000}, "bad-jwk"),
        ({"x": A3_KEY["x"] + "="}, "bad-base64"),
        ({"kty": "OKP", "crv": "X25519"}, "key-not-supported"),
        ({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, "bad-jwk"),
        ({"kty": "RSA"}, "bad-jwk"),
        ({"kty": "RSA", "n": b64u(b"\x80" + bytes(127)), "e": "AQAB"}, "key-not-supported"),
        ({"kty": "RSA", "n": A2_KEY["n"], "e": "AA"}, "bad-jwk"),
        ({"kty": "RSA", "n": A2_KEY["n"], "e": "AQ"}, "bad-jwk"),
        ({"kty": "RSA", "n": A2_KEY["n"], "e": "AAEAAQ"}, "bad-jwk"),
        ({"kty": "RSA", "n": A2_KEY["n"], "e": b64u(b"\x01" + bytes(7) + b"\x01")}, "bad-jwk"),
        ({"kty": "RSA", "n": b64u(b"\x80" + bytes(255)), "e": "AQAB"}, "bad-jwk"),
    ],
)
def test_a_key_that_is_none_is_refused(change, expected):
    assert rule(key_of_jwk, {**A3_KEY, **change}) == expected
    assert rule(key_of_jwk, [A3_KEY]) == "bad-jwk"


def test_a_key_without_a_form_here_is_misuse():
    key = ed448.Ed448PrivateKey.generate()
    curve = ec.generate_private_key(ec.SECP256K1())
    for one in (key, curve):
        with pytest.raises(Misuse, match="key-not-supported"):
            jwk_of(one.public_key())
        with pytest.raises(Misuse, match="key-not-supported"):
            jose.sign({}, b"", one)
        assert algorithms_of(one) == ()


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name not in {"alg", "crit", "b64"}),
        st.integers(0, 9),
        max_size=4,
    ),
    st.binary(max_size=64),
)
def test_what_was_signed_reads_back(header, payload):
    header = {name: value for name, value in header.items() if name.isascii()}
    made = jose.sign_mac(header, payload, SECRET)
    signed = jose.read(made)
    assert signed.header == {**header, "alg": "HS256"}
    assert signed.payload == payload
    jose.check_mac(signed, SECRET)
    again = read_document(json.loads(made))
    assert again == signed


@given(st.binary(max_size=200))
def test_garbage_is_refused(octets):
    for read in (jose.read, jose.read_object):
        try:
            read(octets)
        except Refusal as refusal:
            assert refusal.rule in {"bad-json", "bad-jws", "bad-base64", "too-large"}


def test_every_algorithm_has_keys():
    assert {one for key in KEYS.values() for one in algorithms_of(key)} == set(ALGORITHMS)
