// What the WASM module exports and imports is what the package declares; its numbers and structs are those of abi.ts,
// which tests/wasm/abi_test.cpp compares with the C++ declarations.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GpuHost } from '../../src/runtime/gpu.js';
import { instantiate } from '../../src/runtime/module.js';
import { tinyModel } from '../support/tiny-gguf.js';

const wasm = new WebAssembly.Module(readFileSync(new URL('../../dist/pronk.wasm', import.meta.url)));

/** Names of the functions of the interface ModuleExports, with their numbers of parameters. */
function declaredExports(): [string, number][] {
  const source = readFileSync(new URL('../../src/runtime/module.ts', import.meta.url), 'utf8');
  const body = /export interface ModuleExports \{(.*?)\n\}/s.exec(source)![1]!;
  const functions = body.matchAll(/(pronk_\w+)\((.*?)\): (?:number|void);/gs);
  return Array.from(functions, ([, name, list]) => [name!, list!.split(',').filter((text) => text.trim()).length]);
}

const fakeDevice = {
  addEventListener() {},
  removeEventListener() {},
  destroy() {},
  lost: new Promise(() => {}),
} as unknown as GPUDevice;

describe('the WASM module', () => {
  it('exports the functions that the package declares, with as many parameters', async () => {
    const module = await instantiate(wasm, null);
    const found = Object.entries(module.gpuSide)
      .filter(([name]) => name.startsWith('pronk_'))
      .map(([name, value]) => [name, (value as (...all: number[]) => number).length]);
    expect(found.length).toBeGreaterThan(20);
    expect(found.sort()).toEqual(declaredExports().sort());
  });

  it('imports only functions that the host has, and all of them', () => {
    const host = new GpuHost(fakeDevice, {} as GPUAdapterInfo);
    const wanted = WebAssembly.Module.imports(wasm).map(({ name }) => name);
    expect(wanted.sort()).toEqual([...Object.keys(host.imports()), 'log'].sort());
  });

  const fresh = () => instantiate(wasm, null);

  it('says of each failure what kind it is', async () => {
    const failureOf = async (bytes: Uint8Array, ...calls: ((m: Awaited<ReturnType<typeof fresh>>) => unknown)[]) => {
      const module = await fresh();
      try {
        module.withBytes(bytes, (at) => module.call((m) => m.pronk_header(0, at, bytes.length, bytes.length)));
        for (const call of calls) call(module);
        return null;
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const model = tinyModel()[0]!;
    const other = model.slice(); // of an architecture that is not known
    other.set(new TextEncoder().encode('koala'), Buffer.from(model).indexOf('llama', 48));
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_plan(0, 16, 0, 0, 0, 0)))).toBe(null);
    expect(await failureOf(new TextEncoder().encode('no model at all'.padEnd(64)))).toBe('bad-model');
    expect(await failureOf(other)).toBe('unsupported');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_plan(1, 16, 0, 0, 0, 0)))).toBe('no-webgpu');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_load(0, 16, 0, 0, 1, 0, 0)))).toBe('out-of-memory');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_stats()))).toBe('internal');
  });
});
