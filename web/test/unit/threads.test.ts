// How many threads there are to be, which module they need, and workers that come late, fail, or never come.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EngineKeeper } from '../../src/runtime/engine-keeper.js';
import type { EngineModule } from '../../src/runtime/module.js';
import { chooseModule } from '../../src/runtime/module-choice.js';
import {
  countThreads,
  defaultThreads,
  type FromThread,
  type StartThread,
  type ThreadStart,
  ThreadTeam,
} from '../../src/runtime/threads.js';
import type { EngineOptions, Notice } from '../../src/runtime/types.js';
import { checkEngineOptions } from '../../src/runtime/validate.js';
import { fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('the number of threads', () => {
  it('is by default what the processors suggest, one at least and eight at most', () => {
    const counts = [1, 2, 3, 4, 6, 8, 12, 16, 128].map(defaultThreads);
    expect(counts).toEqual([1, 2, 2, 3, 3, 4, 6, 8, 8]);
  });

  it('is what was asked for, but one where there can be no more', () => {
    expect(countThreads(5, { processors: 2, missing: '' })).toBe(5);
    expect(countThreads(undefined, { processors: 2, missing: '' })).toBe(2);
    expect(countThreads(5, { processors: 8, missing: 'not isolated' })).toBe(1);
    expect(countThreads(undefined, { processors: 8, missing: 'not isolated' })).toBe(1);
  });

  it('is an option that is checked', () => {
    for (const threads of [0, 1.5, 65, -1, Number.NaN]) {
      expect(() => checkEngineOptions({ threads })).toThrow('threads');
    }
    checkEngineOptions({ threads: 1 });
    checkEngineOptions({ threads: 64 });
  });
});

describe('the module', () => {
  const validates = (yes: boolean) => vi.spyOn(WebAssembly, 'validate').mockReturnValue(yes);

  it('is the plain one beside a GPU, and for one thread without relaxed SIMD', () => {
    const validate = validates(true);
    expect(chooseModule(0)).toEqual({ name: 'plain', memory: null });
    validate.mockReturnValue(false);
    expect(chooseModule(1)).toEqual({ name: 'plain', memory: null });
  });

  it('has a shared memory for threads, and for relaxed SIMD', () => {
    const validate = validates(false);
    const threads = chooseModule(2);
    expect(threads.name).toBe('threads');
    expect(threads.memory!.buffer).toBeInstanceOf(SharedArrayBuffer);
    validate.mockReturnValue(true);
    expect(chooseModule(1).name).toBe('relaxed');
    expect(chooseModule(2).name).toBe('relaxed');
  });

  it('takes a smaller memory where there are no addresses for the largest, and the plain one where there is none', () => {
    validates(true);
    const { Memory } = WebAssembly;
    let most = 40_000;
    const sizes: number[] = [];
    class SmallMemory extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        sizes.push(descriptor.maximum!);
        if (descriptor.maximum! > most) throw new RangeError('no room');
        super(descriptor);
      }
    }
    vi.stubGlobal('WebAssembly', Object.assign(Object.create(WebAssembly), { Memory: SmallMemory }));
    expect(chooseModule(2).name).toBe('relaxed');
    expect(sizes).toEqual([65535, 32768]);
    most = 0;
    expect(chooseModule(2)).toEqual({ name: 'plain', memory: null });
  });
});

/** A team of a module that is not there, whose workers do what the test says. */
function teamOf(count: number, start: (start: ThreadStart) => void = () => {}) {
  const tell: ((message: FromThread) => void)[] = [];
  const fewer: string[] = [];
  const ended: number[] = [];
  const startThread: StartThread = (given, onMessage) => {
    start(given);
    tell.push(onMessage);
    return { end: () => ended.push(given.thread) };
  };
  const module = { shared: {}, makeStack: () => 4096, endThreads: () => ended.push(0) } as unknown as EngineModule;
  const team = new ThreadTeam(module, count, startThread, (why) => fewer.push(why));
  return { team, tell, fewer, ended };
}

describe('a team of threads', () => {
  it('has those that have come', () => {
    const { team, tell, fewer } = teamOf(3);
    expect(team.serving).toBe(0);
    for (const one of tell) one({ type: 'serving' });
    expect(team.serving).toBe(2);
    tell[0]!({ type: 'ended', why: 'a trap' });
    tell[0]!({ type: 'ended', why: 'its worker too' });
    expect(team.serving).toBe(1);
    expect(fewer).toEqual(['a trap']);
  });

  it('goes without those that cannot be started', () => {
    const { tell, fewer } = teamOf(4, ({ thread }) => {
      if (thread === 2) throw new Error('no worker');
    });
    expect(tell.length).toBe(2);
    expect(fewer).toEqual(['no worker']);
  });

  it('leaves no worker, and hears of none any more', async () => {
    const { team, tell, fewer, ended } = teamOf(3);
    await team.close();
    expect(ended).toEqual([0, 1, 2]); // first they may return
    for (const one of tell) one({ type: 'serving' });
    tell[0]!({ type: 'ended', why: 'terminated' });
    expect(team.serving).toBe(0);
    expect(fewer).toEqual([]);
  });
});

describe('an engine that can have no threads', () => {
  const noticesOf = async (options: EngineOptions) => {
    const notices: Notice[] = [];
    const platform = fakePlatform();
    const files = [{ kind: 'bytes', bytes: fakeModel(5000) } as const];
    const keeper = new EngineKeeper(platform, files, options, (notice) => notices.push(notice));
    const { plan } = await keeper.load();
    const { threads } = await keeper.stats();
    await keeper.close();
    return { planned: plan.threads, threads, notices };
  };

  it('says so where more than one was asked for', async () => {
    const { planned, threads, notices } = await noticesOf({ device: 'cpu', threads: 3 });
    expect([planned, threads]).toEqual([1, 1]);
    const message = 'the CPU has 1 thread instead of 3: there are no threads in this test';
    expect(notices).toEqual([{ kind: 'fewer-threads', message }]);
  });

  it('says nothing where none were', async () => {
    expect(await noticesOf({ device: 'cpu' })).toEqual({ planned: 1, threads: 1, notices: [] });
    expect((await noticesOf({ device: 'cpu', threads: 1 })).notices).toEqual([]);
  });
});
