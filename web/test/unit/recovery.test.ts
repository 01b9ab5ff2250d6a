// How the engine comes back, with doubles of the GPU and of the module.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Engine, type LoadOptions } from '../../src/api/engine.js';
import { ErrorCode } from '../../src/runtime/abi.js';
import { EngineKeeper } from '../../src/runtime/engine-keeper.js';
import type { Platform } from '../../src/runtime/platform.js';
import { RecoveryLimit } from '../../src/runtime/recovery-limit.js';
import type { EngineOptions, Notice, Piece } from '../../src/runtime/types.js';
import type { Connect } from '../../src/worker/client.js';
import { connectLocally } from '../../src/worker/connect-local.js';
import { fakeGpu } from '../support/fake-gpu.js';
import { type FakeModule, fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';
import { testHome } from '../support/test-home.js';
import { withResolvers } from '../support/with-resolvers.js';

class TestEngine extends Engine {
  static async load(connect: Connect, options: LoadOptions = {}): Promise<TestEngine> {
    const home = testHome(connect);
    const engine = new TestEngine(
      await Engine.loadFiles(home, [{ kind: 'bytes', bytes: fakeModel(20_000) }], options),
      home,
    );
    cleanup.push(() => engine.unload());
    return engine;
  }
}

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(cleanup.splice(0).map((close) => close()));
});

const prompt = 'a long story about nothing';
const answer = [...prompt].reverse().join('');

function keeperOf(
  platform: Platform,
  options: EngineOptions = {},
  delays = [1, 1],
): { keeper: EngineKeeper; notices: Notice[] } {
  const notices: Notice[] = [];
  const files = [{ kind: 'bytes', bytes: fakeModel(20_000) } as const];
  const keeper = new EngineKeeper(platform, files, options, (notice) => notices.push(notice), delays);
  cleanup.push(() => keeper.close());
  return { keeper, notices };
}

async function answerOf(
  keeper: EngineKeeper,
  signal?: AbortSignal,
): Promise<{ text: string; pieces: number; reason: string }> {
  const pieces: Piece[] = [];
  const result = await keeper.generate(prompt, {}, (some) => pieces.push(...some), signal);
  return { text: pieces.map(({ text }) => text).join(''), pieces: pieces.length, reason: result.finishReason };
}

/** Loses the GPU of the n-th module before each of its tokens that `when` names. */
function losing(when: (module: number, token: number) => boolean) {
  const gpu = fakeGpu();
  const platform = fakePlatform((module, index) => {
    let token = 0;
    module.onStep = () => {
      if (when(index, token++)) gpu.devices[index]!.lose();
    };
  }, gpu.gpu);
  return { gpu, platform };
}

const kinds = (notices: Notice[]): string[] => notices.map(({ kind }) => kind);
const callsOf = (module: FakeModule | undefined, name: string): string[] =>
  module!.calls.filter((call) => call.startsWith(name));

