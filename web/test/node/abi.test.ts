// What the WASM module exports and imports is what the package declares; its numbers and structs are those of abi.ts,
// which tests/wasm/abi_test.cpp compares with the C++ declarations.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GpuHost } from '../../src/runtime/gpu.js';
import { type EngineModule, instantiate } from '../../src/runtime/module.js';
import { chooseModule } from '../../src/runtime/module-choice.js';
import { tinyModel } from '../support/tiny-gguf.js';

const compile = (name: string): WebAssembly.Module =>
  new WebAssembly.Module(readFileSync(new URL(`../../dist/${name}`, import.meta.url)));
const wasm = compile('pronk.wasm');

/** Of engines: text that a tokenizer of the host's makes. */
const textImports = ['text_compose', 'text_decode', 'text_encode', 'text_take', 'text_tokenizer'];

/** Names of an interface's functions, with their numbers of parameters; those of the one that it extends, too. */
function declaredExports(name: string): [string, number][] {
  const source = readFileSync(new URL('../../src/runtime/module.ts', import.meta.url), 'utf8');
  const [, base, body] = new RegExp(`export interface ${name} (?:extends (\\w+) )?\\{(.*?)\\n\\}`, 's').exec(source)!;
  const functions = body!.matchAll(/((?:pronk|folder)_\w+)\((.*?)\): (?:number|void);/gs);
  const inherited = base ? declaredExports(base) : [];
  return inherited.concat(ownOf(functions));
}

function ownOf(functions: Iterable<RegExpMatchArray>): [string, number][] {
  return Array.from(functions, ([, name, list]) => [name!, list!.split(',').filter((text) => text.trim()).length]);
}

const functionsOf = (exports: object): [string, number][] =>
  Object.entries(exports)
    .filter(([name]) => /^(pronk|folder)_/.test(name))
    .map(([name, value]) => [name, (value as (...all: number[]) => number).length]);

const fakeDevice = {
  addEventListener() {},
  removeEventListener() {},
  destroy() {},
  lost: new Promise(() => {}),
} as unknown as GPUDevice;

describe('the WASM module', () => {
  const exportsOf = ({ gpuSide }: EngineModule) => functionsOf(gpuSide);

  it('exports the functions that the package declares, with as many parameters', async () => {
    const found = exportsOf(await instantiate(wasm, null));
    expect(found.length).toBeGreaterThan(20);
    const declared = [...declaredExports('ModuleExports'), ...declaredExports('TuningExports'), ['pronk_gpu_event', 3]];
    expect(found.sort()).toEqual(declared.sort());
  });

  it('of folders exports what the package declares, and wants only a log', () => {
    const folder = compile('pronk-folder.wasm');
    const { exports } = new WebAssembly.Instance(folder, { pronk: { log() {} } });
    const declared = declaredExports('FolderExports');
    expect(declared).toHaveLength(17);
    expect(functionsOf(exports).sort()).toEqual(declared.sort());
    expect(WebAssembly.Module.imports(folder).map(({ name }) => name)).toEqual(['log']);
  });

  it('is for the CPU alone where its memory is shared: with threads, and without a GPU', async () => {
    const threads = compile('pronk-threads.wasm');
    const module = await instantiate(threads, null, chooseModule(2).memory);
    const declared = [...declaredExports('ModuleExports'), ...declaredExports('ThreadExports')];
    expect(exportsOf(module).sort()).toEqual(declared.sort());
    const imports = WebAssembly.Module.imports(threads).map(({ name }) => name);
    expect(imports.sort()).toEqual(['log', 'memory', ...textImports]);

    const model = tinyModel()[0]!;
    module.withBytes(model, (at) => module.call((m) => m.pronk_header(0, at, model.length, model.length)));
    expect(module.call((m) => m.pronk_plan(0, 16, 0, 0, 0, 0, 2))).toBe(0);
    expect(() => module.call((m) => m.pronk_plan(1, 16, 0, 0, 0, 0, 2))).toThrow(
      'this module computes on the CPU only',
    );
  });

  it('has no model where it measures kernels: a header, and what it is for', async () => {
    const found = exportsOf(await instantiate(compile('pronk-tune.wasm'), null));
    const beside = [...declaredExports('TuningExports'), ...declaredExports('TuneExports'), ['pronk_gpu_event', 3]];
    expect(found).toEqual(expect.arrayContaining(beside));
    const others = found.map(([name]) => name).filter((name) => !beside.some(([known]) => known === name));
    const first = [
      'alloc',
      'error_code',
      'free',
      'header',
      'realloc',
      'result_len',
      'result_ptr',
      'split_names',
      'unload',
    ];
    expect(others.sort()).toEqual(first.map((name) => `pronk_${name}`));
  });

  it('imports only functions that the host has, and all of them', () => {
    const host = new GpuHost(fakeDevice, {} as GPUAdapterInfo);
    const wanted = WebAssembly.Module.imports(wasm).map(({ name }) => name);
    expect(wanted.sort()).toEqual([...Object.keys(host.imports()), 'log', ...textImports].sort());
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
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_plan(0, 16, 0, 0, 0, 0, 1)))).toBe(null);
    expect(await failureOf(new TextEncoder().encode('no model at all'.padEnd(64)))).toBe('bad-model');
    expect(await failureOf(other)).toBe('unsupported');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_plan(1, 16, 0, 0, 0, 0, 1)))).toBe('no-webgpu');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_load(0, 16, 0, 0, 1, 0, 1, 0)))).toBe('out-of-memory');
    expect(await failureOf(model, (m) => m.call((e) => e.pronk_stats()))).toBe('internal');
  });
});
