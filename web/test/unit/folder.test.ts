// A folder as one file: what is checked of its plan, and how its files are read.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { FolderFiles } from '../../src/runtime/folder-files.js';
import { checkPlan, type FolderModule, type FolderPart, type FolderPlan } from '../../src/runtime/folder-module.js';
import { openFolder } from '../../src/runtime/folder-source.js';
import { Md5 } from '../../src/runtime/md5.js';
import type { ByteSource } from '../../src/runtime/source.js';
import { randomBytes } from '../support/random.js';
import { readWhole } from '../support/read-whole.js';

const head = Uint8Array.from({ length: 64 }, (_, i) => i);
const copied = (offset: number, file: number, at: number, bytes: number): FolderPart => ({
  offset,
  bytes,
  inputs: [{ file, offset: at, bytes }],
  making: null,
});
/** 3 bytes of 2 and 1: see fakeModule(). */
const made = (offset: number, units: number, first: [number, number], second: [number, number]): FolderPart => ({
  offset,
  bytes: 3 * units,
  inputs: [
    { file: first[0], offset: first[1], bytes: 2 * units },
    { file: second[0], offset: second[1], bytes: units },
  ],
  making: { unit: 3, inputUnits: [2, 1], type: 7, stored: 0, row: 0, added: 0 },
});

describe('a plan', () => {
  const good = (): FolderPlan => ({
    head,
    files: ['a', 'b'],
    parts: [copied(64, 0, 8, 32), made(96, 10, [0, 40], [1, 0])],
    bytes: 126,
  });
  const broken: [string, (plan: FolderPlan) => void][] = [
    ['a tensor within the head', ({ parts }) => (parts[0]!.offset = 32)],
    ['tensors that overlap', ({ parts }) => (parts[1]!.offset = 95)],
    ['a fractional offset', ({ parts }) => (parts[1]!.offset = 96.5)],
    ['no number', ({ parts }) => (parts[1]!.offset = NaN)],
    ['an offset past 2^53', ({ parts }) => (parts[0]!.inputs[0]!.offset = 2 ** 53)],
    ['a file that there is none of', ({ parts }) => (parts[0]!.inputs[0]!.file = 2)],
    ['a range before its file', ({ parts }) => (parts[1]!.inputs[1]!.offset = -1)],
    ['a range of another length', ({ parts }) => (parts[0]!.inputs[0]!.bytes = 31)],
    ['nothing', ({ parts }) => (parts[0]!.bytes = parts[0]!.inputs[0]!.bytes = 0)],
    ['units that are not whole', ({ parts }) => (parts[1]!.making!.unit = 4)],
    ['inputs of other units', ({ parts }) => (parts[1]!.making!.inputUnits = [2, 2])],
    ['a length that is not that of its tensors', (plan) => (plan.bytes = 127)],
  ];

  it('is taken when it makes a file', () => expect(() => checkPlan(good())).not.toThrow());
  it.each(broken)('is refused with %s', (_, breakIt) => {
    const plan = good();
    breakIt(plan);
    expect(() => checkPlan(plan)).toThrowError(expect.objectContaining({ code: 'internal' }));
  });
});

interface Watched extends ByteSource {
  reads: { offset: number; length: number; end: number }[];
}

/** Files in memory that remember what was read of them, and which are open. */
class FakeFolder implements FolderFiles {
  readonly name = 'fake';
  readonly names = null;
  readonly opened: Watched[] = [];
  readonly open = new Set<string>();
  readonly discarded: string[] = [];

  constructor(
    private readonly files: Record<string, Uint8Array>,
    private readonly kept?: 'whole' | 'read',
  ) {}

  has(name: string): boolean {
    return name in this.files;
  }

  source(name: string): ByteSource {
    const bytes = this.files[name]!;
    const reads: Watched['reads'] = [];
    this.open.add(name);
    const source: Watched = {
      name,
      reads,
      kept: this.kept,
      size: bytes.length,
      read: async (offset, most, end) => {
        const part = bytes.subarray(offset, Math.min(offset + most, offset + 1000));
        if (name.endsWith('.bin')) reads.push({ offset, length: part.length, end });
        return part;
      },
      close: async () => void this.open.delete(name),
      discard: async () => void this.discarded.push(name),
    };
    this.opened.push(source);
    return source;
  }
}

/** Its blocks of 3 bytes are the sum of the two of the first input, that of the second, and 7. */
function fakeModule(plan: FolderPlan, md5s: Record<string, string>): FolderModule {
  const names = [['config.json'], []]; // before the first file, and after it
  const fake = {
    fileNames: () => names.shift(),
    addFile() {},
    weightFiles: () => plan.files.map((name) => ({ name, md5: md5s[name] ?? '' })),
    header: () => 0,
    plan: () => plan,
    make(_: unknown, units: number, [first, second]: [Uint8Array, Uint8Array]) {
      const out = new Uint8Array(3 * units);
      expect([first.length, second.length]).toEqual([2 * units, units]);
      for (let i = 0; i < units; i++) out.set([first[2 * i]! + first[2 * i + 1]!, second[i]!, 7], 3 * i);
      return out;
    },
  };
  return fake as unknown as FolderModule;
}

