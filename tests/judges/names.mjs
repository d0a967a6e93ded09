// Object identifiers, each with the clause that gives it.

export const CMS = {
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2", // RFC 5652, 5.1
  envelopedData: "1.2.840.113549.1.7.3", // RFC 5652, 6.1
  authEnvelopedData: "1.2.840.113549.1.9.16.1.23", // RFC 5083, 2.1
  kemRecipient: "1.2.840.113549.1.9.16.13.3", // RFC 9629, 3
};

export const ATTRIBUTE = {
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  algorithmProtection: "1.2.840.113549.1.9.52", // RFC 6211
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47", // RFC 5035, 3
  multipleSignatures: "1.2.840.113549.1.9.16.2.51", // RFC 5752, 3
};

export const DIGEST = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
  "2.16.840.1.101.3.4.2.8": "sha3-256",
  "2.16.840.1.101.3.4.2.9": "sha3-384",
  "2.16.840.1.101.3.4.2.10": "sha3-512",
  "2.16.840.1.101.3.4.2.11": "shake128", // RFC 8702, 3.1: 256 bits
  "2.16.840.1.101.3.4.2.12": "shake256", // RFC 8702, 3.1: 512 bits
  "2.16.840.1.101.3.4.2.18": "shake256-len", // RFC 8419, 2.3
};

export const KEY = {
  "1.2.840.10045.2.1": "ec",
  "1.2.840.113549.1.1.1": "rsa",
  "1.2.840.113549.1.1.10": "rsa-pss",
  "1.3.101.110": "x25519", // RFC 8410, 3
  "1.3.101.111": "x448",
  "1.3.101.112": "ed25519",
  "1.3.101.113": "ed448",
  "2.16.840.1.101.3.4.3.17": "ml-dsa-44", // RFC 9881, 2
  "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
  "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
  "2.16.840.1.101.3.4.4.1": "ml-kem-512", // RFC 9935, 3
  "2.16.840.1.101.3.4.4.2": "ml-kem-768",
  "2.16.840.1.101.3.4.4.3": "ml-kem-1024",
};

export const CURVE = {
  "1.2.840.10045.3.1.7": "p256",
  "1.3.132.0.34": "p384",
  "1.3.132.0.35": "p521",
};

/** Signature algorithms that are not named like their keys: `[key, digest]`. */
export const SIGNATURE = {
  "1.2.840.10045.4.3.2": ["ec", "sha256"],
  "1.2.840.10045.4.3.3": ["ec", "sha384"],
  "1.2.840.10045.4.3.4": ["ec", "sha512"],
  "1.2.840.113549.1.1.11": ["rsa", "sha256"],
  "1.2.840.113549.1.1.12": ["rsa", "sha384"],
  "1.2.840.113549.1.1.13": ["rsa", "sha512"],
  "1.2.840.113549.1.1.10": ["rsa-pss", null],
};

/** Key agreement schemes: `[derivation, digest]`. */
export const AGREEMENT = {
  "1.3.132.1.11.1": ["x963", "sha256"], // RFC 5753, 7.1.4
  "1.3.132.1.11.2": ["x963", "sha384"],
  "1.3.132.1.11.3": ["x963", "sha512"],
  "1.2.840.113549.1.9.16.3.19": ["hkdf", "sha256"], // RFC 8418, 2.2
  "1.2.840.113549.1.9.16.3.20": ["hkdf", "sha384"],
  "1.2.840.113549.1.9.16.3.21": ["hkdf", "sha512"],
};

/** Derivations of KEMRecipientInfo (RFC 8619). */
export const DERIVATION = {
  "1.2.840.113549.1.9.16.3.28": "sha256",
  "1.2.840.113549.1.9.16.3.29": "sha384",
  "1.2.840.113549.1.9.16.3.30": "sha512",
};

/** AES key wraps (RFC 3565, 2.3.2): octets of the key that wraps. */
export const WRAP = {
  "2.16.840.1.101.3.4.1.5": 16,
  "2.16.840.1.101.3.4.1.25": 24,
  "2.16.840.1.101.3.4.1.45": 32,
};

/** Content encryption: `[mode, octets of the key]`. */
export const CONTENT = {
  "2.16.840.1.101.3.4.1.2": ["cbc", 16],
  "2.16.840.1.101.3.4.1.22": ["cbc", 24],
  "2.16.840.1.101.3.4.1.42": ["cbc", 32],
  "2.16.840.1.101.3.4.1.6": ["gcm", 16],
  "2.16.840.1.101.3.4.1.26": ["gcm", 24],
  "2.16.840.1.101.3.4.1.46": ["gcm", 32],
};

export const RSA = "1.2.840.113549.1.1.1";
export const RSA_OAEP = "1.2.840.113549.1.1.7";
export const RSA_PSS = "1.2.840.113549.1.1.10";
export const MGF1 = "1.2.840.113549.1.1.8";

/** The identifier in `table` whose value is `wanted`. */
export function named(table, wanted) {
  const text = JSON.stringify(wanted);
  const found = Object.entries(table).find(([, value]) => JSON.stringify(value) === text);
  if (!found) throw new Error(`no identifier for ${text}`);
  return found[0];
}
