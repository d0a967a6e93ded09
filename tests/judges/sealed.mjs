// EnvelopedData and AuthEnvelopedData (RFC 5652, 6; RFC 5083) for every kind of recipient, made and opened.

import { AsnConvert } from "@peculiar/asn1-schema";
import { EnvelopedData } from "@peculiar/asn1-cms";
import { Bad, algorithm, bitString, check, explicit, inOrder, integer, joined, nothing, octetString, oid, read } from "./octets.mjs";
import { readAlgorithm, same, sequence, setOf, tlv } from "./octets.mjs";
import { AGREEMENT, ATTRIBUTE, CMS, CONTENT, DERIVATION, DIGEST, KEY, MGF1, RSA, RSA_OAEP, WRAP, named } from "./names.mjs";
import { agree, decapsulate, decrypt, encapsulate, encrypt, ephemeral, hkdf, randomBytes, readDigest } from "./keys.mjs";
import { readPrivateKey, readPublicKey, rsaDecrypt, rsaEncrypt, unwrap, wrap, x963 } from "./keys.mjs";
import { readCertificate } from "./certificates.mjs";

const DEFAULT_AGREEMENT = { p256: ["x963", "sha256"], p384: ["x963", "sha384"], p521: ["x963", "sha512"], x25519: ["hkdf", "sha256"], x448: ["hkdf", "sha512"] };

// ---- what both sides derive

function sharedInfo(wrapping, ukm, size) {
  // ECC-CMS-SharedInfo (RFC 5753, 7.2; RFC 8418, 2)
  const bits = Buffer.alloc(4);
  bits.writeUInt32BE(8 * size);
  return sequence(wrapping, ukm ? explicit(0, octetString(ukm)) : [], explicit(2, octetString(bits)));
}

function agreedKey([derivation, digest], secret, wrapping, ukm, size) {
  const info = sharedInfo(wrapping, ukm, size);
  // RFC 8418, 2.2: the ukm is HKDF's salt as well
  return derivation === "x963" ? x963(digest, secret, info, size) : hkdf(digest, secret, ukm ?? undefined, info, size);
}

function encapsulatedKey(digest, secret, wrapping, ukm, size) {
  // CMSORIforKEMOtherInfo (RFC 9629, 5); HKDF without salt (RFC 9936, 2.2.1)
  const info = sequence(wrapping, integer(size), ukm ? explicit(0, octetString(ukm)) : []);
  return hkdf(digest, secret, undefined, info, size);
}

// ---- making

function identifier(certificate, keyId, tag) {
  if (!keyId) return sequence(certificate.issuer, certificate.serial);
  return tag === 0x80 ? tlv(0x80, certificate.keyId) : tlv(0xa0, octetString(certificate.keyId));
}

function recipientInfo(one, secret) {
  const certificate = readCertificate(one.certificate);
  const key = readPublicKey(certificate.spki);
  if (key.kind.startsWith("ml-kem")) return kemRecipient(one, certificate, key, secret);
  if (key.kind === "rsa") return transportRecipient(one, certificate, secret);
  return agreementRecipient(one, certificate, key, secret);
}

function transportRecipient(one, certificate, secret) {
  const digest = one.oaep ?? "sha256";
  const hashing = algorithm(named(DIGEST, digest));
  const oaep = algorithm(RSA_OAEP, sequence(explicit(0, hashing), explicit(1, algorithm(MGF1, hashing))));
  return sequence(
    integer(one.keyId ? 2 : 0),
    identifier(certificate, one.keyId, 0x80),
    one.pkcs1 ? algorithm(RSA, nothing) : oaep,
    octetString(rsaEncrypt(certificate.spki, one.pkcs1 ? null : digest, secret)),
  );
}

function agreementRecipient(one, certificate, key, secret) {
  const scheme = one.scheme ?? DEFAULT_AGREEMENT[key.curve ?? key.kind];
  const size = one.wrap ?? 32;
  const wrapping = algorithm(named(WRAP, size));
  const own = ephemeral(key);
  const kek = agreedKey(scheme, agree(key.kind, key.curve, own.secret, key.octets), wrapping, one.ukm, size);
  const member = sequence(identifier(certificate, one.keyId, 0xa0), octetString(wrap(kek, secret)));
  return tlv(
    0xa1,
    integer(3),
    explicit(0, tlv(0xa1, own.head, bitString(own.octets))),
    one.ukm ? explicit(1, octetString(one.ukm)) : [],
    algorithm(named(AGREEMENT, scheme), wrapping),
    sequence(member),
  );
}

function kemRecipient(one, certificate, key, secret) {
  const size = one.wrap ?? 32;
  const digest = one.derivation ?? "sha256";
  const wrapping = algorithm(named(WRAP, size));
  const { ciphertext, secret: shared } = encapsulate(key);
  const info = sequence(
    integer(0),
    identifier(certificate, one.keyId, 0x80),
    algorithm(named(KEY, key.kind)),
    octetString(ciphertext),
    algorithm(named(DERIVATION, digest)),
    integer(size),
    one.ukm ? explicit(0, octetString(one.ukm)) : [],
    wrapping,
    octetString(wrap(encapsulatedKey(digest, shared, wrapping, one.ukm, size), secret)),
  );
  return tlv(0xa4, oid(CMS.kemRecipient), info);
}

