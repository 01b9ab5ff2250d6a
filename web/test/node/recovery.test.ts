// The built package loses its GPU, in earnest: the device that it computes on is destroyed under it. Undisturbed it must
// not have said anything else.
import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Engine as EngineType, GenerateOptions, LoadOptions } from '../../src/api/engine.js';
import type { Platform } from '../../src/runtime/platform.js';
import type { FileSpec } from '../../src/runtime/types.js';
import type { Connect } from '../../src/worker/client.js';
import { boxGolden, boxPath } from '../support/golden.js';
import { testHome } from '../support/test-home.js';
import { tinyModel } from '../support/tiny-gguf.js';

const dist = new URL('../../dist/', import.meta.url);
const built = async <T>(path: string): Promise<T> => {
  if (!existsSync(new URL(path, dist))) throw new Error('web/dist is missing: run npm run build first');
  return (await import(new URL(path, dist).href)) as T;
};
const { Engine } = await built<{ Engine: typeof EngineType }>('api/engine.js');
const { nodePlatform } = await built<{ nodePlatform: Platform }>('runtime/platform-node.js');
const { connectLocally } = await built<{ connectLocally: (platform: Platform) => Connect }>('worker/connect-local.js');

/** Node's own platform, with a hand on the devices that it gives. */
function watched(onDevice: (device: GPUDevice, index: number) => void = () => {}) {
  const devices: GPUDevice[] = [];
  const platform: Platform = {
    ...nodePlatform,
    async gpu() {
      const gpu = await nodePlatform.gpu();
      if (typeof gpu === 'string') return gpu;
      const requestAdapter = async (options?: GPURequestAdapterOptions): Promise<GPUAdapter | null> => {
        const adapter = await gpu.requestAdapter(options);
        const request = adapter?.requestDevice.bind(adapter);
        if (adapter) {
          adapter.requestDevice = async (descriptor) => {
            const device = await request!(descriptor);
            onDevice(device, devices.push(device) - 1);
            return device;
          };
        }
        return adapter;
      };
      return { gpu, requestAdapter } as unknown as GPU; // the first only so that it lives on
    },
  };
  return { devices, platform };
}

/** Destroys the device when it is asked for its n-th list of commands from now on. */
function destroyAt(device: GPUDevice, n: number): void {
  const create = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    if (n-- === 0) device.destroy();
    return create(descriptor);
  };
}

class TestEngine extends Engine {
  static async load(platform: Platform, file: FileSpec, options: LoadOptions = {}): Promise<TestEngine> {
    const home = testHome(connectLocally(platform), 2 ** 30);
    const engine = new TestEngine(await Engine.loadFiles(home, [file], { device: 'webgpu', ...options }), home);
    open.push(engine);
    return engine;
  }
}

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.unload()));
});

const noGpu = await (async (): Promise<string> => {
  const gpu = await nodePlatform.gpu();
  if (typeof gpu === 'string') return gpu;
  return (await gpu.requestAdapter()) ? '' : 'there is no adapter';
})();
if (noGpu) console.log(`skipped: the tests on WebGPU: ${noGpu}`);

interface Made {
  tokens: number[];
  text: string;
}

async function made(
  engine: TestEngine,
  prompt: number[],
  options: GenerateOptions,
  onPiece = (_: number) => {},
): Promise<Made> {
  const tokens: number[] = [];
  let text = '';
  let pieces = 0;
  for await (const piece of engine.generate(prompt, options)) {
    if (piece.token !== null) tokens.push(piece.token);
    text += piece.text;
    onPiece(pieces++);
  }
  return { tokens, text };
}

const tiny: FileSpec = { kind: 'bytes', bytes: tinyModel()[0]! };
const greedy = { temperature: 0, maxTokens: 24, ignoreEos: true };
const sampled = { temperature: 1, topK: 40, topP: 0.95, minP: 0.01, seed: 2 ** 41 + 9, maxTokens: 24, ignoreEos: true };

