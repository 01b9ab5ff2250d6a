// The running hashes of browsers against Node's.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Md5 } from '../../src/runtime/md5.js';
import { Sha256 } from '../../src/runtime/sha256.js';

describe.each([
  ['sha256', Sha256],
  ['md5', Md5],
])('%s', (algorithm, Hash) => {
  it("is Node's for every length around a block's, however the bytes come", () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + (i >> 3)) & 255);
    for (let length = 0; length <= bytes.length; length++) {
      const expected = createHash(algorithm).update(bytes.subarray(0, length)).digest('hex');
      for (const step of [1, 63, 64, 65, 300]) {
        const hash = new Hash();
        for (let at = 0; at < length; at += step) hash.update(bytes.subarray(at, Math.min(length, at + step)));
        expect(hash.digest(), `${length} bytes by ${step}`).toBe(expected);
      }
    }
  });

  it('counts bytes past 2^29, whose bits pass 32', () => {
    const part = new Uint8Array(16 << 20).fill(7);
    const [ours, theirs] = [new Hash(), createHash(algorithm)];
    for (let i = 0; i < 33; i++) {
      ours.update(part);
      theirs.update(part);
    }
    expect(ours.digest()).toBe(theirs.digest('hex'));
  }, 120_000);
});
