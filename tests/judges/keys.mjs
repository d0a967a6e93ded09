// Keys and what they do.  Curves and lattices come from @noble, RSA and AES from Node.

import { createHash, createPrivateKey, createPublicKey, constants, privateDecrypt, publicEncrypt } from "node:crypto";
import { createCipheriv, createDecipheriv, randomBytes, sign as nodeSign, verify as nodeVerify } from "node:crypto";
import { ed25519, x25519 } from "@noble/curves/ed25519";
import { ed448, x448 } from "@noble/curves/ed448";
import { p256, p384, p521 } from "@noble/curves/nist";
import { extract, expand } from "@noble/hashes/hkdf";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2";
import { sha3_256, sha3_384, sha3_512, shake128, shake256 } from "@noble/hashes/sha3";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa";
import { ml_kem512, ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem";
import { check, Bad, algorithm, explicit, integer, joined, nothing, oid, read, readAlgorithm, same, sequence } from "./octets.mjs";
import { CURVE, DIGEST, KEY, MGF1, RSA, RSA_PSS, SIGNATURE, WRAP, named } from "./names.mjs";

const NIST = { p256, p384, p521 };
const EDWARDS = { ed25519, ed448 };
const MONTGOMERY = { x25519, x448 };
const ML_DSA = { "ml-dsa-44": ml_dsa44, "ml-dsa-65": ml_dsa65, "ml-dsa-87": ml_dsa87 };
const ML_KEM = { "ml-kem-512": ml_kem512, "ml-kem-768": ml_kem768, "ml-kem-1024": ml_kem1024 };
const HASH = { sha256, sha384, sha512, "sha3-256": sha3_256, "sha3-384": sha3_384, "sha3-512": sha3_512 };
const RSA_DIGESTS = { sha256: 32, sha384: 48, sha512: 64 };

// ---- digests

/** The digest that an AlgorithmIdentifier names, its parameters being those of its clause. */
export function readDigest(element) {
  const { oid: name, parameters, raw } = readAlgorithm(element);
  const digest = DIGEST[name];
  check(digest !== undefined, `the digest ${name} is unknown`);
  if (digest === "shake256-len") {
    // RFC 8419, 2.3: the length in bits, 512
    check(parameters?.number === 512, "id-shake256-len of other than 512 bits");
  } else if (digest.startsWith("sha256") || digest.startsWith("sha384") || digest.startsWith("sha512")) {
    // RFC 5754, 2: absent when written, NULL is read too
    check(parameters === undefined || parameters.tag === 0x05, "a digest with parameters");
  } else check(parameters === undefined, "a digest with parameters");
  return { digest, raw, absent: parameters === undefined };
}

export function digestAlgorithm(digest) {
  const name = named(DIGEST, digest);
  return digest === "shake256-len" ? algorithm(name, integer(512)) : algorithm(name);
}

export function hash(digest, octets) {
  if (digest === "shake128") return shake128(octets, { dkLen: 32 });
  if (digest.startsWith("shake256")) return shake256(octets, { dkLen: 64 });
  return HASH[digest](octets);
}

// ---- public keys

/** `{kind, curve, octets, spki}` of a SubjectPublicKeyInfo. */
export function readPublicKey(spki) {
  const [head, body] = read(spki).inside(0x30);
  const { oid: name, parameters } = readAlgorithm(head);
  const kind = KEY[name];
  check(kind !== undefined, `the key ${name} is unknown`);
  if (kind === "ec") {
    const curve = CURVE[parameters.oid];
    check(curve !== undefined, "the curve is unknown");
    return { kind, curve, octets: body.bits, spki };
  }
  // RFC 8410, 3; RFC 9881, 2; RFC 9935, 3: parameters are absent
  if (!kind.startsWith("rsa")) check(parameters === undefined, `a ${kind} key with parameters`);
  return { kind, octets: body.bits, spki };
}

// ---- private keys (RFC 5958)

export function readPrivateKey(pkcs8) {
  const [version, head, body, ...more] = read(pkcs8).inside(0x30);
  const { oid: name, parameters } = readAlgorithm(head);
  const kind = KEY[name];
  check(kind !== undefined, `the key ${name} is unknown`);
  check(version.number === (more.some((one) => one.tag === 0x81) ? 1 : 0), "version of a private key");
  if (kind.startsWith("rsa")) return { kind, node: createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }) };
  if (kind === "ec") {
    const curve = CURVE[parameters.oid];
    return { kind, curve, octets: read(body.octets).inside(0x30)[1].octets };
  }
  check(parameters === undefined, `a ${kind} key with parameters`);
  const inner = read(body.octets);
  if (kind.startsWith("ml-")) return { kind, octets: latticeKey(kind, inner) };
  return { kind, octets: inner.octets };
}

