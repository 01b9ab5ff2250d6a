// Which device 'auto' takes: never an adapter whose work the CPU does, for pronk's own CPU path is many times as fast.
import { describe, expect, it } from 'vitest';
import { EngineKeeper } from '../../src/runtime/engine-keeper.js';
import type { DeviceChoice, Notice } from '../../src/runtime/types.js';
import { fakeGpu } from '../support/fake-gpu.js';
import { fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';

async function loadOn(info: Partial<GPUAdapterInfo>, device?: DeviceChoice) {
  const gpu = Object.assign(fakeGpu(), { info });
  const notices: Notice[] = [];
  const files = [{ kind: 'bytes' as const, bytes: fakeModel(20_000) }];
  const keeper = new EngineKeeper(
    fakePlatform(() => {}, gpu.gpu),
    files,
    { device },
    (n) => notices.push(n),
    [1, 1],
  );
  const { plan } = await keeper.load();
  return { plan, notices, gpu, keeper };
}

const software: Partial<GPUAdapterInfo>[] = [
  { vendor: 'google', architecture: 'swiftshader', isFallbackAdapter: true },
  { vendor: 'something', architecture: 'new', isFallbackAdapter: true },
  { vendor: 'google', architecture: 'swiftshader' },
  { description: 'SwiftShader Device (LLVM 10.0.0)' },
  { vendor: 'mesa', device: 'llvmpipe (LLVM 15.0.6, 256 bits)' },
  { description: 'Microsoft Basic Render Driver' },
  { vendor: 'microsoft', architecture: 'warp' },
];

describe("the device 'auto'", () => {
  it.each(software)('takes the CPU where the adapter is %o, and says so', async (info) => {
    const { plan, notices, gpu } = await loadOn(info);
    expect(plan.device).toBe('cpu');
    expect(plan.deviceNote).toMatch(/^the only WebGPU adapter is software \(.+\)$/);
    expect(notices.map(({ kind }) => kind)).toEqual(['running-on-cpu']);
    expect(notices[0]!.message).toBe(`${plan.deviceNote}; running on the CPU`);
    expect(gpu.devices).toHaveLength(0);
  });

  it.each([
    { vendor: 'nvidia', architecture: 'ampere', isFallbackAdapter: false },
    { vendor: 'intel', architecture: 'gen-12lp', description: 'Intel(R) Iris(R) Xe Graphics' },
    { description: 'NVIDIA GeForce (warping of time)' },
    {},
  ])('takes the GPU %o', async (info) => {
    const { plan, notices } = await loadOn(info);
    expect(plan).toMatchObject({ device: 'webgpu' });
    expect(plan.deviceNote).toBeUndefined();
    expect(notices).toEqual([]);
  });

  it('takes the CPU when a lost GPU leaves only software behind', async () => {
    const { keeper, gpu, notices } = await loadOn({ vendor: 'amd' });
    gpu.info = { architecture: 'warp' };
    gpu.devices[0]!.lose();
    await expect.poll(() => notices).toHaveLength(3);
    expect(notices.map(({ kind }) => kind)).toEqual(['device-lost', 'running-on-cpu', 'device-lost-recovered']);
    await keeper.close();
    expect(notices[1]!.message).toContain('software (warp)');
    expect(gpu.devices).toHaveLength(1);
  });
});

it("the device 'webgpu' is any adapter", async () => {
  const { plan, gpu } = await loadOn(software[0]!, 'webgpu');
  expect(plan.device).toBe('webgpu');
  gpu.devices[0]!.lose();
});
