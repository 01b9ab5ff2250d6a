// MD5 (RFC 1321), against damage only: MLC's folders tell it of their shards.
import { BlockHash, hexOf } from './block-hash.js';

const sines = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);
const shifts = Uint8Array.from([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]);

export class Md5 extends BlockHash {
  private readonly state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  private readonly words = new Int32Array(16);

  constructor() {
    super(true);
  }

  protected digestOf(): string {
    return hexOf(this.state, true);
  }

  protected compress(bytes: Uint8Array, at: number): void {
    const { words, state } = this;
    for (let i = 0; i < 16; i++, at += 4) {
      words[i] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    }
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    for (let i = 0; i < 64; i++) {
      let mixed: number;
      let word: number;
      if (i < 16) {
        mixed = d ^ (b & (c ^ d));
        word = i;
      } else if (i < 32) {
        mixed = c ^ (d & (b ^ c));
        word = (5 * i + 1) & 15;
      } else if (i < 48) {
        mixed = b ^ c ^ d;
        word = (3 * i + 5) & 15;
      } else {
        mixed = c ^ (b | ~d);
        word = (7 * i) & 15;
      }
      const sum = (a + mixed + sines[i]! + words[word]!) | 0;
      const shift = shifts[((i >> 4) << 2) | (i & 3)]!;
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
  }
}
