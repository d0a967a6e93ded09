// A message in BER as loose as it may be: indefinite lengths, strings in pieces, lengths longer than needed.
//
// Certificates and lists keep their octets, which were signed elsewhere.

import { joined, read } from "./octets.mjs";
import { CMS } from "./names.mjs";

const END = [0, 0];
const OCTET_STRING = 0x04;
const CONSTRUCTED = 0x20;
const CONTEXT = 0x80;

/** Every element of `octets` in another form; strings come in pieces of `size` octets. */
export function loosened(octets, size) {
  const [type, wrapped] = read(octets).inside(0x30);
  const data = wrapped.inside(0xa0)[0];
  if (type.oid !== CMS.signedData) return indefinite(0x30, loose(type, size), indefinite(0xa0, loose(data, size)));
  const fields = data.inside(0x30);
  const kept = (one, index) => index > 2 && index < fields.length - 1;
  const members = fields.map((one, index) => (kept(one, index) ? set(one) : loose(one, size)));
  return indefinite(0x30, loose(type, size), indefinite(0xa0, indefinite(0x30, ...members)));
}

const indefinite = (tag, ...parts) => joined([tag, 0x80], ...parts, END);
const set = (one) => indefinite(one.tag, ...one.inside().map((member) => member.raw));

function loose(element, size) {
  const { tag } = element;
  if (tag & CONSTRUCTED) return indefinite(tag, ...element.inside().map((one) => loose(one, size)));
  if (tag === OCTET_STRING || tag & CONTEXT) return indefinite(tag | CONSTRUCTED, ...pieces(element.content, size));
  const { content } = element;
  return joined([tag, 0x84, 0, 0, content.length >> 8, content.length & 0xff], content);
}

function pieces(content, size) {
  const found = [];
  for (let start = 0; start < content.length; start += size) {
    const piece = content.slice(start, start + size);
    found.push(joined([OCTET_STRING, 0x82, piece.length >> 8, piece.length & 0xff], piece));
  }
  return found;
}
