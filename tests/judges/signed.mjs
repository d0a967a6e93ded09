// SignedData (RFC 5652, 5) with the conventions of RFC 4056, 5753, 8419 and 9882, made and judged.

import { AsnConvert } from "@peculiar/asn1-schema";
import { SignedData } from "@peculiar/asn1-cms";
import { Bad, check, explicit, integer, inOrder, joined, octetString, oid, read, readAlgorithm, same } from "./octets.mjs";
import { algorithm, sequence, setOf, time, tlv } from "./octets.mjs";
import { ATTRIBUTE, CMS } from "./names.mjs";
import { digestAlgorithm, hash, readDigest, readPrivateKey, readPublicKey, readSignatureAlgorithm } from "./keys.mjs";
import { sign, signatureAlgorithm, verify } from "./keys.mjs";
import { readCertificate } from "./certificates.mjs";

const SHA256 = "2.16.840.1.101.3.4.2.1";
/** Digests strong enough for ML-DSA with signed attributes (RFC 9882, 3.3). */
const LATTICE_DIGESTS = {
  "ml-dsa-44": ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "shake128", "shake256"],
  "ml-dsa-65": ["sha384", "sha512", "sha3-384", "sha3-512", "shake256"],
  "ml-dsa-87": ["sha512", "sha3-512", "shake256"],
};
const DEFAULTS = { p256: "sha256", p384: "sha384", p521: "sha512", ed448: "shake256-len", rsa: "sha256", "rsa-pss": "sha256" };

// ---- making

const attribute = (name, ...values) => sequence(oid(name), setOf(...values));

function essCertificate(certificate) {
  return sequence(octetString(hash("sha256", certificate.octets)));
}

function prepared(order, one) {
  const certificate = readCertificate(one.certificate);
  const key = readPrivateKey(one.key);
  const digest = one.digest ?? DEFAULTS[key.curve ?? key.kind] ?? "sha512";
  const salt = one.salt ?? (key.kind === "rsa-pss" ? 32 : undefined);
  const made = { certificate, key, digest, salt, digesting: digestAlgorithm(digest), keyId: one.keyId };
  made.signing = signatureAlgorithm(key, digest, salt);
  if (one.bare) return made;
  made.attributes = [
    attribute(ATTRIBUTE.contentType, oid(order.contentType)),
    attribute(ATTRIBUTE.messageDigest, octetString(hash(digest, order.content))),
    attribute(ATTRIBUTE.signingTime, time(order.at)),
  ];
  if (one.protection) {
    const names = sequence(made.digesting, tlv(0xa1, made.signing.slice(headOf(made.signing))));
    made.attributes.push(attribute(ATTRIBUTE.algorithmProtection, names));
  }
  if (one.ess) {
    made.attributes.push(attribute(ATTRIBUTE.signingCertificateV2, sequence(sequence(essCertificate(certificate)))));
  }
  return made;
}

const headOf = (octets) => (octets[1] < 0x80 ? 2 : 2 + (octets[1] & 0x7f));

// RFC 5752, 4.4.1: every signer names every other, first with empty hashes, then with those of
// the others' attributes as they are with the empty hashes.
function bind(signers) {
  const naming = (own, other, value) => {
    const attrsHash = sequence(own.digesting, octetString(value));
    return sequence(other.digesting, other.signing, attrsHash, essCertificate(other.certificate));
  };
  const others = (own) => signers.filter((one) => one !== own);
  const draft = new Map();
  for (const own of signers) {
    const empty = attribute(ATTRIBUTE.multipleSignatures, ...others(own).map((o) => naming(own, o, [])));
    draft.set(own, setOf(...own.attributes, empty));
  }
  for (const own of signers) {
    const values = others(own).map((other) => naming(own, other, hash(own.digest, draft.get(other))));
    own.bound = attribute(ATTRIBUTE.multipleSignatures, ...values);
  }
  for (const own of signers) own.attributes.push(own.bound);
}

function signerInfo(order, own) {
  const named = own.keyId
    ? tlv(0x80, own.certificate.keyId)
    : sequence(own.certificate.issuer, own.certificate.serial);
  const attributes = own.attributes && setOf(...own.attributes);
  const signature = sign(own.key, own.digest, own.salt, attributes ?? order.content);
  return sequence(
    integer(own.keyId ? 3 : 1),
    named,
    own.digesting,
    attributes ? joined([0xa0], attributes.slice(1)) : [],
    own.signing,
    octetString(signature),
  );
}

