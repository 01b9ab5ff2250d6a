// The options of a plan, and the budget that stands for none.
import { describe, expect, it } from 'vitest';
import { Engine, type LoadOptions } from '../../src/api/engine.js';
import { browserBudget } from '../../src/runtime/budget.js';
import type { Plan } from '../../src/runtime/types.js';
import { connectLocally } from '../../src/worker/connect-local.js';
import { fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';
import { testHome } from '../support/test-home.js';

class Planner extends Engine {
  static async plan(options: LoadOptions): Promise<[Plan, string]> {
    const platform = fakePlatform();
    const home = testHome(connectLocally(platform));
    const plan = await Engine.planFiles(home, [{ kind: 'bytes', bytes: fakeModel(100) }], options);
    return [plan, platform.made[0]!.calls.find((call) => call.startsWith('plan'))!];
  }
  static load(options: LoadOptions): Promise<unknown> {
    const home = testHome(connectLocally(fakePlatform()));
    return Engine.loadFiles(home, [{ kind: 'bytes', bytes: fakeModel(100) }], options);
  }
}

describe('planning', () => {
  it('asks for the context and the budget that were given', async () => {
    expect((await Planner.plan({}))[1]).toBe('plan 0 0 0 0 0');
    expect((await Planner.plan({ contextSize: 99, memoryBudget: 123 }))[1]).toBe('plan 0 99 0 0 123');
    expect((await Planner.plan({ contextSize: 'auto', memoryBudget: 12_345 }))[1]).toBe(
      `plan 0 ${0xffffffff} 0 0 12345`,
    );
    expect((await Planner.plan({ contextSize: 'auto' }))[1]).toBe(`plan 0 ${0xffffffff} 0 0 5000`);
  });

  it('says what fits and what does not, and never throws for that', async () => {
    const [auto] = await Planner.plan({ contextSize: 'auto', memoryBudget: 9000 });
    expect(auto).toMatchObject({ fits: true, refusal: '', memoryBudget: 9000, largestContext: auto.contextLength });
    expect(auto.contextLength).toBe(9000 - auto.memory.total);
    const [over] = await Planner.plan({ contextSize: auto.contextLength + 1, memoryBudget: 9000 });
    expect(over).toMatchObject({ fits: false, largestContext: auto.contextLength, activationsLowerBound: 500 });
    expect(over.refusal).toContain(`${auto.contextLength} tokens would fit`);
    const refused = Planner.load({ contextSize: auto.contextLength + 1, memoryBudget: 9000 });
    await expect(refused).rejects.toMatchObject({ code: 'out-of-memory', message: over.refusal });
  });

  it('refuses options that are none', async () => {
    for (const options of [
      { contextSize: 'large' },
      { memoryBudget: 0 },
      { memoryBudget: 1.5 },
      { memoryBudget: '1 GiB' },
    ]) {
      const message = expect.stringMatching(/^(contextSize|memoryBudget) is/);
      await expect(Planner.plan(options as never)).rejects.toMatchObject({ code: 'bad-argument', message });
    }
  });
});

describe('the budget of a browser', () => {
  const gib = 2 ** 30;
  const desktop = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36';
  const phone = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36';
  const iphone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1';

  it('is half of the memory, as far as that is told', () => {
    expect(browserBudget({ deviceMemory: 8, userAgent: desktop })).toBe(4 * gib);
    expect(browserBudget({ deviceMemory: 0.5, userAgent: desktop })).toBe(gib / 4);
    expect(browserBudget({ userAgent: desktop })).toBe(2 * gib);
  });

  it('is at most one GiB on a phone', () => {
    expect(browserBudget({ deviceMemory: 8, userAgentData: { mobile: true }, userAgent: desktop })).toBe(gib);
    expect(browserBudget({ deviceMemory: 8, userAgent: phone })).toBe(gib);
    expect(browserBudget({ deviceMemory: 1, userAgent: phone })).toBe(gib / 2);
    expect(browserBudget({ userAgent: iphone })).toBe(gib);
  });
});
