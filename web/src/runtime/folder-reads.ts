// In which order the files of a folder are read, and what is held of them meanwhile: each file is to be read from its
// start to its end, by few requests, however its tensors lie.
import type { FolderPart } from './folder-module.js';

export const smallGap = 1 << 20; // bytes between tensors that are read with them
const largeRange = 16 << 20; // bytes that are worth a request of their own
const mostKept = 1280 << 20; // bytes that are held, to be wanted later: a layer of 128 experts
const mostRanges = 1 << 12; // that are looked at for one read

/** Bytes that pass before they are wanted, or once more after that. */
export class Kept {
  private bytes: Uint8Array | null = null;
  private filled = 0;
  lastRead = 0; // of ReadPlan, by number

  constructor(
    readonly offset: number,
    readonly end: number,
  ) {}

  /** Takes what it lacks of bytes that pass; what comes out of order it does not take. */
  add(offset: number, passing: Uint8Array): void {
    const next = this.offset + this.filled;
    const count = Math.min(offset + passing.length, this.end) - next;
    if (offset > next || count <= 0) return;
    try {
      this.bytes ??= new Uint8Array(this.end - this.offset);
    } catch {
      return; // no memory: they are asked for again
    }
    this.bytes.set(passing.subarray(next - offset, next - offset + count), this.filled);
    this.filled += count;
  }

  /** null: not all of it is there. */
  from(offset: number, most: number): Uint8Array | null {
    if (!this.bytes || this.filled < this.bytes.length) return null;
    return this.bytes.subarray(offset - this.offset, offset - this.offset + most);
  }

  drop(): void {
    this.bytes = null;
    this.filled = 0;
  }
}

/** Of one input of a part. */
export interface Read {
  kept: Kept | null; // where its bytes are by then
  passesFrom: number; // bytes from here on are read on the way to it
  end: number; // how far its file is read on in one go
  keeps: Kept[]; // what passes that is wanted later
  last: boolean; // of those that want `kept`
}

/** How a part is read. */
export interface Reading {
  whole: number; // which of its inputs is read whole, before the other is read with it; -1: none is
  reads: Read[]; // of each input
}

export interface ReadPlan {
  readings: Reading[]; // of each part
  lastUses: number[]; // of each file, the index of a part; -1: none
}

interface FileState {
  ranges: Range[]; // by offset
  at: number; // where reading goes on; -1: nowhere yet
  run: Read[]; // in one go
}

/** Bytes that inputs are made of. */
interface Range {
  kept: Kept;
  holds: boolean;
}

export function planReads(parts: FolderPart[], files: number): ReadPlan {
  return new Planner(parts, files).plan();
}

class Planner {
  private readonly readings: Reading[];
  private readonly lastUses: number[];
  private readonly ranges: Range[] = []; // of each read
  private readonly files = new Map<number, FileState>();
  private held = 0;

  constructor(
    private readonly parts: FolderPart[],
    files: number,
  ) {
    this.readings = parts.map(({ inputs }) => ({ whole: wholeOf(inputs), reads: [] }));
    this.lastUses = new Array<number>(files).fill(-1);
  }

  plan(): ReadPlan {
    this.findRanges();
    let number = 0;
    for (const [part, reading] of this.readings.entries()) {
      for (const input of inOrder(reading)) {
        reading.reads[input] = this.read(number++, this.files.get(this.parts[part]!.inputs[input]!.file)!);
      }
    }
    for (const file of this.files.values()) endRun(file);
    return { readings: this.readings, lastUses: this.lastUses };
  }

  private findRanges(): void {
    const known = new Map<string, Range>();
    for (const [part, reading] of this.readings.entries()) {
      for (const input of inOrder(reading)) {
        const { file, offset, bytes } = this.parts[part]!.inputs[input]!;
        this.lastUses[file] = part;
        const key = `${file} ${offset} ${bytes}`;
        let range = known.get(key);
        if (!range) {
          range = { kept: new Kept(offset, offset + bytes), holds: false };
          known.set(key, range);
          const state = this.files.get(file) ?? { ranges: [], at: -1, run: [] };
          this.files.set(file, state);
          state.ranges.push(range);
        }
        range.kept.lastRead = this.ranges.length;
        this.ranges.push(range);
      }
    }
    for (const { ranges } of this.files.values()) ranges.sort((a, b) => a.kept.offset - b.kept.offset);
  }

  private read(number: number, file: FileState): Read {
    const range = this.ranges[number]!;
    const { kept } = range;
    const last = kept.lastRead === number;
    if (range.holds) {
      if (last) this.held -= kept.end - kept.offset;
      return { kept, passesFrom: kept.offset, end: kept.end, keeps: [], last };
    }
    const keeps: Kept[] = [];
    const passesFrom = this.passes(number, file, kept.offset, keeps) ? file.at : kept.offset;
    for (const inside of wanted(file, kept.offset, kept.end, number)) {
      if (this.held + inside.kept.end - inside.kept.offset <= mostKept) this.keep(inside, keeps);
    }
    if (passesFrom !== file.at) endRun(file);
    file.at = kept.end;
    const read = { kept: null, passesFrom, end: kept.end, keeps, last };
    file.run.push(read);
    return read;
  }

  /** Whether what lies between is read on the way to `offset`: nearly nothing, or what is wanted later. */
  private passes(number: number, file: FileState, offset: number, keeps: Kept[]): boolean {
    const gap = offset - file.at;
    if (file.at < 0 || gap < 0 || gap > mostKept) return false;
    const ranges = wanted(file, file.at, offset, number);
    const sizes = ranges.map(({ kept }) => kept.end - kept.offset);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const holds = gap - bytes <= smallGap && this.held + bytes <= mostKept && sizes.every((size) => size < largeRange);
    if (holds) for (const range of ranges) this.keep(range, keeps);
    return holds || gap <= smallGap;
  }

  private keep(range: Range, keeps: Kept[]): void {
    range.holds = true;
    this.held += range.kept.end - range.kept.offset;
    keeps.push(range.kept);
  }
}

/** What lies from `start` to `end`, and is wanted after that read. */
function wanted({ ranges }: FileState, start: number, end: number, number: number): Range[] {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]!.kept.offset < start) low = middle + 1;
    else high = middle;
  }
  const found: Range[] = [];
  for (let i = low; i < Math.min(ranges.length, low + mostRanges) && ranges[i]!.kept.offset < end; i++) {
    const { kept, holds } = ranges[i]!;
    if (!holds && kept.end <= end && kept.lastRead > number) found.push(ranges[i]!);
  }
  return found;
}

function endRun(file: FileState): void {
  for (const read of file.run) read.end = file.at;
  file.run = [];
}

function inOrder({ whole }: Reading): number[] {
  return whole < 0 ? [0] : [whole, 1 - whole];
}

// Of two in one file the one that comes first, else the smaller one.
function wholeOf([first, second]: FolderPart['inputs']): number {
  if (!second) return -1;
  if (first!.file === second.file) return first!.offset < second.offset ? 0 : 1;
  return first!.bytes < second.bytes ? 0 : 1;
}
