// What CMS needs of a certificate, and whether a signed structure of X.509 was signed by a key.

import { AsnConvert } from "@peculiar/asn1-schema";
import { Certificate, CertificateList } from "@peculiar/asn1-x509";
import { read } from "./octets.mjs";
import { readSignatureAlgorithm, verify } from "./keys.mjs";

const SUBJECT_KEY_IDENTIFIER = "2.5.29.14";

export function readCertificate(octets) {
  AsnConvert.parse(octets, Certificate);
  const fields = read(octets).inside(0x30)[0].inside(0x30);
  if (fields[0].tag === 0xa0) fields.shift();
  const [serial, , issuer, , , spki] = fields;
  let keyId = null;
  for (const extension of fields.find((one) => one.tag === 0xa3)?.inside()[0].inside(0x30) ?? []) {
    const members = extension.inside(0x30);
    if (members[0].oid === SUBJECT_KEY_IDENTIFIER) keyId = read(members.at(-1).octets).octets;
  }
  return { octets, serial: serial.raw, issuer: issuer.raw, spki: spki.raw, keyId };
}

/** Certificates, revocation lists and requests are alike: what is signed, by what, the signature. */
export function isSignedBy(octets, spki) {
  const [signed, algorithm, signature] = read(octets).inside(0x30);
  return verify(spki, readSignatureAlgorithm(algorithm), null, signed.raw, signature.bits);
}

export const readList = (octets) => AsnConvert.parse(octets, CertificateList);