describe('a lost device', () => {
  it('takes no vector with it', async () => {
    const { platform } = losing((module, step) => module === 0 && step === 4);
    const { keeper, notices } = keeperOf(platform, { embeddings: true });
    await keeper.load();
    const vectors = await keeper.embed(['a', 'bcd', 'e'], {});
    expect(vectors.map(([, first]) => first)).toEqual([97, 98, 101]);
    expect(kinds(notices)).toEqual(['device-lost', 'device-lost-recovered']);
    expect(platform.made.map((module) => callsOf(module, 'embed').length)).toEqual([2, 2]);
  });

  it('in mid-generation: another one goes on where it was, each piece given once', async () => {
    const { gpu, platform } = losing((module, token) => module === 0 && token === 5);
    const { keeper, notices } = keeperOf(platform);
    const { plan } = await keeper.load();
    expect(plan.device).toBe('webgpu');
    const made = await answerOf(keeper);
    expect(made).toEqual({ text: answer, pieces: prompt.length, reason: 'stop' });
    expect(kinds(notices)).toEqual(['device-lost', 'device-lost-recovered']);
    expect(notices[0]!.message).toContain('pulled out');
    expect(platform.made).toHaveLength(2);
    const given = Number(callsOf(platform.made[1], 'generate')[0]!.split(' ')[3]);
    expect(given).toBeGreaterThan(0);
    expect(callsOf(platform.made[1], 'generate')).toEqual([
      `generate ${prompt.length + 1 + given} ${4096 - given} ${given}`,
    ]);
    expect(platform.made[0]!.calls.at(-1)).toBe('unload'); // before the second had anything
    expect(gpu.devices[0]!.destroyed).toBe(true);
  });

  it('is followed by one that begins with half of the tokens a submission', async () => {
    const { platform } = losing((module) => module < 2);
    const { keeper } = keeperOf(platform);
    await keeper.load();
    platform.made[0]!.prefillChunk = 96; // what it had grown to
    expect((await answerOf(keeper)).text).toBe(answer);
    expect(platform.made.map(({ prefillChunk }) => prefillChunk)).toEqual([96, 48, 24]);
  });

  it('again and again: three times within a minute, then it is an error, and later it works again', async () => {
    let lossesLeft = 4;
    const { platform } = losing(() => lossesLeft-- > 0);
    const { keeper, notices } = keeperOf(platform);
    await keeper.load();
    await expect(answerOf(keeper)).rejects.toMatchObject({
      code: 'device-lost',
      message: expect.stringContaining('after 3 recoveries within a minute'),
    });
    expect(kinds(notices).filter((kind) => kind === 'device-lost-recovered')).toHaveLength(3);
    await expect(answerOf(keeper)).rejects.toMatchObject({ code: 'device-lost' });
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 61_000);
    try {
      expect((await answerOf(keeper)).text).toBe(answer);
    } finally {
      clock.mockRestore();
    }
  });

  it('while the model loads: it loads again from the start', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform(() => {}, gpu.gpu);
    const { keeper, notices } = keeperOf(platform);
    const info = await keeper.load(({ phase, loadedBytes }) => {
      if (phase === 'weights' && loadedBytes > 8000 && gpu.devices.length === 1) gpu.devices[0]!.lose();
    });
    expect(info.plan.device).toBe('webgpu');
    expect(kinds(notices)).toEqual(['device-lost', 'device-lost-recovered']);
    expect(Uint8Array.from(platform.made[1]!.files[0]!.received)).toEqual(fakeModel(20_000).subarray(64));
    expect((await answerOf(keeper)).text).toBe(answer);
  });

  it('while nothing runs: it comes back at once, and the next call waits for it', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform(() => {}, gpu.gpu);
    const { keeper, notices } = keeperOf(platform);
    await keeper.load();
    gpu.devices[0]!.lose();
    await expect.poll(() => kinds(notices)).toEqual(['device-lost', 'device-lost-recovered']);
    gpu.devices[1]!.lose();
    expect(await keeper.tokenize('é')).toEqual([256, 0xc3, 0xa9]);
    expect((await answerOf(keeper)).text).toBe(answer);
    expect(platform.made).toHaveLength(3);
  });

  it('keeps the context that the first load found', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform(() => {}, gpu.gpu);
    const { keeper } = keeperOf(platform, { contextSize: 'auto', memoryBudget: 30_000 });
    const { contextLength } = (await keeper.load()).plan;
    expect(contextLength).toBeLessThan(8192);
    gpu.devices[0]!.lose();
    await answerOf(keeper);
    expect(callsOf(platform.made[0], 'load')).toEqual([`load 1 ${0xffffffff}`]);
    expect(callsOf(platform.made[1], 'load')).toEqual([`load 1 ${contextLength}`]);
  });

  it('and no other comes: the CPU when the device was left open, and says so', async () => {
    const { gpu, platform } = losing((module, token) => {
      if (module === 0 && token === 3) gpu.adapters = false;
      return module === 0 && token === 3;
    });
    const { keeper, notices } = keeperOf(platform);
    await keeper.load();
    expect((await answerOf(keeper)).text).toBe(answer);
    expect(kinds(notices)).toEqual(['device-lost', 'running-on-cpu', 'device-lost-recovered']);
    expect(notices[1]!.message).toMatch(/pulled out.*no WebGPU adapter.*CPU/);
    expect(callsOf(platform.made[1], 'load')).toEqual(['load 0 4096']);
  });

  it('and no other comes: an error when WebGPU was asked for, until there is one again', async () => {
    const { gpu, platform } = losing((module, token) => {
      if (module === 0 && token === 3) gpu.adapters = false;
      return module === 0 && token === 3;
    });
    const { keeper } = keeperOf(platform, { device: 'webgpu' });
    await keeper.load();
    const message = expect.stringContaining('no WebGPU adapter');
    await expect(answerOf(keeper)).rejects.toMatchObject({ code: 'device-lost', message });
    gpu.adapters = true;
    expect((await answerOf(keeper)).text).toBe(answer);
  });

  it('that only shows as another error is seen as what it is', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform((module, index) => {
      module.failAfterTokens = index === 0 ? 4 : Infinity;
      module.failure = 'the device failed to read back: it is gone';
      module.failureCode = ErrorCode.deviceFailed;
      let token = 0;
      module.onStep = () => {
        if (index === 0 && token++ === 4) setImmediate(() => gpu.devices[0]!.lose()); // told later than it shows
      };
    }, gpu.gpu);
    const { keeper } = keeperOf(platform);
    await keeper.load();
    expect((await answerOf(keeper)).text).toBe(answer);
  });

  it('leaves other errors alone', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform((module) => {
      module.failAfterTokens = 2;
      module.failure = 'the device refused memory: no (the plan needs 7 MB; a smaller context length needs less)';
      module.failureCode = ErrorCode.outOfMemory;
    }, gpu.gpu);
    const { keeper, notices } = keeperOf(platform);
    await keeper.load();
    const message = expect.stringContaining('7 MB');
    await expect(answerOf(keeper)).rejects.toMatchObject({ code: 'out-of-memory', message });
    expect(notices).toEqual([]);
  });

  it('and a cancelled generation does not wait for the new one', async () => {
    const gpu = fakeGpu();
    const abort = new AbortController();
    const platform = fakePlatform((module, index) => {
      let token = 0;
      module.onStep = () => {
        if (index === 0 && token++ === 3) gpu.devices[0]!.lose();
      };
    }, gpu.gpu);
    const cancelled = withResolvers(); // only then there is another module
    const { keeper, notices } = keeperOf({
      ...platform,
      instantiate: async (host, threads) => {
        if (platform.made.length > 0) await cancelled.promise;
        return platform.instantiate(host, threads);
      },
    });
    await keeper.load();
    const running = answerOf(keeper, abort.signal);
    await expect.poll(() => kinds(notices)).toContain('device-lost');
    abort.abort();
    expect((await running).reason).toBe('cancelled');
    cancelled.resolve();
    expect((await answerOf(keeper)).text).toBe(answer);
  });

  it('ends with unload(), even while it comes back', async () => {
    const gpu = fakeGpu();
    const platform = fakePlatform(() => {}, gpu.gpu);
    const { keeper, notices } = keeperOf(platform, {}, [60_000]);
    await keeper.load();
    gpu.adapters = false;
    gpu.devices[0]!.lose();
    await expect.poll(() => kinds(notices)).toEqual(['device-lost']);
    const waiting = keeper.tokenize('a');
    await keeper.close();
    await expect(waiting).rejects.toMatchObject({ code: 'unloaded' });
    await expect(keeper.tokenize('a')).rejects.toMatchObject({ code: 'unloaded' });
  });
});

