"""Every object identifier in one place: E2S's own arc and those of the standards it speaks."""

from __future__ import annotations

from typing import Final

#: E2S's arc (X.667: a UUID needs no registration).
ARC: Final = "2.25.173062963162883804770210950185170896232"

#: Content types (protocol, section 1 and 9.7).
ACT: Final = f"{ARC}.1"
PLAIN_PI: Final = f"{ARC}.5.1"
PLAIN_SI: Final = f"{ARC}.5.2"
PLAIN_LI: Final = f"{ARC}.5.3"
PLAIN_PARCEL: Final = f"{ARC}.5.4"

#: Roles of signing keys (``E.2.n``) and agreement keys (``E.4.n``): one numbering for both.
ROLES: Final = {
    "buyer-session": 1,
    "buyer": 2,
    "card-holder": 3,
    "merchant": 4,
    "merchant-payment": 5,
    "gateway": 6,
    "issuer": 7,
    "manager": 8,
    "catalogue": 9,
    "officer": 10,
}
SIGNING: Final = {role: f"{ARC}.2.{number}" for role, number in ROLES.items()}
AGREEMENT: Final = {role: f"{ARC}.4.{number}" for role, number in ROLES.items()}
#: How far a certificate may be relied on, as policies (document 6.1.1: level of confidence).
CONFIDENCE: Final = {"low": f"{ARC}.6.2.1", "substantial": f"{ARC}.6.2.2", "high": f"{ARC}.6.2.3"}
#: EKU of components' certificates.
COMPONENT: Final = f"{ARC}.2.20"
#: The same of those to which something is sealed.
COMPONENT_AGREEMENT: Final = f"{ARC}.4.20"
#: Extension of a card-holder's certificate: a commitment to the card number (OCTET STRING, 32 bytes).
PAN_COMMIT: Final = f"{ARC}.3.1"

# CMS (RFC 5652, 5083, 5084, 5035, 6211)
DATA: Final = "1.2.840.113549.1.7.1"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
ENVELOPED_DATA: Final = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA: Final = "1.2.840.113549.1.9.16.1.23"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
ALGORITHM_PROTECTION: Final = "1.2.840.113549.1.9.52"

# Time stamps (RFC 3161)
TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"

# Digests and signatures (RFC 5754, 5758)
SHA256: Final = "2.16.840.1.101.3.4.2.1"
SHA384: Final = "2.16.840.1.101.3.4.2.2"
SHA512: Final = "2.16.840.1.101.3.4.2.3"
ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
ECDSA_SHA384: Final = "1.2.840.10045.4.3.3"
ECDSA_SHA512: Final = "1.2.840.10045.4.3.4"
RSA: Final = "1.2.840.113549.1.1.1"
RSA_SHA256: Final = "1.2.840.113549.1.1.11"
RSA_SHA384: Final = "1.2.840.113549.1.1.12"
RSA_SHA512: Final = "1.2.840.113549.1.1.13"

# Key agreement, transport and content encryption (RFC 5753, 4055, 3565, 5084)
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
P256: Final = "1.2.840.10045.3.1.7"
P384: Final = "1.3.132.0.34"
STD_DH_SHA1: Final = "1.3.133.16.840.63.0.2"
STD_DH_SHA256: Final = "1.3.132.1.11.1"
STD_DH_SHA384: Final = "1.3.132.1.11.2"
STD_DH_SHA512: Final = "1.3.132.1.11.3"
RSA_OAEP: Final = "1.2.840.113549.1.1.7"
MGF1: Final = "1.2.840.113549.1.1.8"
AES256_WRAP: Final = "2.16.840.1.101.3.4.1.45"
AES256_GCM: Final = "2.16.840.1.101.3.4.1.46"
AES256_CBC: Final = "2.16.840.1.101.3.4.1.42"

# Old peers' content encryption and key wrap (RFC 3565, 4.1; RFC 5084, 3.2; RFC 4055, 2.2 and 4.1)
AES128_CBC: Final = "2.16.840.1.101.3.4.1.2"
AES192_CBC: Final = "2.16.840.1.101.3.4.1.22"
AES128_GCM: Final = "2.16.840.1.101.3.4.1.6"
AES192_GCM: Final = "2.16.840.1.101.3.4.1.26"
AES128_WRAP: Final = "2.16.840.1.101.3.4.1.5"
AES192_WRAP: Final = "2.16.840.1.101.3.4.1.25"
SHA1: Final = "1.3.14.3.2.26"
SHA224: Final = "2.16.840.1.101.3.4.2.4"
P_SPECIFIED: Final = "1.2.840.113549.1.1.9"

