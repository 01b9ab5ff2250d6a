// Operations in Dawn, which Chromium has too: kernels that pass numbers between the threads of a subgroup run in no other
// test, for the command line's WebGPU offers none on a CPU's driver.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/test-ops.mjs', import.meta.url));

/** Why there is none; empty: there is one. */
const noGpu = await testOps('--op', 'none').then(({ status, text }) => (status === 2 ? text : ''));
if (noGpu) console.log(`skipped: operations on a GPU: ${noGpu}`);

function testOps(...options: string[]): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...options], { timeout: 170_000 }, (error, out, errors) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, text: out + errors });
    });
  });
}

describe.skipIf(noGpu !== '')('operations by subgroups', () => {
  it.each([
    ['attention', '4x16+subgroups'], // by broadcasts, for CPUs
    ['attention-decode', '4x16x4x1x64+subgroups'],
    ['attention-decode', '64x8x0x8x64+subgroups'], // sums by shuffles
    ['matvec', '16x4x32+subgroups'],
    ['matvec', '4x8+subgroups'], // of lanes
    ['gemm', '32x64x4+subgroups'],
    ['gemm', '64x128/4+int8'], // k in parts
  ])('compute right: %s %s', async (op, candidate) => {
    const { status, text } = await testOps('--op', op, '--candidate', candidate, '--quick');
    expect(status, text).toBe(0);
  });

  it('are none where no candidate has the name', async () => {
    const { status, text } = await testOps('--op', 'attention', '--candidate', 'none');
    expect([status, text], text).toEqual([1, expect.stringContaining('0 tests')]);
  });
});

describe.skipIf(noGpu !== '')('experts', () => {
  it('are multiplied right, one token and many', async () => {
    const { status, text } = await testOps('--op', 'matmul-experts', '--quick');
    expect(status, text).toBe(0);
  });
});

describe.skipIf(noGpu !== '')('sampling', () => {
  it('takes the tokens of the reference, without any feature too', async () => {
    const { status, text } = await testOps('--op', 'sampling', '--no-features', '--default-limits');
    expect(status, text).toBe(0);
  });
});