export function makeSealed(order) {
  const [mode, size] = order.cipher ?? ["gcm", 32];
  const secret = randomBytes(size);
  const infos = order.recipients.map((one) => recipientInfo(one, secret));
  if (mode === "gcm") return authenticated(order, secret, infos);
  const { nonce, sealed } = encrypt("cbc", secret, order.content);
  const body = sequence(
    integer(envelopeVersion(infos)),
    setOf(...infos),
    sequence(oid(order.contentType), algorithm(named(CONTENT, ["cbc", size]), octetString(nonce)), tlv(0x80, sealed)),
  );
  return sequence(oid(CMS.envelopedData), explicit(0, body));
}

// RFC 5652, 6.1
function envelopeVersion(infos) {
  if (infos.some((one) => one[0] === 0xa3 || one[0] === 0xa4)) return 3;
  return infos.every((one) => one[0] === 0x30 && read(one).inside(0x30)[0].number === 0) ? 0 : 2;
}

function authenticated(order, secret, infos) {
  const plain = order.contentType === CMS.data;
  const attributes = sequence(oid(ATTRIBUTE.contentType), setOf(oid(order.contentType)));
  const associated = plain ? null : setOf(attributes);
  const { nonce, sealed, tag } = encrypt("gcm", secret, order.content, associated);
  const parameters = sequence(octetString(nonce), integer(16));
  const body = sequence(
    integer(0),
    setOf(...infos),
    sequence(oid(order.contentType), algorithm(named(CONTENT, ["gcm", secret.length]), parameters), tlv(0x80, sealed)),
    plain ? [] : joined([0xa1], associated.slice(1)),
    octetString(tag),
  );
  return sequence(oid(CMS.authEnvelopedData), explicit(0, body));
}

// ---- opening

export function openSealed(octets, certificateOctets, pkcs8) {
  const certificate = certificateOctets && readCertificate(certificateOctets);
  const key = readPrivateKey(pkcs8);
  const complaints = [];
  const complain = (condition, sentence) => condition || complaints.push(sentence);
  const [type, wrapped] = read(octets).inside(0x30);
  const data = wrapped.inside(0xa0)[0];
  const fields = data.inside(0x30);
  const [version, infos, encrypted, ...rest] = fields;
  check(infos.tag === 0x31, "originator info, which no key here needs");
  const members = infos.inside(0x31);
  complain(inOrder(members), "recipientInfos out of order");
  const [contentType, encryption, sealed] = encrypted.inside(0x30);
  const { oid: cipher, parameters } = readAlgorithm(encryption);
  check(CONTENT[cipher], `the content encryption ${cipher} is unknown`);
  const [mode, size] = CONTENT[cipher];
  const [secret, kinds] = contentKey(members, certificate, key, complain);
  check(secret.length === size, "the content key has another size");

  const result = { contentType: contentType.oid, cipher: [mode, size], recipients: kinds, complaints };
  if (type.oid === CMS.envelopedData) {
    AsnConvert.parse(data.raw, EnvelopedData);
    check(mode === "cbc", "EnvelopedData with an authenticated cipher");
    complain(version.number === envelopeVersion(members.map((one) => one.raw)), "version of EnvelopedData (RFC 5652, 6.1)");
    return { ...result, content: decrypt("cbc", secret, parameters.octets, sealed.expect(0x80).content) };
  }
  check(type.oid === CMS.authEnvelopedData && mode === "gcm", "no envelope");
  complain(version.number === 0, "version of AuthEnvelopedData (RFC 5083, 2.1)");
  return { ...result, content: authenticContent(contentType.oid, parameters, sealed, rest, secret, complain) };
}

function authenticContent(contentType, parameters, sealed, rest, secret, complain) {
  const [nonce, icv] = parameters.inside(0x30);
  complain(nonce.octets.length === 12, "a nonce of other than 12 octets (RFC 5084, 3.2)");
  const size = icv ? icv.number : 12;
  complain(icv === undefined || size !== 12, "the default size of the tag is written");
  let associated = null;
  if (rest[0].tag === 0xa1) {
    const attributes = rest.shift();
    const elements = attributes.inside();
    complain(inOrder(elements), "authenticated attributes out of order");
    associated = joined([0x31], attributes.raw.slice(1));
    const type = elements.map((one) => one.inside(0x30)).find(([name]) => name.oid === ATTRIBUTE.contentType);
    check(type && type[1].inside(0x31)[0].oid === contentType, "the authenticated content type is another");
  } else complain(contentType === CMS.data, "the content type is not authenticated (RFC 5083, 2.1)");
  const tag = rest[0].octets;
  check(tag.length === size, "the tag has another size than its algorithm says");
  return decrypt("gcm", secret, nonce.octets, sealed.expect(0x80).content, associated, tag);
}