# Other curves (RFC 5480, 2.1.1.1; RFC 8410, 3), derivation by HKDF (RFC 8418, 2.3; RFC 8619, 3)
P521: Final = "1.3.132.0.35"
X25519: Final = "1.3.101.110"
X448: Final = "1.3.101.111"
STD_DH_SHA224: Final = "1.3.132.1.11.0"
COFACTOR_DH_SHA1: Final = "1.3.133.16.840.63.0.3"
COFACTOR_DH_SHA224: Final = "1.3.132.1.14.0"
COFACTOR_DH_SHA256: Final = "1.3.132.1.14.1"
COFACTOR_DH_SHA384: Final = "1.3.132.1.14.2"
COFACTOR_DH_SHA512: Final = "1.3.132.1.14.3"
STD_DH_HKDF_SHA256: Final = "1.2.840.113549.1.9.16.3.19"
STD_DH_HKDF_SHA384: Final = "1.2.840.113549.1.9.16.3.20"
STD_DH_HKDF_SHA512: Final = "1.2.840.113549.1.9.16.3.21"
HKDF_SHA256: Final = "1.2.840.113549.1.9.16.3.28"
HKDF_SHA384: Final = "1.2.840.113549.1.9.16.3.29"
HKDF_SHA512: Final = "1.2.840.113549.1.9.16.3.30"

# Key encapsulation (RFC 9629, 3; RFC 9936, 3)
ORI_KEM: Final = "1.2.840.113549.1.9.16.13.3"
ML_KEM_512: Final = "2.16.840.1.101.3.4.4.1"
ML_KEM_768: Final = "2.16.840.1.101.3.4.4.2"
ML_KEM_1024: Final = "2.16.840.1.101.3.4.4.3"

# Extended key usages (RFC 5280, 4.2.1.12)
EKU_SERVER: Final = "1.3.6.1.5.5.7.3.1"
EKU_CLIENT: Final = "1.3.6.1.5.5.7.3.2"
EKU_CODE: Final = "1.3.6.1.5.5.7.3.3"
EKU_EMAIL: Final = "1.3.6.1.5.5.7.3.4"
EKU_TIME_STAMPING: Final = "1.3.6.1.5.5.7.3.8"
EKU_OCSP: Final = "1.3.6.1.5.5.7.3.9"
# RFC 9336, 3.2
EKU_DOCUMENT: Final = "1.3.6.1.5.5.7.3.36"

# Extensions of certificates and what stands in them (RFC 5280, 4.2; RFC 6960, 4.2.2.2.1)
SUBJECT_KEY_ID: Final = "2.5.29.14"
KEY_USAGE: Final = "2.5.29.15"
SUBJECT_ALT_NAME: Final = "2.5.29.17"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
NAME_CONSTRAINTS: Final = "2.5.29.30"
CRL_POINTS: Final = "2.5.29.31"
CERTIFICATE_POLICIES: Final = "2.5.29.32"
ANY_POLICY: Final = "2.5.29.32.0"
POLICY_MAPPINGS: Final = "2.5.29.33"
AUTHORITY_KEY_ID: Final = "2.5.29.35"
POLICY_CONSTRAINTS: Final = "2.5.29.36"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
FRESHEST_CRL: Final = "2.5.29.46"
INHIBIT_ANY: Final = "2.5.29.54"
AUTHORITY_INFO: Final = "1.3.6.1.5.5.7.1.1"
CPS: Final = "1.3.6.1.5.5.7.2.1"
ACCESS_OCSP: Final = "1.3.6.1.5.5.7.48.1"
ACCESS_ISSUERS: Final = "1.3.6.1.5.5.7.48.2"
OCSP_NOCHECK: Final = "1.3.6.1.5.5.7.48.1.5"
# A request's attributes (RFC 2985, 5.4.2; RFC 9883, 4)
EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
POSSESSION_STATEMENT: Final = "1.3.6.1.4.1.22112.2.1"
# The same: RFC 2985, 5.4.1; RFC 7030, 4.4.1
CHALLENGE_PASSWORD: Final = "1.2.840.113549.1.9.7"  # noqa: S105 - the name of one
DECRYPT_KEY_ID: Final = "1.2.840.113549.1.9.16.2.37"
ASYMMETRIC_DECRYPT_KEY_ID: Final = "1.2.840.113549.1.9.16.2.54"
# Keys on their way (RFC 5958, 2)
KEY_PACKAGE: Final = "2.16.840.1.101.2.1.2.78.5"