// RFC 9881, 6 and RFC 9935, 6: a seed, an expanded key, or both, which must then agree.
function latticeKey(kind, inner) {
  const scheme = ML_DSA[kind] ?? ML_KEM[kind];
  if (inner.tag === 0x80) return scheme.keygen(inner.content).secretKey;
  if (inner.tag === 0x04) return inner.octets;
  const [seed, expanded, more] = inner.inside(0x30);
  check(more === undefined, "a private key with more than seed and expansion");
  const made = scheme.keygen(seed.octets).secretKey;
  check(same(made, expanded.octets), "seed and expanded key do not agree");
  return made;
}

/** The raw public key of a seed or scalar, to check that the halves of a pair agree. */
export function publicOctets(pkcs8) {
  const key = readPrivateKey(pkcs8);
  if (key.kind === "ec") return NIST[key.curve].getPublicKey(key.octets, false);
  if (key.node) return readPublicKey(new Uint8Array(createPublicKey(key.node).export({ format: "der", type: "spki" }))).octets;
  const curve = EDWARDS[key.kind] ?? MONTGOMERY[key.kind];
  if (curve) return curve.getPublicKey(key.octets);
  const inner = read(read(pkcs8).inside(0x30)[2].octets);
  check(inner.tag !== 0x04, "an expanded key alone does not give its public half here");
  const seed = inner.tag === 0x80 ? inner.content : inner.inside(0x30)[0].octets;
  return (ML_DSA[key.kind] ?? ML_KEM[key.kind]).keygen(seed).publicKey;
}

// ---- signatures

/** Parameters of RSASSA-PSS (RFC 4055, 3.1): `{digest, salt}`; only one digest for both uses. */
export function readPss(parameters) {
  check(parameters !== undefined, "RSASSA-PSS without parameters");
  const fields = Object.fromEntries(parameters.inside(0x30).map((one) => [one.tag & 0x1f, one.inside()[0]]));
  check(fields[0] && fields[1], "RSASSA-PSS with SHA-1");
  const { digest } = readDigest(fields[0]);
  const mask = readAlgorithm(fields[1]);
  check(mask.oid === MGF1 && readDigest(mask.parameters).digest === digest, "RSASSA-PSS with another mask");
  check(fields[3] === undefined, "RSASSA-PSS with a trailer field, which is the default");
  return { digest, salt: fields[2] ? fields[2].number : 20 };
}

// RFC 4055, 2.1: in these parameters the digests are written with NULL.
export function pssAlgorithm(digest, salt) {
  const named_ = algorithm(named(DIGEST, digest), nothing);
  return algorithm(
    RSA_PSS,
    sequence(explicit(0, named_), explicit(1, algorithm(MGF1, named_)), explicit(2, integer(salt))),
  );
}

/** What an AlgorithmIdentifier of a signature asks: `{kind, digest, salt}`. */
export function readSignatureAlgorithm(element) {
  const { oid: name, parameters, raw } = readAlgorithm(element);
  if (name === RSA_PSS) return { kind: "rsa-pss", raw, ...readPss(parameters) };
  if (name === RSA) return { kind: "rsa", digest: null, raw }; // RFC 3370, 3.2: the digest stands apart
  if (SIGNATURE[name]) {
    const [kind, digest] = SIGNATURE[name];
    // RFC 5758, 3.2: absent for ECDSA; RFC 4055, 5: NULL for RSA
    if (kind === "ec") check(parameters === undefined, "ECDSA with parameters");
    else check(parameters?.tag === 0x05, "RSA without NULL parameters");
    return { kind, digest, raw };
  }
  const kind = KEY[name];
  check(EDWARDS[kind] || ML_DSA[kind], `the signature ${name} is unknown`);
  check(parameters === undefined, `a ${kind} signature with parameters`);
  return { kind, digest: null, raw };
}

export function signatureAlgorithm(key, digest, salt) {
  if (key.kind === "ec") return algorithm(named(SIGNATURE, ["ec", digest]));
  if (salt !== undefined) return pssAlgorithm(digest, salt);
  if (key.kind === "rsa") return algorithm(named(SIGNATURE, ["rsa", digest]), nothing);
  return algorithm(named(KEY, key.kind));
}

export function sign(key, digest, salt, data) {
  if (key.kind === "ec") {
    const made = NIST[key.curve].sign(hash(digest, data), key.octets, { prehash: false, lowS: false });
    return made.toBytes("der");
  }
  if (key.node) return new Uint8Array(nodeSign(digest, data, { key: key.node, ...padding(salt) }));
  if (EDWARDS[key.kind]) return EDWARDS[key.kind].sign(data, key.octets);
  return ML_DSA[key.kind].sign(key.octets, data);
}

function padding(salt) {
  if (salt === undefined) return { padding: constants.RSA_PKCS1_PADDING };
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt };
}