function contentKey(members, certificate, key, complain) {
  const kinds = [];
  let secret = null;
  for (const member of members) {
    const read_ = { 0x30: transported, 0xa1: agreed, 0xa4: encapsulated }[member.tag];
    check(read_, "a recipient of a kind that no key here opens");
    const { kind, mine } = read_(member, certificate, key, complain);
    kinds.push(kind);
    if (mine) secret ??= mine();
  }
  if (!secret) throw new Bad("no recipient is this one");
  return [secret, kinds];
}

const isMine = (rid, certificate) => {
  if (!certificate) return true;
  if (rid.tag === 0x80) return certificate.keyId && same(rid.content, certificate.keyId);
  if (rid.tag === 0xa0) return certificate.keyId && same(rid.inside()[0].octets, certificate.keyId);
  return same(rid.expect(0x30).content, joined(certificate.issuer, certificate.serial));
};

function transported(member, certificate, key, complain) {
  const [version, rid, encryption, wrapped] = member.inside(0x30);
  complain(version.number === (rid.tag === 0x80 ? 2 : 0), "version of KeyTransRecipientInfo");
  const { oid: name, parameters } = readAlgorithm(encryption);
  let digest = null;
  if (name === RSA_OAEP) {
    const fields = Object.fromEntries(parameters.inside(0x30).map((one) => [one.tag & 0x1f, one.inside()[0]]));
    check(fields[0] && fields[1], "OAEP with SHA-1");
    digest = readDigest(fields[0]).digest;
    const mask = readAlgorithm(fields[1]);
    check(mask.oid === MGF1 && readDigest(mask.parameters).digest === digest, "OAEP with another mask");
    complain(fields[2] === undefined, "an empty label is the default and not written");
  } else check(name === RSA, `the key transport ${name} is unknown`);
  const mine = key.node && isMine(rid, certificate);
  return { kind: digest ? "oaep" : "pkcs1", mine: mine && (() => rsaDecrypt(key, digest, wrapped.octets)) };
}

function agreed(member, certificate, key, complain) {
  const fields = member.inside(0xa1);
  const [version, originator] = fields;
  complain(version.number === 3, "version of KeyAgreeRecipientInfo");
  const ukm = fields[2].tag === 0xa1 ? fields[2].inside()[0].octets : null;
  const [encryption, list] = fields.slice(ukm ? 3 : 2);
  const { oid: name, parameters } = readAlgorithm(encryption);
  check(AGREEMENT[name], `the key agreement ${name} is unknown`);
  const { oid: wrapName, parameters: more } = readAlgorithm(parameters);
  check(WRAP[wrapName], "the key wrap is unknown");
  complain(more === undefined, "a key wrap with parameters (RFC 3565, 2.3.2)");
  const [head, point] = originator.inside(0xa0)[0].inside(0xa1);
  const { oid: peerName, parameters: peerParameters } = readAlgorithm(head);
  const kind = KEY[peerName];
  if (kind !== "ec") complain(peerParameters === undefined, "an originator's key with parameters (RFC 8418, 4)");
  const entry = list.inside(0x30).map((one) => one.inside(0x30)).find(([rid]) => isMine(rid, certificate));
  const mine = key.kind === kind && entry && (() => {
    const secret = agree(key.kind, key.curve, key.octets, point.bits);
    return unwrap(agreedKey(AGREEMENT[name], secret, parameters.raw, ukm, WRAP[wrapName]), entry[1].octets);
  });
  return { kind: `${kind} ${AGREEMENT[name].join("-")}`, mine };
}

function encapsulated(member, certificate, key, complain) {
  const [type, info] = member.inside(0xa4);
  check(type.oid === CMS.kemRecipient, "another recipient info");
  const [version, rid, kem, ciphertext, kdf, size, ...rest] = info.inside(0x30);
  complain(version.number === 0, "version of KEMRecipientInfo (RFC 9629, 3)");
  const ukm = rest[0].tag === 0xa0 ? rest.shift().inside()[0].octets : null;
  const [wrapping, wrapped] = rest;
  const { oid: name, parameters } = readAlgorithm(kem);
  complain(parameters === undefined, "a KEM with parameters (RFC 9936, 2.1)");
  const { oid: kdfName, parameters: kdfParameters } = readAlgorithm(kdf);
  check(DERIVATION[kdfName], "the key derivation is unknown");
  complain(kdfParameters === undefined, "HKDF with parameters (RFC 8619, 2)");
  const { oid: wrapName, parameters: wrapParameters } = readAlgorithm(wrapping);
  complain(wrapParameters === undefined, "a key wrap with parameters (RFC 3565, 2.3.2)");
  check(WRAP[wrapName] === size.number, "kekLength is not the wrap's (RFC 9629, 3)");
  const mine = KEY[name] === key.kind && isMine(rid, certificate) && (() => {
    const secret = decapsulate(key, ciphertext.octets);
    return unwrap(encapsulatedKey(DERIVATION[kdfName], secret, wrapping.raw, ukm, size.number), wrapped.octets);
  });
  return { kind: KEY[name], mine };
}