export function makeSigned(order) {
  const signers = order.signers.map((one) => prepared(order, one));
  if (order.parallel) bind(signers);
  const digests = new Map(signers.map((own) => [own.digest, own.digesting]));
  const certificates = new Map(
    [...signers.map((own) => own.certificate.octets), ...(order.chain ?? [])].map((c) => [Buffer.from(c).toString("hex"), c]),
  );
  const three = order.contentType !== CMS.data || signers.some((own) => own.keyId);
  const content = order.detached ? [] : explicit(0, octetString(order.content));
  const body = sequence(
    integer(three ? 3 : 1),
    setOf(...digests.values()),
    sequence(oid(order.contentType), content),
    joined([0xa0], setOf(...certificates.values()).slice(1)),
    setOf(...signers.map((own) => signerInfo(order, own))),
  );
  return sequence(oid(CMS.signedData), explicit(0, body));
}

// ---- judging

export function judgeSigned(octets, detached, extra) {
  const [type, wrapped] = read(octets).inside(0x30);
  check(type.oid === CMS.signedData, "no SignedData");
  const data = wrapped.inside(0xa0)[0];
  AsnConvert.parse(data.raw, SignedData);
  const [version, digests, encapsulated, ...rest] = data.inside(0x30);
  const [contentType, inner] = encapsulated.inside(0x30);
  const content = inner ? inner.inside(0xa0)[0].octets : detached;
  check(content !== undefined, "no content, neither inside nor apart");
  const complaints = [];
  const complain = (condition, sentence) => condition || complaints.push(sentence);

  const infos = rest.pop().inside(0x31);
  complain(inOrder(infos), "signerInfos out of order");
  const bag = rest.find((one) => one.tag === 0xa0)?.inside() ?? [];
  complain(inOrder(bag), "certificates out of order");
  const certificates = [...bag.map((one) => one.raw), ...extra].map(readCertificate);
  const listed = digests.inside(0x31);
  complain(inOrder(listed), "digestAlgorithms out of order");
  const names = listed.map((one) => readDigest(one).digest);

  const signers = infos.map((info) => judgeSigner(info, { contentType: contentType.oid, content, certificates, names, complain }));
  const three = contentType.oid !== CMS.data || signers.some((one) => one.version === 3);
  complain(version.number === (three ? 3 : 1), "version of SignedData (RFC 5652, 5.1)");
  judgeBinding(signers, complain);
  return {
    contentType: contentType.oid,
    content: inner ? content : null,
    complaints,
    signers: signers.map((one) => ({
      good: one.good,
      certificate: one.certificate.octets,
      digest: one.digest,
      signature: one.asked.kind,
      salt: one.asked.salt ?? null,
      attributes: one.attributes ? [...one.attributes.keys()] : null,
      time: one.time,
      bound: one.bound,
    })),
  };
}

function judgeSigner(info, { contentType, content, certificates, names, complain }) {
  const fields = info.inside(0x30);
  const [version, sid, digesting] = fields;
  const attributed = fields[3].tag === 0xa0 ? fields[3] : null;
  const [algorithmField, signature] = fields.slice(attributed ? 4 : 3);
  const certificate = found(sid, certificates);
  complain(version.number === (sid.tag === 0x80 ? 3 : 1), "version of SignerInfo (RFC 5652, 5.3)");
  const { digest, raw: digestRaw } = readDigest(digesting);
  complain(names.includes(digest), "the signer's digest is not in digestAlgorithms");
  const asked = readSignatureAlgorithm(algorithmField);
  judgeDigest(asked, digest, attributed !== null, readPublicKey(certificate.spki).curve, complain);
  const own = { version: version.number, certificate, digest, digestRaw, asked, time: null, bound: null };
  let signed = content;
  if (attributed) {
    own.attributes = readAttributes(attributed, complain);
    own.signedRaw = joined([0x31], attributed.raw.slice(1));
    judgeAttributes(own, contentType, content, complain);
    signed = own.signedRaw;
  } else complain(contentType === CMS.data, "signed attributes are missing (RFC 5652, 5.3)");
  own.good = verify(certificate.spki, asked, digest, signed, signature.octets);
  if (own.bad) own.good = false;
  return own;
}

function found(sid, certificates) {
  const one =
    sid.tag === 0x80
      ? certificates.find((c) => c.keyId && same(c.keyId, sid.content))
      : certificates.find((c) => same(joined(c.issuer, c.serial), sid.expect(0x30).content));
  if (!one) throw new Bad("no certificate is the signer's");
  return one;
}

