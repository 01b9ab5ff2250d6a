// What a user asks of Dawn in Node, and what the module learns of a device's experimental matrices of subgroups.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HostDescription } from '../../src/runtime/abi.js';
import { GpuHost, requestDevice } from '../../src/runtime/gpu.js';
import { createNodeGpu } from '../../src/runtime/gpu-node.js';
import { nodePlatform } from '../../src/runtime/platform-node.js';

const dawn = vi.hoisted(() => ({ create: vi.fn((options: string[]) => ({ options })) }));
vi.mock('webgpu', () => dawn);

beforeEach(() => dawn.create.mockClear());
afterEach(() => vi.unstubAllEnvs());

const given = (): string[] => dawn.create.mock.calls.at(-1)![0];

describe("options of Node's Dawn", () => {
  it('come behind those that pronk gives itself', async () => {
    await createNodeGpu();
    const own = given();
    expect(own.length).toBeGreaterThan(0);
    await createNodeGpu(['backend=vulkan']);
    expect(given()).toEqual([...own, 'backend=vulkan']);
  });

  it('are what PRONK_DAWN names, between spaces', async () => {
    vi.stubEnv('PRONK_DAWN', undefined);
    await nodePlatform.gpu();
    const own = given();
    vi.stubEnv('PRONK_DAWN', ' enable-dawn-features=allow_unsafe_apis  adapter=llvmpipe ');
    await nodePlatform.gpu();
    expect(given()).toEqual([...own, 'enable-dawn-features=allow_unsafe_apis', 'adapter=llvmpipe']);
  });
});

const matrices = 'chromium-experimental-subgroup-matrix';

// An adapter with matrices of halves, 16 × 16, whose devices have what was asked for; `requested` is that.
function fakeAdapter(features: string[]) {
  const requested: string[] = [];
  const info = {
    subgroupMinSize: 32,
    subgroupMaxSize: 64,
    subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
  };
  const adapter = {
    limits: {},
    features: new Set(features),
    info,
    requestDevice: async (descriptor: { requiredFeatures?: string[] }) => {
      requested.push(...(descriptor.requiredFeatures ?? []));
      return {
        limits: {},
        features: new Set(requested),
        lost: new Promise(() => {}),
        addEventListener: () => {},
        removeEventListener: () => {},
        destroy: () => {},
      };
    },
  };
  return { gpu: { requestAdapter: async () => adapter } as unknown as GPU, requested };
}

async function described(gpu: GPU): Promise<Record<'subgroups' | 'subgroupMaxSize' | 'subgroupMatrix', number>> {
  const grant = await requestDevice(gpu);
  if (typeof grant === 'string') throw new Error(grant);
  const host = new GpuHost(grant.device, grant.info, grant.integerDotProduct);
  const memory = new WebAssembly.Memory({ initial: 1 });
  host.attach({ memory, pronk_gpu_event: () => 0 }, () => {});
  expect(host.imports().gpu_describe(64)).toBe(1);
  const view = new DataView(memory.buffer, 64);
  const field = (name: 'subgroups' | 'subgroupMaxSize' | 'subgroupMatrix'): number =>
    view.getUint32(HostDescription.fields[name].offset, true);
  return {
    subgroups: field('subgroups'),
    subgroupMaxSize: field('subgroupMaxSize'),
    subgroupMatrix: field('subgroupMatrix'),
  };
}

describe('what the module is told of matrices', () => {
  it('is their size, of a device that has them', async () => {
    const { gpu, requested } = fakeAdapter(['shader-f16', 'subgroups', matrices]);
    expect(await described(gpu)).toEqual({ subgroups: 1, subgroupMaxSize: 64, subgroupMatrix: 16 });
    expect(requested).toContain(matrices);
  });

  it('is 0 where the adapter has them and the feature is off', async () => {
    const { gpu } = fakeAdapter(['shader-f16', 'subgroups']);
    expect(await described(gpu)).toEqual({ subgroups: 1, subgroupMaxSize: 64, subgroupMatrix: 0 });
  });
});
