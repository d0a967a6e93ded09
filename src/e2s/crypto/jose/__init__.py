"""JSON Object Signing (RFC 7515, 7517, 7518, 7638, 8037), as far as others' protocols need it.

E2S's own documents are canonical JSON under CMS.  Here the key says which algorithms it may be used with,
never the message: there is no ``none``, and no public key is ever taken for the secret of a MAC.
"""

from e2s.crypto.jose.jwk import jwk_of, key_of_jwk, thumbprint
from e2s.crypto.jose.jws import Signed, check, check_mac, read, sign, sign_mac
from e2s.crypto.jose.objects import read_object

__all__ = [
    "Signed",
    "check",
    "check_mac",
    "jwk_of",
    "key_of_jwk",
    "read",
    "read_object",
    "sign",
    "sign_mac",
    "thumbprint",
]
