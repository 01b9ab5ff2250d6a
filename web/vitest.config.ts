import { defineConfig } from 'vitest/config';

// Limits only for what hangs: a machine with other things to do may take many times what it takes else.
const patient = { testTimeout: 240_000, hookTimeout: 240_000, expect: { poll: { timeout: 120_000 } } };

// unit: no build needed. The others: the built package (dist/) and, for the page, ../demo/dist.
export default defineConfig({
  test: {
    maxWorkers: 2, // SwiftShader keeps a core busy for each
    projects: [
      { test: { ...patient, name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        test: {
          ...patient,
          name: 'node',
          include: ['test/node/**/*.test.ts', 'src/runtime/gpu.test.ts'],
          globalSetup: ['test/support/swiftshader.ts'],
          setupFiles: ['test/support/gpu-polling.ts'],
          pool: 'forks',
        },
      },
      {
        test: {
          ...patient,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          pool: 'forks',
        },
      },
      {
        test: {
          ...patient,
          name: 'engines',
          include: ['test/engines/**/*.test.ts'],
          pool: 'forks',
        },
      },
    ],
  },
});
