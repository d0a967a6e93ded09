// PKI.js as a second opinion on what it knows: SignedData by RSA and ECDSA, envelopes to RSA and P-256 keys.

import { webcrypto } from "node:crypto";
import * as pkijs from "pkijs";
import { check } from "./octets.mjs";

pkijs.setEngine("node", new pkijs.CryptoEngine({ name: "node", crypto: webcrypto }));
const buffer = (octets) => octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.byteLength);

export async function verifyByPkijs({ cms, content, issuer }) {
  const info = pkijs.ContentInfo.fromBER(buffer(cms));
  const signed = new pkijs.SignedData({ schema: info.content });
  const found = [];
  for (let signer = 0; signer < signed.signerInfos.length; signer += 1) {
    const outcome = await signed.verify({
      signer,
      data: content && buffer(content),
      trustedCerts: [pkijs.Certificate.fromBER(buffer(issuer))],
      extendedMode: true,
    });
    found.push(outcome.signatureVerified === true);
  }
  return { good: found };
}

export async function openByPkijs({ cms, certificate, key }) {
  const info = pkijs.ContentInfo.fromBER(buffer(cms));
  check(info.contentType === pkijs.ContentInfo.ENVELOPED_DATA, "PKI.js opens EnvelopedData");
  const enveloped = new pkijs.EnvelopedData({ schema: info.content });
  const content = await enveloped.decrypt(0, {
    recipientCertificate: pkijs.Certificate.fromBER(buffer(certificate)),
    recipientPrivateKey: buffer(key),
  });
  return { content: new Uint8Array(content) };
}
