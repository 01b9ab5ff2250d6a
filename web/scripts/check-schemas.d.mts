import type { Pronk } from '../src/api/node.js';

export interface Schema {
  version: string;
  where: string;
  schema: unknown;
}
export function schemasOf(folder: string): Schema[];
export function judge(engine: Pronk, schema: Schema, seed: number): Promise<{ verdict: string; detail: string }>;
