// The running hash of browsers against Node's.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { Sha256 } from '../../src/runtime/sha256.js';

it("gives Node's SHA-256 for every length around a block's, however the bytes come", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167 + (i >> 3)) & 255);
  for (let length = 0; length <= bytes.length; length++) {
    const expected = createHash('sha256').update(bytes.subarray(0, length)).digest('hex');
    for (const step of [1, 63, 64, 65, 300]) {
      const hash = new Sha256();
      for (let at = 0; at < length; at += step) hash.update(bytes.subarray(at, Math.min(length, at + step)));
      expect(hash.digest(), `${length} bytes by ${step}`).toBe(expected);
    }
  }
});

it('counts bytes past 2^29, whose bits pass 32', () => {
  const part = new Uint8Array(16 << 20).fill(7);
  const [ours, theirs] = [new Sha256(), createHash('sha256')];
  for (let i = 0; i < 33; i++) {
    ours.update(part);
    theirs.update(part);
  }
  expect(ours.digest()).toBe(theirs.digest('hex'));
}, 120_000);
