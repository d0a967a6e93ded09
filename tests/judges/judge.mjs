// A peer of E2S's CMS: one JSON order a line on standard input, one JSON answer a line on standard output.
//
// Octets are base64 in members of these names, in either direction.

import { createInterface } from "node:readline";
import { Bad, base64, bytes } from "./octets.mjs";
import { publicOctets } from "./keys.mjs";
import { isSignedBy, readCertificate, readList } from "./certificates.mjs";
import { judgeSigned, makeSigned } from "./signed.mjs";
import { makeSealed, openSealed } from "./sealed.mjs";
import { makeCompressed, readCompressed } from "./compressed.mjs";
import { loosened } from "./loose.mjs";
import { openByPkijs, verifyByPkijs } from "./second.mjs";

const OCTETS = new Set(["cms", "content", "certificate", "key", "chain", "ukm", "octets", "issuer", "spki", "extra"]);

const ACTS = {
  sign: (order) => ({ cms: makeSigned(order) }),
  verify: ({ cms, content, extra }) => judgeSigned(cms, content, extra ?? []),
  seal: (order) => ({ cms: makeSealed(order) }),
  open: ({ cms, certificate, key }) => openSealed(cms, certificate, key),
  compress: (order) => ({ cms: makeCompressed(order) }),
  expand: ({ cms }) => readCompressed(cms),
  loosen: ({ cms, size }) => ({ cms: loosened(cms, size) }),
  signedBy: ({ octets, spki }) => ({ good: isSignedBy(octets, spki) }),
  issuedBy: ({ octets, issuer }) => ({ good: isSignedBy(octets, readCertificate(issuer).spki) }),
  list: ({ octets }) => ({ revoked: (readList(octets).tbsCertList.revokedCertificates ?? []).length }),
  public: ({ key }) => ({ octets: publicOctets(key) }),
  pkijsVerify: verifyByPkijs,
  pkijsOpen: openByPkijs,
  version: () => ({ node: process.versions.node }),
};

const walked = (value, change) => {
  if (Array.isArray(value)) return value.map((one) => walked(one, change));
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(name, one)]));
};
const inward = (name, value) => {
  if (OCTETS.has(name) && value !== null) return Array.isArray(value) ? value.map(bytes) : bytes(value);
  return walked(value, inward);
};
const outward = (_name, value) => {
  if (value instanceof Uint8Array) return base64(value);
  return walked(value, outward);
};

async function answer(line) {
  try {
    const order = walked(JSON.parse(line), inward);
    return walked(await ACTS[order.act](order), outward);
  } catch (error) {
    // what a library throws at a bad message is a refusal, a slip of this program is none
    if (error instanceof TypeError || error instanceof ReferenceError) return { broken: String(error.stack) };
    return { refused: error instanceof Bad ? error.message : String(error.stack) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(line)) + "\n");
}
