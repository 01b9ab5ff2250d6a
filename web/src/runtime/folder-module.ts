// pronk-folder.wasm (src/wasm/folder.h): the small files and headers of a folder in, the head of a GGUF file and where its
// tensors come from out.
import { FolderTensor } from './abi.js';
import { PronkError } from './errors.js';
import type { FolderExports, WasmModule } from './module.js';
import { readStruct } from './struct.js';

export interface WeightFile {
  name: string;
  /** Of the whole file, in hex; '': not known. */
  md5: string;
}

/** Bytes of a file of the folder. */
export interface FileRange {
  file: number;
  offset: number;
  bytes: number;
}

/** A tensor of the GGUF file. */
export interface FolderPart {
  offset: number;
  bytes: number;
  /** One, or codes and scales. */
  inputs: FileRange[];
  /** How it is made of them; null: it is the input as it is. */
  making: Making | null;
}

/** `unit` bytes are made of `inputUnits[i]` of each input. */
export interface Making {
  unit: number;
  inputUnits: number[];
  type: number;
  stored: number;
  row: number;
  added: number;
}

/** The GGUF file that a folder becomes. */
export interface FolderPlan {
  head: Uint8Array;
  /** Names of the files that FileRange counts. */
  files: string[];
  parts: FolderPart[]; // by offset, without overlap
  bytes: number; // of the whole file
}

const none = new Uint8Array(0);

export class FolderModule {
  constructor(private readonly module: WasmModule<FolderExports>) {}

  /**
   * Before the first file: the names of which a folder has one; after it: all that a folder of its kind may have, and
   * at the end those that the added ones name.
   */
  fileNames(): string[] {
    this.module.call((m) => m.folder_file_names());
    return this.lines();
  }

  addFile(name: string, contents: Uint8Array): void {
    this.module.withText(name, (at, length) =>
      this.module.withBytes(contents, (bytes) =>
        this.module.call((m) => m.folder_add_file(at, length, bytes, contents.length)),
      ),
    );
  }

  addNames(names: readonly string[]): void {
    this.module.withText(names.join('\n'), (at, length) => this.module.call((m) => m.folder_add_names(at, length)));
  }

  weightFiles(): WeightFile[] {
    this.module.call((m) => m.folder_weight_files());
    return this.lines().map((line) => {
      const space = line.indexOf(' ');
      return { name: line.slice(space + 1), md5: line.slice(0, space) };
    });
  }

  /** The first bytes of the next weight file; 0: they are enough, else how many it takes. size: -1 when not known. */
  header(bytes: Uint8Array, size: number): number {
    return this.module.withBytes(bytes, (at) => this.module.call((m) => m.folder_header(at, bytes.length, size)));
  }

  plan(files: string[]): FolderPlan {
    this.module.call((m) => m.folder_head());
    const head = this.module.result();
    const bytes = this.module.call((m) => m.folder_tensors());
    const table = this.module.result();
    const parts: FolderPart[] = [];
    for (let at = 0; at < table.length; at += FolderTensor.bytes) {
      parts.push(partOf(readStruct(table.subarray(at), FolderTensor)));
    }
    const plan = { head, files, parts, bytes };
    checkPlan(plan);
    return plan;
  }

  make({ type, stored, unit, row, added }: Making, units: number, inputs: Uint8Array[]): Uint8Array {
    const [first, second = none] = inputs as [Uint8Array, Uint8Array?];
    this.module.withBytes(first, (a) =>
      this.module.withBytes(second, (b) =>
        this.module.call((m) => m.folder_make(type, stored, unit, row, added, units, a, inputs.length > 1 ? b : 0)),
      ),
    );
    return this.module.result();
  }

  private lines(): string[] {
    return this.module.resultText().split('\n').filter(Boolean);
  }
}

function partOf(tensor: Record<keyof typeof FolderTensor.fields, number>): FolderPart {
  const { offset, bytes, unit, type, stored, row, added } = tensor;
  const inputs = [{ file: tensor.firstFile, offset: tensor.firstOffset, bytes: tensor.firstBytes }];
  const inputUnits = [tensor.firstUnit];
  if (tensor.secondBytes > 0) {
    inputs.push({ file: tensor.secondFile, offset: tensor.secondOffset, bytes: tensor.secondBytes });
    inputUnits.push(tensor.secondUnit);
  }
  return { offset, bytes, inputs, making: unit === 0 ? null : { unit, inputUnits, type, stored, row, added } };
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** What is used without another look is as it must be. */
export function checkPlan({ head, files, parts, bytes }: FolderPlan): void {
  let end = head.length;
  for (const part of parts) {
    const good = isCount(part.offset) && part.offset >= end && isCount(part.offset + part.bytes) && part.bytes > 0;
    if (!good || !part.inputs.every((input) => isRange(input, files.length)) || !fits(part)) {
      throw new PronkError('internal', 'the tensors of the folder do not make a file');
    }
    end = part.offset + part.bytes;
  }
  if (end !== bytes) throw new PronkError('internal', 'the tensors of the folder do not make a file');
}

function isRange({ file, offset, bytes }: FileRange, files: number): boolean {
  return isCount(file) && file < files && isCount(offset) && bytes > 0 && isCount(offset + bytes);
}

function fits({ bytes, inputs, making }: FolderPart): boolean {
  if (!making) return inputs.length === 1 && inputs[0]!.bytes === bytes;
  const units = bytes / making.unit;
  return isCount(units) && inputs.every((input, i) => input.bytes === units * making.inputUnits[i]!);
}
