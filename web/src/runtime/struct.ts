// Structs in the WASM module's memory, by the layouts of abi.ts.

interface Field {
  readonly type: 'f64' | 'u32' | 'text';
  readonly offset: number;
  readonly bytes: number;
}

interface Layout {
  readonly bytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}

/** Texts are UTF-8, ended by a 0. */
export type StructOf<L extends Layout> = {
  [F in keyof L['fields']]: L['fields'][F]['type'] extends 'text' ? string : number;
};

const encodeText = new TextEncoder();

/** A text that is too long is cut. */
export function writeStruct<L extends Layout>(memory: Uint8Array, layout: L, values: StructOf<L>): void {
  const view = new DataView(memory.buffer, memory.byteOffset, layout.bytes);
  memory.fill(0, 0, layout.bytes);
  for (const [name, { type, offset, bytes }] of Object.entries(layout.fields)) {
    const value = values[name] as string | number;
    if (type === 'f64') view.setFloat64(offset, Number(value), true);
    else if (type === 'u32') view.setUint32(offset, Number(value), true);
    else memory.set(encodeText.encode(String(value)).subarray(0, bytes - 1), offset);
  }
}

/** Of a struct of numbers. */
export function readStruct<L extends Layout>(memory: Uint8Array, layout: L): { [F in keyof L['fields']]: number } {
  const view = new DataView(memory.buffer, memory.byteOffset, layout.bytes);
  const values: Record<string, number> = {};
  for (const [name, { type, offset }] of Object.entries(layout.fields)) {
    values[name] = type === 'f64' ? view.getFloat64(offset, true) : view.getUint32(offset, true);
  }
  return values as { [F in keyof L['fields']]: number };
}
