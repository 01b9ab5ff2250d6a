// Tokens that xgrammar lets through and that would make no text: it checks neither all of UTF-8 nor, in a string of limited
// length, control characters.

/** What may not follow the first byte of a character: it would be longer than it needs, a surrogate, or beyond U+10FFFF. */
const wrongSecond: readonly { first: number; low: number; high: number }[] = [
  { first: 0xe0, low: 0x80, high: 0x9f },
  { first: 0xed, low: 0xa0, high: 0xbf },
  { first: 0xf0, low: 0x80, high: 0x8f },
  { first: 0xf4, low: 0x90, high: 0xbf },
];

export class ByteLimits {
  private readonly always: Uint32Array; // bits of tokens that may not come
  private readonly control: Uint32Array;
  private readonly after = new Map<number, Uint32Array>();

  constructor(pieces: readonly Uint8Array[]) {
    const tokens = (wrong: (bytes: Uint8Array) => boolean): Uint32Array => {
      const words = new Uint32Array(Math.ceil(pieces.length / 32));
      pieces.forEach((bytes, id) => {
        if (wrong(bytes)) words[id >> 5]! |= 1 << (id & 31);
      });
      return words;
    };
    this.always = tokens((bytes) => bytes.some((byte) => byte === 0xc0 || byte === 0xc1 || byte > 0xf4));
    this.control = tokens((bytes) => bytes.some((byte) => byte < 0x20));
    for (const { first, low, high } of wrongSecond) {
      this.after.set(
        first,
        tokens(([byte = 0]) => byte >= low && byte <= high),
      );
    }
  }

  /** Takes them out of a mask. oneLine: control characters too. */
  apply(words: Uint32Array, lastByte: number, oneLine: boolean): void {
    const bans = [this.always, this.after.get(lastByte), oneLine ? this.control : undefined];
    for (const ban of bans) ban?.forEach((bits, i) => (words[i]! &= ~bits));
  }
}