/** Whether `signature` over `data` is good; `digest` serves where the algorithm names none. */
export function verify(spki, asked, digest, data, signature) {
  const key = readPublicKey(spki);
  const fits = asked.kind === key.kind || (asked.kind === "rsa-pss" && key.kind === "rsa");
  check(fits, `a ${asked.kind} signature by a ${key.kind} key`);
  if (key.kind === "ec") {
    const form = NIST[key.curve].Signature.fromBytes(signature, "der");
    return NIST[key.curve].verify(form, hash(asked.digest, data), key.octets, { prehash: false, lowS: false });
  }
  if (key.kind.startsWith("rsa")) {
    const name = asked.digest ?? digest;
    check(RSA_DIGESTS[name], `RSA with ${name}`);
    const node = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    return nodeVerify(name, data, { key: node, ...padding(asked.salt) }, signature);
  }
  // RFC 8032 to the letter, and no keys of small order
  if (EDWARDS[key.kind]) return EDWARDS[key.kind].verify(signature, data, key.octets, { zip215: false });
  return ML_DSA[key.kind].verify(key.octets, data, signature);
}

// ---- agreement, encapsulation, transport

/** A fresh pair on the curve of `key`: `{octets, head}`, head being its AlgorithmIdentifier. */
export function ephemeral(key) {
  if (key.kind === "ec") {
    const secret = NIST[key.curve].utils.randomPrivateKey();
    // RFC 5753, 7.1.2: the curve is the recipient's, parameters may be absent
    return { secret, octets: NIST[key.curve].getPublicKey(secret, false), head: algorithm(named(KEY, "ec")) };
  }
  const secret = MONTGOMERY[key.kind].utils.randomPrivateKey();
  return { secret, octets: MONTGOMERY[key.kind].getPublicKey(secret), head: algorithm(named(KEY, key.kind)) };
}

/** The shared secret; refuses points off the curve and secrets of zero. */
export function agree(kind, curve, secret, peer) {
  if (kind === "ec") return NIST[curve].getSharedSecret(secret, peer, true).slice(1);
  const found = MONTGOMERY[kind].getSharedSecret(secret, peer);
  check(found.some((octet) => octet !== 0), "the shared secret is zero"); // RFC 8418, 5; RFC 7748, 6
  return found;
}

export function encapsulate(key) {
  const { cipherText, sharedSecret } = ML_KEM[key.kind].encapsulate(key.octets);
  return { ciphertext: cipherText, secret: sharedSecret };
}

export const decapsulate = (key, ciphertext) => ML_KEM[key.kind].decapsulate(ciphertext, key.octets);

export function rsaEncrypt(spki, digest, secret) {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  if (digest === null) return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, secret));
  return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: digest }, secret));
}

export function rsaDecrypt(key, digest, ciphertext) {
  check(digest !== null, "PKCS #1 v1.5 is for openssl to judge");
  const how = { key: key.node, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: digest };
  return new Uint8Array(privateDecrypt(how, ciphertext));
}

// ---- derivation and symmetric encryption

/** ANSI X9.63 as in RFC 5753, 7.2. */
export function x963(digest, secret, info, size) {
  let made = new Uint8Array();
  for (let counter = 1; made.length < size; counter += 1) {
    made = joined(made, hash(digest, joined(secret, [0, 0, 0, counter], info)));
  }
  return made.slice(0, size);
}

export function hkdf(digest, secret, salt, info, size) {
  return expand(HASH[digest], extract(HASH[digest], secret, salt), info, size);
}

const CHECK_VALUE = Buffer.alloc(8, 0xa6); // RFC 3394, 2.2.3.1

export function wrap(key, secret) {
  const cipher = createCipheriv(`id-aes${8 * key.length}-wrap`, key, CHECK_VALUE);
  return joined(cipher.update(secret), cipher.final());
}

export function unwrap(key, wrapped) {
  const decipher = createDecipheriv(`id-aes${8 * key.length}-wrap`, key, CHECK_VALUE);
  return joined(decipher.update(wrapped), decipher.final());
}

export function encrypt(mode, key, content, associated) {
  const nonce = randomBytes(mode === "gcm" ? 12 : 16);
  const cipher = createCipheriv(`aes-${8 * key.length}-${mode}`, key, nonce);
  if (associated) cipher.setAAD(associated);
  const sealed = joined(cipher.update(content), cipher.final());
  return { nonce, sealed, tag: mode === "gcm" ? cipher.getAuthTag() : null };
}

export function decrypt(mode, key, nonce, sealed, associated, tag) {
  const decipher = createDecipheriv(`aes-${8 * key.length}-${mode}`, key, nonce, { authTagLength: tag?.length });
  if (associated) decipher.setAAD(associated);
  if (tag) decipher.setAuthTag(tag);
  try {
    return joined(decipher.update(sealed), decipher.final());
  } catch {
    throw new Bad("the content does not decrypt");
  }
}

export { randomBytes, WRAP, createHash, oid };
