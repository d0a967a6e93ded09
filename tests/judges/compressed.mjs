// CompressedData (RFC 3274), made and read with Node's zlib.

import { deflateSync, inflateSync } from "node:zlib";
import { algorithm, check, explicit, integer, octetString, oid, read, readAlgorithm, sequence } from "./octets.mjs";

const COMPRESSED = "1.2.840.113549.1.9.16.1.9";
const ZLIB = "1.2.840.113549.1.9.16.3.8";
const MOST = 64 * 1024 * 1024;

export function makeCompressed({ content, contentType }) {
  const inner = sequence(oid(contentType), explicit(0, octetString(deflateSync(content, { level: 9 }))));
  return sequence(oid(COMPRESSED), explicit(0, sequence(integer(0), algorithm(ZLIB), inner)));
}

export function readCompressed(octets) {
  const [type, wrapped] = read(octets).inside(0x30);
  check(type.oid === COMPRESSED, "no CompressedData");
  const [version, compression, encapsulated, more] = wrapped.inside(0xa0)[0].inside(0x30);
  check(version.number === 0 && more === undefined, "version of CompressedData (RFC 3274, 1.1)");
  const { oid: name, parameters } = readAlgorithm(compression);
  check(name === ZLIB, "another compression");
  const [contentType, inner] = encapsulated.inside(0x30);
  const content = new Uint8Array(inflateSync(inner.inside(0xa0)[0].octets, { maxOutputLength: MOST }));
  const complaints = parameters ? ["zlib with parameters, which should be absent (RFC 3274, 2)"] : [];
  return { contentType: contentType.oid, content, complaints };
}