function judgeDigest(asked, digest, attributed, curve, complain) {
  if (asked.digest !== null) complain(asked.digest === digest, "the digest is not the signature algorithm's");
  if (asked.kind === "ed25519" && attributed) complain(digest === "sha512", "Ed25519 wants SHA-512 (RFC 8419, 3.1)");
  if (asked.kind === "ed448" && attributed) {
    complain(digest === "shake256-len", "Ed448 wants id-shake256-len of 512 bits (RFC 8419, 3.1)");
  }
  const fitting = LATTICE_DIGESTS[asked.kind];
  if (fitting && attributed) complain(fitting.includes(digest), `${digest} is too weak for ${asked.kind} (RFC 9882, 3.3)`);
  if (asked.kind === "ec") complain(curve !== undefined, "no named curve");
}

function readAttributes(attributed, complain) {
  const elements = attributed.inside(0xa0);
  complain(inOrder(elements), "signed attributes out of order: they are DER (RFC 5652, 5.3)");
  const attributes = new Map();
  for (const one of elements) {
    const [name, values] = one.inside(0x30);
    complain(!attributes.has(name.oid), `attribute ${name.oid} twice`);
    attributes.set(name.oid, values.inside(0x31));
  }
  return attributes;
}

function judgeAttributes(own, contentType, content, complain) {
  const value = (name) => {
    const values = own.attributes.get(name);
    if (values) check(values.length === 1, `attribute ${name} has one value`);
    return values?.[0];
  };
  const type = value(ATTRIBUTE.contentType);
  const digest = value(ATTRIBUTE.messageDigest);
  check(type && digest, "content type and message digest are signed (RFC 5652, 5.3)");
  own.bad = type.oid !== contentType || !same(digest.octets, hash(own.digest, content));
  const at = value(ATTRIBUTE.signingTime);
  if (at) {
    own.time = Buffer.from(at.content).toString();
    complain(/^\d{12}Z$/.test(own.time) ? at.tag === 0x17 : at.tag === 0x18, "form of the signing time");
  }
  const protection = value(ATTRIBUTE.algorithmProtection);
  if (protection) {
    const [named, signature] = protection.inside(0x30);
    const same1 = same(named.raw, own.digestRaw);
    const same2 = same(joined([0x30], signature.expect(0xa1).raw.slice(1)), own.asked.raw);
    complain(same1 && same2, "algorithm protection names other algorithms (RFC 6211, 2)");
  }
  const ess = value(ATTRIBUTE.signingCertificateV2);
  if (ess) complain(isEss(ess.inside(0x30)[0].inside(0x30)[0], own.certificate), "another signing certificate (RFC 5035, 3)");
}

function isEss(element, certificate) {
  const fields = element.inside(0x30);
  let digest = "sha256";
  if (fields[0].tag === 0x30) {
    const named = readAlgorithm(fields[0]);
    digest = readDigest(fields.shift()).digest;
    check(named.oid !== SHA256, "SHA-256 is the default and not written");
  }
  return same(fields[0].octets, hash(digest, certificate.octets));
}

// RFC 5752, 3 and 4.6: each of n parallel signatures names n - 1 others, by algorithms, hash of their
// attributes with the hashes therein empty, and certificate.
function judgeBinding(signers, complain) {
  const bound = signers.filter((one) => one.attributes?.has(ATTRIBUTE.multipleSignatures));
  for (const own of bound) {
    const values = own.attributes.get(ATTRIBUTE.multipleSignatures);
    const others = signers.filter((one) => one !== own);
    own.bound = values.length === others.length && values.every((value) => others.some((other) => names(value, own, other)));
    complain(own.bound, "a parallel signature is missing or another one (RFC 5752, 4.6)");
  }
}

function names(value, own, other) {
  const [digesting, signing, attrs, ess] = value.inside(0x30);
  if (!same(digesting.raw, other.digestRaw) || !same(signing.raw, other.asked.raw)) return false;
  if (ess && !isEss(ess, other.certificate)) return false;
  const [named, hashed] = attrs.inside(0x30);
  if (!same(named.raw, own.digestRaw)) return false;
  return same(hashed.octets, hash(own.digest, draftOf(other)));
}

// The signed attributes as they were hashed: multiple-signatures with its hashes empty.
function draftOf(own) {
  const parts = [];
  for (const [name, values] of own.attributes) {
    const written = name === ATTRIBUTE.multipleSignatures ? values.map(emptied) : values.map((one) => one.raw);
    parts.push(sequence(oid(name), setOf(...written)));
  }
  return setOf(...parts);
}

function emptied(value) {
  const [digesting, signing, attrs, ess] = value.inside(0x30);
  const hollow = sequence(attrs.inside(0x30)[0].raw, octetString([]));
  return sequence(digesting.raw, signing.raw, hollow, ess ? ess.raw : []);
}

export { algorithm };