describe('the file', () => {
  const units = 400_000; // more than is made at a time
  const files = { 'config.json': head, 'a.bin': randomBytes(1 << 20, 1), 'b.bin': randomBytes(2 << 20, 2) };
  const { 'a.bin': a, 'b.bin': b } = files;

  const folders: FakeFolder[] = [];

  async function readOf(
    parts: FolderPart[],
    md5s: Record<string, string> = {},
    kept?: 'whole' | 'read',
  ): Promise<{ folder: FakeFolder; bytes: Uint8Array }> {
    const { offset, bytes } = parts.at(-1)!;
    const folder = new FakeFolder(files, kept);
    folders.push(folder);
    const module = fakeModule({ head, files: ['a.bin', 'b.bin'], parts, bytes: offset + bytes }, md5s);
    const source = await openFolder(
      folder,
      async () => module,
      () => new Md5(),
    );
    expect(source).toMatchObject({ size: offset + bytes, headBytes: 64 });
    const all = await readWhole(source, 777);
    await source.close();
    expect(folder.open.size).toBe(0);
    return { folder, bytes: all };
  }

  function blocks(first: Uint8Array, second: Uint8Array): Uint8Array {
    return Uint8Array.from({ length: 3 * second.length }, (_, i) => {
      const unit = Math.floor(i / 3);
      return [first[2 * unit]! + first[2 * unit + 1]!, second[unit]!, 7][i % 3]!;
    });
  }

  /** Each file was opened once, and read from its start to its end. */
  function expectInOrder({ opened }: FakeFolder): void {
    expect(opened.map(({ name }) => name).sort()).toEqual(['a.bin', 'b.bin', 'config.json']);
    for (const { reads, size } of opened) {
      let next = 0;
      for (const { offset, length, end } of reads) {
        expect(offset).toBeGreaterThanOrEqual(next);
        expect(end).toBeLessThanOrEqual(size);
        next = offset + length;
      }
    }
  }

  it('is its head, ranges of files and zeros between them', async () => {
    const parts = [copied(64, 0, 100, 5000), copied(5088, 1, 0, 3001), copied(8096, 1, 4000, 10)];
    const { folder, bytes } = await readOf(parts);
    const expected = new Uint8Array(8106);
    expected.set(head);
    expected.set(a.subarray(100, 5100), 64);
    expected.set(b.subarray(0, 3001), 5088);
    expected.set(b.subarray(4000, 4010), 8096);
    expect(Buffer.compare(bytes, expected)).toBe(0);
    expectInOrder(folder);
  });

  it.each([
    ['of two files', made(64, units, [1, 10], [0, 20]), b.subarray(10, 10 + 2 * units), a.subarray(20, 20 + units)],
    ['of one file, codes first', made(64, units, [1, 0], [1, 2 * units]), b, b.subarray(2 * units, 3 * units)],
    ['of one file, scales first', made(64, units, [1, units], [1, 0]), b.subarray(units), b.subarray(0, units)],
  ])('has blocks that are made %s', async (_, part, first, second) => {
    const after = copied(Math.ceil((64 + 3 * units) / 32) * 32, 0, 900_000, 100);
    const { folder, bytes } = await readOf([part, after]);
    expect(Buffer.compare(bytes.subarray(64, 64 + 3 * units), blocks(first, second))).toBe(0);
    expect(Buffer.compare(bytes.subarray(after.offset), a.subarray(900_000, 900_100))).toBe(0);
    expectInOrder(folder);
  });

  const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
  // Between the tensors of a.bin, and of b.bin before its last bytes, lies what no tensor has.
  const wholes = [copied(64, 0, 100, 5000), copied(5088, 0, 6000, (1 << 20) - 6000), copied(1_050_000, 1, 0, 1 << 20)];

  it('is checked by the MD5 of a file whose last bytes are read', async () => {
    const { bytes } = await readOf(wholes, { 'a.bin': md5(a), 'b.bin': md5(a) });
    expect(bytes.length).toBe(1_050_000 + (1 << 20));
  });

  it('is refused when the MD5 of a file is another', async () => {
    const damaged = { code: 'damaged', message: 'a.bin is not what its folder promises: its MD5 is another' };
    await expect(readOf(wholes, { 'a.bin': md5(a.subarray(1)) })).rejects.toMatchObject(damaged);
    expect(folders.at(-1)!.discarded).toEqual(['a.bin']);
  });

  it('is not hashed where its files are at hand, or whole in the cache', async () => {
    const other = { 'a.bin': md5(a.subarray(1)) };
    expect((await readOf(wholes, other, 'whole')).bytes.length).toBe(1_050_000 + (1 << 20));
    await expect(readOf(wholes, other, 'read')).rejects.toMatchObject({ code: 'damaged' });
  });

  it('holds what it passes only where it cannot be read again', async () => {
    // The first and the third of three, then the second.
    const parts = [copied(64, 0, 100, 5000), copied(5088, 0, 10_100, 5000), copied(10_112, 0, 5100, 5000)];
    const expected = new Uint8Array(15_112);
    expected.set(head);
    for (const { offset, inputs } of parts)
      expected.set(a.subarray(inputs[0]!.offset, inputs[0]!.offset + 5000), offset);
    for (const kept of [undefined, 'read', 'whole'] as const) {
      const { folder, bytes } = await readOf(parts, {}, kept);
      expect(Buffer.compare(bytes, expected)).toBe(0);
      const { reads } = folder.opened.find(({ name }) => name === 'a.bin')!;
      const backwards = reads.filter(({ offset }, i) => i > 0 && offset < reads[i - 1]!.offset).length;
      expect(backwards).toBe(kept ? 1 : 0);
      expect(reads.reduce((sum, { length }) => sum + length, 0)).toBe(15_000);
    }
  });

  it('ends too soon with an error that names the file', async () => {
    const reading = readOf([copied(64, 0, (1 << 20) - 10, 11)]);
    await expect(reading).rejects.toMatchObject({
      code: 'bad-model',
      message: 'a.bin ends at byte 1048576 of 1048577',
    });
  });
});