# Attributes of distinguished names (X.520)
COMMON_NAME: Final = "2.5.4.3"
ORGANISATION: Final = "2.5.4.10"
ORGANISATIONAL_UNIT: Final = "2.5.4.11"

# Further attributes and content types of CMS (RFC 5652, 11.4; RFC 2634, 2 and 3.4; RFC 8551, 2.5; RFC 3274)
COUNTERSIGNATURE: Final = "1.2.840.113549.1.9.6"
RECEIPT_REQUEST: Final = "1.2.840.113549.1.9.16.2.1"
MESSAGE_SIGNATURE_DIGEST: Final = "1.2.840.113549.1.9.16.2.5"
CONTENT_IDENTIFIER: Final = "1.2.840.113549.1.9.16.2.7"
RECEIPT: Final = "1.2.840.113549.1.9.16.1.1"
SMIME_CAPABILITIES: Final = "1.2.840.113549.1.9.15"
COMPRESSED_DATA: Final = "1.2.840.113549.1.9.16.1.9"
ZLIB_COMPRESSION: Final = "1.2.840.113549.1.9.16.3.8"

# Further signatures and their digests (RFC 8410, 3; RFC 9881, 2; RFC 4055, 3; RFC 8419, 2.3; RFC 8702, 3.1)
ED25519: Final = "1.3.101.112"
ED448: Final = "1.3.101.113"
ML_DSA_44: Final = "2.16.840.1.101.3.4.3.17"
ML_DSA_65: Final = "2.16.840.1.101.3.4.3.18"
ML_DSA_87: Final = "2.16.840.1.101.3.4.3.19"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
SHA3_256: Final = "2.16.840.1.101.3.4.2.8"
SHA3_384: Final = "2.16.840.1.101.3.4.2.9"
SHA3_512: Final = "2.16.840.1.101.3.4.2.10"
SHAKE256: Final = "2.16.840.1.101.3.4.2.12"
SHAKE256_LEN: Final = "2.16.840.1.101.3.4.2.18"
# Signatures side by side (RFC 5752, 3)
MULTIPLE_SIGNATURES: Final = "1.2.840.113549.1.9.16.2.51"

# Old signatures that are only judged (RFC 3279, 2.2.2 and 2.3.2; RFC 5758, 3.1)
DSA: Final = "1.2.840.10040.4.1"
DSA_SHA1: Final = "1.2.840.10040.4.3"
DSA_SHA224: Final = "2.16.840.1.101.3.4.3.1"
DSA_SHA256: Final = "2.16.840.1.101.3.4.3.2"

# Keys sealed under a pass phrase (RFC 8018, A.2 to A.4, B.1.2; RFC 7914, 7)
PBKDF2: Final = "1.2.840.113549.1.5.12"
PBES2: Final = "1.2.840.113549.1.5.13"
SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"
HMAC_SHA1: Final = "1.2.840.113549.2.7"
HMAC_SHA256: Final = "1.2.840.113549.2.9"
HMAC_SHA384: Final = "1.2.840.113549.2.10"
HMAC_SHA512: Final = "1.2.840.113549.2.11"

# Messages protected by a password (RFC 4211, 4.4; RFC 9045; RFC 8018, A.5)
PASSWORD_MAC: Final = "1.2.840.113533.7.66.13"  # noqa: S105 - the name of one
PBMAC1: Final = "1.2.840.113549.1.5.14"
HMAC_SHA1_OLD: Final = "1.3.6.1.5.5.8.1.2"

# Certificate management (RFC 9810, F; RFC 4211, 6 and 7; RFC 9810, 4.5)
CMP_INFORMATION: Final = "1.3.6.1.5.5.7.4"
CRMF_CONTROLS: Final = "1.3.6.1.5.5.7.5.1"
EKU_CMC_RA: Final = "1.3.6.1.5.5.7.3.28"
REASON_CODE: Final = "2.5.29.21"

# Attributes of SCEP's messages (RFC 8894, 3.2.1)
SCEP_MESSAGE_TYPE: Final = "2.16.840.1.113733.1.9.2"
SCEP_PKI_STATUS: Final = "2.16.840.1.113733.1.9.3"
SCEP_FAIL_INFO: Final = "2.16.840.1.113733.1.9.4"
SCEP_SENDER_NONCE: Final = "2.16.840.1.113733.1.9.5"
SCEP_RECIPIENT_NONCE: Final = "2.16.840.1.113733.1.9.6"
SCEP_TRANSACTION: Final = "2.16.840.1.113733.1.9.7"
SCEP_FAIL_TEXT: Final = "1.3.6.1.5.5.7.24.1"
