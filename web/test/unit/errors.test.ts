// The kind of an error crosses the WASM boundary as a number; its words are for people alone.
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../src/runtime/abi.js';
import { moduleError } from '../../src/runtime/errors.js';
import { EngineModule } from '../../src/runtime/module.js';
import { FakeModule } from '../support/fake-module.js';

describe("an error of the module's", () => {
  it('has the kind that its number says, whatever its words are', () => {
    const misleading = 'the device was lost, out of memory, not supported, computes wrongly';
    const of = (code: number) => moduleError(code, misleading);
    expect(of(ErrorCode.badModel)).toMatchObject({ name: 'PronkError', code: 'bad-model', message: misleading });
    expect(of(ErrorCode.unsupported).code).toBe('unsupported');
    expect(of(ErrorCode.outOfMemory).code).toBe('out-of-memory');
    expect(of(ErrorCode.badArgument).code).toBe('bad-argument');
    expect(of(ErrorCode.noDevice).code).toBe('no-webgpu');
    expect(of(ErrorCode.wrongGpu).code).toBe('wrong-gpu');
    expect(of(ErrorCode.deviceLost).code).toBe('device-lost');
    expect(of(ErrorCode.deviceFailed).code).toBe('internal');
    expect(of(ErrorCode.internal).code).toBe('internal');
    expect(of(250).code).toBe('internal'); // of a newer module
  });

  it('is thrown by the call that failed, with its message', () => {
    const fake = new FakeModule();
    const module = new EngineModule(fake.exports);
    const header = () =>
      module.withBytes(new Uint8Array(64), (at) => module.call((m) => m.pronk_header(0, at, 64, 64)));
    expect(header).toThrow(expect.objectContaining({ code: 'bad-model', message: 'magic: not a fake file' }));
    const ids = () => module.withIds([300], (at) => module.call((m) => m.pronk_detokenize(at, 1)));
    expect(ids).toThrow(expect.objectContaining({ code: 'bad-argument', message: 'token 258 or more' }));
  });
});