describe.skipIf(noGpu)('a destroyed device', () => {
  it('changes no text: in prefill, in decode and between', async () => {
    const { devices, platform } = watched();
    const notices: string[] = [];
    const options: LoadOptions = { contextSize: 640, onNotice: ({ kind }) => notices.push(kind) };
    const engine = await TestEngine.load(platform, tiny, options);
    const prompt = await engine.tokenize('the cat, the hat. '.repeat(32)); // more than a chunk
    expect(prompt.length).toBeGreaterThan(256);
    const expected = { greedy: await made(engine, prompt, greedy), sampled: await made(engine, prompt, sampled) };
    expect(expected.greedy.tokens).toHaveLength(24);
    expect(new Set(expected.sampled.tokens).size).toBeGreaterThan(4);

    expect(await made(engine, prompt, sampled, (n) => n === 13 && devices[0]!.destroy())).toEqual(expected.sampled);
    expect(devices).toHaveLength(2);

    await made(engine, [1], { ...greedy, maxTokens: 1 }); // so that the cache has nothing of the prompt
    destroyAt(devices[1]!, 1); // the second chunk
    expect(await made(engine, prompt, greedy)).toEqual(expected.greedy);
    expect(devices).toHaveLength(3);

    devices[2]!.destroy();
    await devices[2]!.lost;
    expect(await made(engine, prompt, sampled)).toEqual(expected.sampled);
    expect(devices).toHaveLength(4);

    expect(notices).toEqual(Array(3).fill(['device-lost', 'device-lost-recovered']).flat());
    const stats = await engine.stats();
    expect(stats.recoveries).toBe(3);
    expect(stats.allocated).toEqual(engine.plan.memory);
    expect(engine.device).toBe('webgpu');
  }, 480_000); // four loads, each with its kernels to compile

  it('while the model loads is followed by another', async () => {
    const { devices, platform } = watched();
    const notices: string[] = [];
    const lost = new Set<string>();
    const engine = await TestEngine.load(platform, tiny, {
      onNotice: ({ kind }) => notices.push(kind),
      onProgress: ({ phase }) => {
        if (phase === 'header' || lost.has(phase) || devices.length === lost.size) return;
        lost.add(phase);
        devices.at(-1)!.destroy();
      },
    });
    expect([...lost]).toEqual(['weights', 'prepare']);
    expect(devices).toHaveLength(3);
    expect(notices).toEqual(['device-lost', 'device-lost', 'device-lost-recovered']);
    expect((await made(engine, [1, 2, 3], greedy)).tokens).toHaveLength(24);
    expect((await engine.stats()).allocated).toEqual(engine.plan.memory);
  });

  it('changes nothing of what the model in the box says', async (context) => {
    const cases = boxGolden();
    if (!cases) return context.skip();
    const { devices, platform } = watched();
    const engine = await TestEngine.load(platform, { kind: 'path', path: boxPath });
    const { prompt_tokens, tokens } = cases[0]!;
    const most = Math.min(tokens.length, 10);
    const answer = await made(
      engine,
      prompt_tokens,
      { temperature: 0, maxTokens: most },
      (n) => n === 5 && devices[0]!.destroy(),
    );
    expect(answer.tokens).toEqual(tokens.slice(0, most));
    expect(devices).toHaveLength(2);
  });

  it('that is refused memory is an error that says how much it was', async () => {
    const { platform } = watched((device) => {
      const create = device.createBuffer.bind(device);
      let count = 0;
      device.createBuffer = (descriptor) => create(count++ === 1 ? { ...descriptor, size: 2 ** 50 } : descriptor);
    });
    const message = expect.stringMatching(/refused memory.*the plan needs [\d.]+ MB/);
    await expect(TestEngine.load(platform, tiny)).rejects.toMatchObject({ code: 'out-of-memory', message });
  });

  it('leaves nothing on the device when the load is aborted', async () => {
    for (const phase of ['header', 'prepare'] as const) {
      const buffers = new Set<GPUBuffer>();
      let isLost = false;
      const { platform } = watched((device) => {
        void device.lost.then(() => (isLost = true));
        const create = device.createBuffer.bind(device);
        device.createBuffer = (descriptor) => {
          const buffer = create(descriptor);
          const destroy = buffer.destroy.bind(buffer);
          buffers.add(buffer);
          buffer.destroy = () => {
            buffers.delete(buffer);
            return destroy();
          };
          return buffer;
        };
      });
      const abort = new AbortController();
      const onProgress: LoadOptions['onProgress'] = (progress) => progress.phase === phase && abort.abort();
      const load = TestEngine.load(platform, tiny, { onProgress, signal: abort.signal });
      await expect(load).rejects.toMatchObject({ code: 'aborted' });
      await expect.poll(() => [isLost, buffers.size]).toEqual([true, 0]);
    }
  });
});
