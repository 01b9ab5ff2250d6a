// The module with relaxed SIMD against the command line, in every weight format that the CPU has dot products for: what the
// models compute, for one token (products by rows) and for many (by panels).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseModule } from '../../src/runtime/module-choice.js';
import { tinyModel } from '../support/tiny-gguf.js';

const pronk = fileURLToPath(new URL('../../../build/native/pronk', import.meta.url));
const api = fileURLToPath(new URL('../../dist/api/node.js', import.meta.url));
const { Pronk } = (await import(pathToFileURL(api).href)) as typeof import('../../src/api/node.js');

const folder = mkdtempSync(join(tmpdir(), 'pronk-relaxed-'));
afterAll(() => rmSync(folder, { recursive: true }));

const formats = ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K', 'IQ4_NL', 'MXFP4', 'F16'];
const texts = [[70], Array.from({ length: 37 }, (_, i) => 5 + ((i * 89) % 250))];

/** What the command line makes of them, with the vectors of this machine. */
function expectedOf(path: string): Float32Array[] {
  return texts.map((tokens) => {
    const out = join(folder, 'states.f32');
    execFileSync(pronk, [
      'embed',
      '-m',
      path,
      '--tokens',
      tokens.join(','),
      '--pooling',
      'none',
      '--backend',
      'cpu',
      '--out',
      out,
    ]);
    return new Float32Array(Uint8Array.from(readFileSync(out)).buffer);
  });
}

/** Makes -128 of each byte that is -127: a quant that no quantizer writes, and the hardest for signed products. */
function putLowest(path: string): void {
  const file = readFileSync(path);
  const matrices = file.subarray(file.length / 2);
  matrices.forEach((byte, i) => (matrices[i] = byte === 0x81 ? 0x80 : byte));
  writeFileSync(path, file);
}

/** How far apart they are, as a share of their length. */
function distance(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  let [apart, length] = [0, 0];
  a.forEach((value, i) => {
    apart += (value - b[i]!) ** 2;
    length += b[i]! ** 2;
  });
  return Math.sqrt(apart / length);
}

describe('the module with relaxed SIMD', () => {
  beforeAll(() => {
    setFlagsFromString('--experimental-wasm-relaxed-simd'); // Node 20 has it behind this flag, later ones always
    expect(chooseModule(1).name).toBe('relaxed');
    writeFileSync(join(folder, 'f32.gguf'), tinyModel({ wide: true })[0]!);
  });

  it.each(formats)('multiplies weights in %s', async (format) => {
    const path = join(folder, `${format}.gguf`);
    execFileSync(pronk, ['quantize', '--type', format, join(folder, 'f32.gguf'), path]);
    if (format === 'Q8_0') putLowest(path);
    const engine = await Pronk.load(path, { device: 'cpu', threads: 1, embeddings: true });
    const states = await engine.embed(texts, { pooling: 'none' });
    await engine.unload();
    const apart = expectedOf(path).map((expected, i) => distance(states[i]!, expected));
    console.log(`${format}: ${apart.map((share) => share.toExponential(1)).join(' and ')} apart`);
    expect(apart[0]).toBeLessThan(1e-5);
    expect(apart[1]).toBeLessThan(2e-2); // another order of a sum may round an activation to the other 8-bit number
  });
});
