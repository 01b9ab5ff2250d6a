// What a session has computed, as the module gives it, and as bytes that a caller may keep.
import { PronkError } from './errors.js';
import { Sha256 } from './sha256.js';

/** head: what it belongs to and its tokens; body: the states, in parts. */
export interface SavedSession {
  head: Uint8Array;
  body: Uint8Array[];
}

const encode = new TextEncoder();
const magic = encode.encode('pronkses');
const hashAt = 8; // SHA-256 of all from lengthAt on, in hexadecimal
const lengthAt = 72; // of the head
const headAt = 76;
const tokenCountWord = 6;
const tokensWord = 8;

/** The tokens that the session stands after. */
export function savedTokens({ head }: SavedSession): Uint32Array {
  const words = new Uint32Array(head.slice().buffer);
  return words.subarray(tokensWord, tokensWord + words[tokenCountWord]!);
}

export function bytesOfSession({ head, body }: SavedSession): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headAt + head.length + body.reduce((sum, part) => sum + part.length, 0));
  bytes.set(magic);
  new DataView(bytes.buffer).setUint32(lengthAt, head.length, true);
  bytes.set(head, headAt);
  let end = headAt + head.length;
  for (const part of body) {
    bytes.set(part, end);
    end += part.length;
  }
  bytes.set(encode.encode(hashOf(bytes)), hashAt);
  return bytes;
}

/** The other way. Whether it is for this model the module says. */
export function sessionOfBytes(bytes: Uint8Array): SavedSession {
  if (bytes.length < headAt || magic.some((byte, i) => bytes[i] !== byte)) {
    throw new PronkError('bad-argument', 'the bytes are not a saved session');
  }
  const hash = encode.encode(hashOf(bytes));
  if (hash.some((byte, i) => bytes[hashAt + i] !== byte)) {
    throw new PronkError('damaged', 'the saved session is damaged: its bytes are not those that its hash promises');
  }
  const end = headAt + new DataView(bytes.buffer, bytes.byteOffset).getUint32(lengthAt, true);
  return { head: bytes.subarray(headAt, end), body: [bytes.subarray(end)] };
}

function hashOf(bytes: Uint8Array): string {
  const hash = new Sha256();
  hash.update(bytes.subarray(lengthAt));
  return hash.digest();
}
