// What the public calls refuse: always with a PronkError, never by throwing at the call itself, and never in silence.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Engine, type LoadOptions } from '../../src/api/engine.js';
import { Pronk } from '../../src/api/node.js';
import { PronkError } from '../../src/runtime/errors.js';
import { EngineClient } from '../../src/worker/client.js';
import { connectLocally } from '../../src/worker/connect-local.js';
import { connectGiven, connectWorker, type GivenWorker } from '../../src/worker/connect-worker.js';
import { fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';
import { testHome } from '../support/test-home.js';

class TestEngine extends Engine {
  static async load(platform = fakePlatform(), options: LoadOptions = {}): Promise<TestEngine> {
    const home = testHome(connectLocally(platform));
    return new TestEngine(await Engine.loadFiles(home, [{ kind: 'bytes', bytes: fakeModel(20_000) }], options), home);
  }
}

afterEach(() => vi.unstubAllGlobals());

describe('an option that there is none of', () => {
  it('is refused by load() and plan(), which name it', async () => {
    const message = expect.stringContaining("there is no option 'contextLength'");
    const wrong = { contextLength: 2048 } as LoadOptions;
    await expect(Pronk.load('model.gguf', wrong)).rejects.toMatchObject({ code: 'bad-argument', message });
    await expect(Pronk.plan('model.gguf', wrong)).rejects.toMatchObject({ code: 'bad-argument', message });
    const none = { code: 'bad-argument', message: 'options are null, not an object' };
    await expect(Pronk.load('model.gguf', null as never)).rejects.toMatchObject(none);
  });

  it('is refused by generate() and tokenize()', async () => {
    const engine = await TestEngine.load();
    const refusal = (name: string) => ({
      code: 'bad-argument',
      message: expect.stringContaining(`there is no option '${name}'`),
    });
    const { result } = engine.generate('a', { max_tokens: 3 } as never);
    await expect(result).rejects.toMatchObject(refusal('max_tokens'));
    await expect(engine.tokenize('a', { addBos: true } as never)).rejects.toMatchObject(refusal('addBos'));
    await engine.unload();
  });
});

describe('an argument that is none', () => {
  it.each([null, undefined, 7, {}])('as a prompt, %o, fails the generation', async (prompt) => {
    const engine = await TestEngine.load();
    const generation = engine.generate(prompt as never);
    await expect(generation.result).rejects.toMatchObject({ name: 'PronkError', code: 'bad-argument' });
    const iterate = async () => {
      for await (const _ of generation);
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(engine.generate('a', null as never).result).rejects.toMatchObject({ code: 'bad-argument' });
    await engine.unload();
  });

  it('as a text or tokens is an error of the promise', async () => {
    const engine = await TestEngine.load();
    await expect(engine.tokenize(null as never)).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(engine.detokenize(null as never)).rejects.toMatchObject({ code: 'bad-argument' });
    expect(await engine.detokenize(Uint32Array.of(104, 105))).toBe('hi');
    await engine.unload();
  });
});

describe('an abort', () => {
  it('after the last byte frees the model, which nobody would own', async () => {
    const abort = new AbortController();
    const platform = fakePlatform();
    const onProgress: LoadOptions['onProgress'] = ({ phase }) => {
      if (phase === 'prepare') abort.abort();
    };
    const load = TestEngine.load(platform, { onProgress, signal: abort.signal });
    await expect(load).rejects.toMatchObject({ name: 'PronkError', code: 'aborted' });
    await expect.poll(() => platform.made[0]!.calls.at(-1)).toBe('unload');
  });

  it('that comes when the worker has answered already does so too', async () => {
    const abort = new AbortController();
    const platform = fakePlatform((module) => {
      const { pronk_special } = module.exports;
      module.exports.pronk_special = (which) => {
        queueMicrotask(() => abort.abort()); // what load() asks last
        return pronk_special(which);
      };
    });
    await expect(TestEngine.load(platform, { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
    await expect.poll(() => platform.made[0]!.calls.at(-1)).toBe('unload');
  });
});

describe('a worker that cannot be started', () => {
  const start = () => new EngineClient(connectWorker);

  it('where there are none is a PronkError', () => {
    vi.stubGlobal('Worker', undefined); // as in a shared worker and in a service worker
    expect(start).toThrow(PronkError);
    expect(start).toThrow(expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('shared') }));
  });

  it('that the browser refuses is a PronkError that says what helps', () => {
    const text = "Script at 'https://cdn.example/worker.js' cannot be accessed from origin 'https://a.example'.";
    vi.stubGlobal(
      'Worker',
      class {
        constructor() {
          throw new DOMException(text, 'SecurityError');
        }
      },
    );
    expect(start).toThrow(PronkError);
    const message = expect.stringMatching(/cdn\.example.*\{ worker \} takes one that imports 'pronk\/worker'/);
    expect(start).toThrow(expect.objectContaining({ code: 'unsupported', message }));
  });

  it('that is given serves one engine, and a function makes as many as are needed', () => {
    const fake = () => ({ postMessage: () => {}, terminate: () => {} }) as unknown as Worker;
    const connect = (given: GivenWorker) => {
      const by = connectGiven(given);
      return () => new EngineClient(by);
    };
    const [once, often] = [connect(fake()), connect(fake)];
    expect(once).not.toThrow();
    expect(once).toThrow(expect.objectContaining({ code: 'unsupported', message: expect.stringMatching(/has ended/) }));
    for (let i = 0; i < 3; i++) expect(often).not.toThrow();
  });
});