describe('a GPU that computes wrongly', () => {
  const wrong = (module: FakeModule, index: number): void => {
    const commit = module.exports.pronk_commit;
    module.exports.pronk_commit = (bytes) => {
      if (index > 0) return commit(bytes);
      return module.error(ErrorCode.wrongGpu, 'this GPU computes wrongly: matvec');
    };
  };

  it('gives way to the CPU when the device was left open', async () => {
    const gpu = fakeGpu();
    const { keeper, notices } = keeperOf(fakePlatform(wrong, gpu.gpu));
    const { plan } = await keeper.load();
    expect(plan).toMatchObject({ device: 'cpu', deviceNote: expect.stringContaining('computes wrongly') });
    expect(kinds(notices)).toEqual(['running-on-cpu']);
    expect(gpu.devices.map(({ destroyed }) => destroyed)).toEqual([true]);
  });

  it('is an error when WebGPU was asked for', async () => {
    const { keeper } = keeperOf(fakePlatform(wrong, fakeGpu().gpu), { device: 'webgpu' });
    await expect(keeper.load()).rejects.toMatchObject({ code: 'wrong-gpu' });
  });
});

describe('a crashed worker', () => {
  /** connectLocally() with workers that can be killed. */
  function killable(platform: Platform) {
    const crashes: ((why: string) => void)[] = [];
    const connect: Connect = (onMessage, onCrash) => {
      crashes.push(onCrash);
      return connectLocally(platform)(onMessage, onCrash);
    };
    return { connect, crashes };
  }

  it('fails what waits; the next call starts another and loads the model', async () => {
    const platform = fakePlatform();
    const { connect, crashes } = killable(platform);
    const notices: Notice[] = [];
    const engine = await TestEngine.load(connect, { onNotice: (notice) => notices.push(notice) });
    const generation = engine.generate('x'.repeat(5000));
    for await (const _ of generation) {
      crashes[0]!('killed');
      break;
    }
    await expect(generation.result).rejects.toMatchObject({
      code: 'worker-crashed',
      message: expect.stringContaining('killed'),
    });
    const [ids, pieces] = await Promise.all([engine.tokenize('a'), engine.generate('abc').result]);
    expect(ids).toEqual([256, 97]);
    expect(pieces.generatedTokens).toBe(3);
    expect(kinds(notices)).toEqual(['running-on-cpu', 'running-on-cpu', 'worker-restarted']);
    expect(notices[2]!.message).toContain('killed');
    expect(crashes).toHaveLength(2);
    expect((await engine.stats()).recoveries).toBe(1);
  });

  it('is started three times a minute, no more', async () => {
    const { connect, crashes } = killable(fakePlatform());
    const engine = await TestEngine.load(connect);
    for (let i = 0; i < 3; i++) {
      crashes[i]!('killed');
      expect(await engine.detokenize([97])).toBe('a');
    }
    crashes[3]!('killed');
    for (let i = 0; i < 2; i++) {
      await expect(engine.detokenize([97])).rejects.toMatchObject({
        code: 'worker-crashed',
        message: expect.stringMatching(/killed.*3 restarts/),
      });
    }
    expect(crashes).toHaveLength(4);
  });

  it('stays ended after unload()', async () => {
    const { connect, crashes } = killable(fakePlatform());
    const engine = await TestEngine.load(connect);
    crashes[0]!('killed');
    await engine.unload();
    await expect(engine.tokenize('a')).rejects.toMatchObject({ code: 'unloaded' });
    expect(crashes).toHaveLength(1);
  });

  it('counts what its device lost too', async () => {
    const gpu = fakeGpu();
    const engine = await TestEngine.load(connectLocally(fakePlatform(() => {}, gpu.gpu)));
    gpu.devices[0]!.lose();
    expect(await engine.tokenize('a')).toEqual([256, 97]);
    expect((await engine.stats()).recoveries).toBe(1);
    expect(engine.device).toBe('webgpu');
  });

  it('that does not answer an abort is ended all the same', async () => {
    vi.useFakeTimers();
    try {
      let closed = 0;
      const abort = new AbortController();
      const loading = TestEngine.load(() => ({ send: () => {}, close: () => closed++ }), { signal: abort.signal });
      const outcome = expect(loading).rejects.toMatchObject({ code: 'aborted' });
      abort.abort();
      await vi.advanceTimersByTimeAsync(3000);
      await outcome;
      expect(closed).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('an aborted load', () => {
  it('leaves no device behind, not even one that came after it', async () => {
    const abort = new AbortController();
    const gpu = fakeGpu(() => abort.abort());
    const load = TestEngine.load(connectLocally(fakePlatform(() => {}, gpu.gpu)), { signal: abort.signal });
    await expect(load).rejects.toMatchObject({ code: 'aborted' });
    expect(gpu.devices.map(({ destroyed }) => destroyed)).toEqual([true]);
  });
});

describe('RecoveryLimit', () => {
  it('counts what lies within its window', () => {
    const limit = new RecoveryLimit(2, 1000);
    expect([0, 500, 999, 1000, 1200, 1501].map((now) => limit.take(now))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
    ]);
  });
});
