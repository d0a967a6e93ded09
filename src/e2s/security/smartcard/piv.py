"""What a PIV card has, by number: objects, keys, algorithms, rules (NIST SP 800-73-5, 1; SP 800-78-5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

#: The application, whole and without its version (part 1, 2.2).
AID: Final = bytes.fromhex("A000000308000010000100")
RID: Final = AID[:5]

#: References of the holder's PIN and of what unblocks it (part 1, table 4b).
PIN, PUK = 0x80, 0x81

# Objects (part 1, table 3)
DISCOVERY, CHUID, CAPABILITIES, SECURITY, HISTORY = 0x7E, 0x5FC102, 0x5FC107, 0x5FC106, 0x5FC10C
FINGERPRINTS, FACE, PRINTED, IRIS = 0x5FC103, 0x5FC108, 0x5FC109, 0x5FC121
#: Of the key that says where others were made; there is no such object in the standard.
ATTESTATION: Final = 0x5FFF01
#: What the keys are called here, and the certificates of their issuers; E2S's own.
DIRECTORY: Final = 0x5FFF10
#: The card verifiable certificate of its key for secure messaging; E2S's own place for it.
MESSAGING_CERTIFICATE: Final = 0x5FFF12
#: Who signed that (part 1, table 3).
MESSAGING_SIGNER: Final = 0x5FC122
#: The roots that the card judges certificates by, each in an object of its own.
ANCHORS: Final = tuple(range(0x5FFF20, 0x5FFF28))
#: To be read only once the PIN was given.
WITH_PIN: Final = frozenset({FINGERPRINTS, FACE, PRINTED, IRIS})


class Need(Enum):
    """When a key asks for the PIN: never, once in a session, or for each use."""

    NEVER = 1
    ONCE = 2
    ALWAYS = 3


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for a key: its reference, the object of its certificate, and when it asks for the PIN."""

    reference: int
    certificate: int
    need: Need


_RETIRED: Final = tuple(Slot(reference=0x82 + n, certificate=0x5FC10D + n, need=Need.ONCE) for n in range(20))
#: By reference (part 1, table 4b): authentication, signature, key management, card authentication, and keys
#: that were retired from key management.
SLOTS: Final = MappingProxyType(
    {
        slot.reference: slot
        for slot in (
            Slot(reference=0x9A, certificate=0x5FC105, need=Need.ONCE),
            Slot(reference=0x9C, certificate=0x5FC10A, need=Need.ALWAYS),
            Slot(reference=0x9D, certificate=0x5FC10B, need=Need.ONCE),
            Slot(reference=0x9E, certificate=0x5FC101, need=Need.NEVER),
            *_RETIRED,
        )
    }
)
AUTHENTICATION, SIGNATURE, KEY_MANAGEMENT, CARD = 0x9A, 0x9C, 0x9D, 0x9E
#: The key of who personalises the card; the key that secures messages; the key that attests.
MANAGEMENT, MESSAGING, ATTESTING = 0x9B, 0x04, 0xF9

# Algorithms (SP 800-78-5, table 6-2)
TDES, AES128, AES192, AES256 = 0x03, 0x08, 0x0A, 0x0C
RSA2048, RSA3072, P256, P384 = 0x07, 0x05, 0x11, 0x14
#: Cipher suites of secure messaging: P-256 with AES-128, P-384 with AES-256.
CS2, CS7 = 0x27, 0x2E
#: The size of a management key by algorithm.
SYMMETRIC: Final = MappingProxyType({TDES: 24, AES128: 16, AES192: 24, AES256: 32})
#: The modulus in octets.
RSA: Final = MappingProxyType({RSA2048: 256, RSA3072: 384})
#: The size of a coordinate in octets.
CURVES: Final = MappingProxyType({P256: 32, P384: 48})

OBJECTS: Final = frozenset(
    {
        CHUID,
        CAPABILITIES,
        SECURITY,
        HISTORY,
        FINGERPRINTS,
        FACE,
        PRINTED,
        IRIS,
        ATTESTATION,
        MESSAGING_CERTIFICATE,
        MESSAGING_SIGNER,
        DIRECTORY,
        *ANCHORS,
    }
    | {slot.certificate for slot in SLOTS.values()}
)
#: The longest object.
MAX_OBJECT_BYTES: Final = 8 * 1024
