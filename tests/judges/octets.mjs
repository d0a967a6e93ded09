// DER: written here octet by octet, read through asn1js.

import * as asn1js from "asn1js";

export class Bad extends Error {}

export const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
export const base64 = (octets) => Buffer.from(octets).toString("base64");
export const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;
export const joined = (...parts) => new Uint8Array(Buffer.concat(parts.map((p) => Buffer.from(p))));

export function check(condition, sentence) {
  if (!condition) throw new Bad(sentence);
}

// ---- writing

export function tlv(tag, ...parts) {
  const body = joined(...parts);
  const length = [];
  if (body.length < 0x80) length.push(body.length);
  else {
    for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
    length.unshift(0x80 | length.length);
  }
  return joined([tag, ...length], body);
}

export const sequence = (...parts) => tlv(0x30, ...parts);
export const sorted = (parts) => [...parts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
export const setOf = (...parts) => tlv(0x31, ...sorted(parts));
export const octetString = (value) => tlv(0x04, value);
export const bitString = (value) => tlv(0x03, [0], value);
export const explicit = (number, ...parts) => tlv(0xa0 | number, ...parts);
export const nothing = tlv(0x05);

export function integer(value) {
  let hex = BigInt(value).toString(16);
  if (hex.length % 2) hex = "0" + hex;
  const octets = Buffer.from(hex, "hex");
  return tlv(0x02, octets[0] & 0x80 ? [0] : [], octets);
}

// asn1js takes arcs for numbers, which those of X.667 (UUIDs) are too large for.
export function oid(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(BigInt);
  const arcs = [40n * first + second, ...rest];
  return tlv(0x06, ...arcs.map(arc));
}

function arc(value) {
  const octets = [Number(value & 0x7fn)];
  for (let left = value >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
  return octets;
}

function dotted(content) {
  const arcs = [];
  let value = 0n;
  for (const octet of content) {
    value = (value << 7n) | BigInt(octet & 0x7f);
    if (octet & 0x80) continue;
    arcs.push(value);
    value = 0n;
  }
  const [head, ...rest] = arcs;
  const first = head >= 80n ? 2n : head / 40n;
  return [first, head - 40n * first, ...rest].join(".");
}

/** An AlgorithmIdentifier; without `parameters` they are absent. */
export const algorithm = (dotted, ...parameters) => sequence(oid(dotted), ...parameters);

/** 26 characters of ISO 8601 as UTCTime, or as GeneralizedTime from 2050 on (RFC 5652, 11.3). */
export function time(iso) {
  const digits = iso.replace(/[-:T]/g, "").slice(0, 14);
  const year = Number(digits.slice(0, 4));
  const short = year >= 1950 && year < 2050;
  return tlv(short ? 0x17 : 0x18, Buffer.from((short ? digits.slice(2) : digits) + "Z"));
}

// ---- reading

/** An element with its octets as they came. */
export class Element {
  constructor(block) {
    this.block = block;
  }

  get raw() {
    return new Uint8Array(this.block.valueBeforeDecodeView);
  }

  get tag() {
    return this.raw[0];
  }

  get content() {
    const head = this.raw[1] < 0x80 ? 2 : 2 + (this.raw[1] & 0x7f);
    return this.raw.slice(head);
  }

  /** The elements inside; `tag` is checked where given. */
  inside(tag) {
    if (tag !== undefined) this.expect(tag);
    return this.block.valueBlock.value.map((one) => new Element(one));
  }

  expect(tag) {
    check(this.tag === tag, `tag 0x${this.tag.toString(16)} where 0x${tag.toString(16)} belongs`);
    return this;
  }

  get oid() {
    return dotted(this.expect(0x06).content);
  }

  get number() {
    this.expect(0x02);
    return Number(this.block.toBigInt());
  }

  get octets() {
    this.expect(0x04);
    return this.content;
  }

  get bits() {
    this.expect(0x03);
    check(this.content[0] === 0, "a key or signature has whole octets");
    return this.content.slice(1);
  }
}

/** The one element of `octets`. */
export function read(octets) {
  const found = asn1js.fromBER(octets);
  check(found.offset === octets.length, "octets behind the end, or no ASN.1");
  return new Element(found.result);
}

/** `{oid, parameters}` of an AlgorithmIdentifier, `parameters` being an Element or undefined. */
export function readAlgorithm(element) {
  const [name, parameters, more] = element.inside(0x30);
  check(more === undefined, "an AlgorithmIdentifier has two members");
  return { oid: name.oid, parameters, raw: element.raw };
}

/** Whether elements stand in the order of DER's SET OF. */
export function inOrder(elements) {
  return same(joined(...elements.map((e) => e.raw)), joined(...sorted(elements.map((e) => e.raw))));
}
