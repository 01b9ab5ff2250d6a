// How the files of a folder are read: in how many runs, and what is held meanwhile.
import { describe, expect, it } from 'vitest';
import type { FolderPart } from '../../src/runtime/folder-module.js';
import { Kept, planReads } from '../../src/runtime/folder-reads.js';

const MiB = 1 << 20;
type Range = [offset: number, bytes: number];

function partsOf(ranges: Range[], file = 0): FolderPart[] {
  let at = 0;
  return ranges.map(([offset, bytes]) => {
    const part = { offset: at, bytes, inputs: [{ file, offset, bytes }], making: null };
    at += bytes;
    return part;
  });
}

/** Matrices of so many experts, by turns of `kinds`, as the engine wants them: all of one kind, then of the next. */
function byTurns(experts: number, kinds: number, bytes: number): Range[] {
  const ranges: Range[] = [];
  for (let kind = 0; kind < kinds; kind++) {
    for (let expert = 0; expert < experts; expert++) ranges.push([(expert * kinds + kind) * bytes, bytes]);
  }
  return ranges;
}

/** What is asked of one file without a cache: its runs, and the most that is held. */
function asked(parts: FolderPart[]): { runs: Range[]; held: number } {
  const runs: Range[] = [];
  const kept = new Set<Kept>();
  const size = (): number => [...kept].reduce((sum, { offset, end }) => sum + end - offset, 0);
  let held = 0;
  for (const [i, { reads }] of planReads(parts, 1).readings.entries()) {
    const { offset, bytes } = parts[i]!.inputs[0]!;
    const read = reads[0]!;
    if (read.kept) {
      expect(kept.has(read.kept)).toBe(true);
      expect([read.kept.offset, read.kept.end]).toEqual([offset, offset + bytes]);
      if (read.last) kept.delete(read.kept);
      continue;
    }
    const run = runs.at(-1);
    if (run && read.passesFrom === run[0] + run[1]) run[1] = offset + bytes - run[0];
    else runs.push([offset, bytes]);
    for (const each of read.keeps) kept.add(each);
    held = Math.max(held, size());
  }
  expect(kept.size).toBe(0);
  return { runs, held };
}

describe('a file is read', () => {
  it('in one run where its tensors lie in order, with small gaps', () => {
    const parts = partsOf([
      [0, 5 * MiB],
      [6 * MiB, MiB],
      [7 * MiB, MiB],
    ]);
    expect(asked(parts)).toEqual({ runs: [[0, 8 * MiB]], held: 0 });
    expect(planReads(parts, 1).readings.map(({ reads }) => reads[0]!.end)).toEqual([8 * MiB, 8 * MiB, 8 * MiB]);
  });

  it('in a run for each part that lies behind a larger gap', () => {
    const far: Range[] = [
      [0, MiB],
      [2 * MiB + 1, MiB],
    ];
    expect(asked(partsOf(far)).runs).toEqual(far);
  });

  it('in one run where matrices of experts lie by turns', () => {
    expect(asked(partsOf(byTurns(20, 3, 2 * MiB)))).toEqual({ runs: [[0, 120 * MiB]], held: 76 * MiB });
  });

  it('in one run where experts lie in the order of their names', () => {
    const names = Array.from({ length: 128 }, (_, i) => String(i)).sort();
    const inFile = byTurns(128, 3, 3 * MiB);
    const ranges = inFile.map((_, i) => inFile[128 * Math.floor(i / 128) + names.indexOf(String(i % 128))]!);
    expect(asked(partsOf(ranges))).toEqual({ runs: [[0, 3 * 128 * 3 * MiB]], held: 1026 * MiB });
  });

  it('with no more than 1.25 GiB held', () => {
    const ranges = byTurns(200, 3, 4 * MiB);
    const { runs, held } = asked(partsOf(ranges));
    expect(held).toBe(1280 * MiB);
    // Two matrices of each of the first 160 experts are held; what is left is a run each.
    expect(runs).toHaveLength(1 + 39 + 40 + 40);
  });

  it('in a run for each matrix where they are large', () => {
    const ranges = byTurns(3, 2, 17 * MiB);
    expect(asked(partsOf(ranges))).toEqual({ runs: ranges, held: 0 });
  });

  it('once where bytes are wanted again', () => {
    const rows: Range[] = [
      [0, 4 * MiB],
      [0, 100],
      [0, 100],
      [4 * MiB, MiB],
    ];
    expect(asked(partsOf(rows))).toEqual({ runs: [[0, 5 * MiB]], held: 100 });
    const twice: Range[] = [
      [0, MiB],
      [MiB, MiB],
      [0, MiB],
      [MiB, MiB],
    ];
    expect(asked(partsOf(twice))).toEqual({ runs: [[0, 2 * MiB]], held: 2 * MiB });
  });

  it('until the part that uses it last', () => {
    const parts = [...partsOf([[0, 10]], 2), ...partsOf([[0, 10]], 0), ...partsOf([[10, 10]], 2)];
    expect(planReads(parts, 4).lastUses).toEqual([1, -1, 2, -1]);
  });
});

describe('what is held', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);

  it('is there when all of it has passed in order', () => {
    const kept = new Kept(10, 20);
    kept.add(0, bytes.subarray(0, 15));
    expect(kept.from(10, 5)).toBeNull();
    kept.add(5, bytes.subarray(5, 15)); // again
    kept.add(15, bytes.subarray(15, 40));
    expect(kept.from(12, 3)).toEqual(bytes.subarray(12, 15));
    kept.drop();
    expect(kept.from(12, 3)).toBeNull();
  });

  it('is not there with a hole', () => {
    const kept = new Kept(10, 20);
    kept.add(0, bytes.subarray(0, 12));
    kept.add(13, bytes.subarray(13, 40));
    expect(kept.from(10, 10)).toBeNull();
  });
});
