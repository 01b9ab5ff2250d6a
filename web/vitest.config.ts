import { defineConfig } from 'vitest/config';

// unit: no build needed. The others: the built package (dist/) and, for the page, ../demo/dist.
export default defineConfig({
  test: {
    maxWorkers: 2, // SwiftShader keeps a core busy for each
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'node',
          include: ['test/node/**/*.test.ts', 'src/runtime/gpu.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          globalSetup: ['test/support/swiftshader.ts'],
          setupFiles: ['test/support/gpu-polling.ts'],
          pool: 'forks',
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          pool: 'forks',
        },
      },
      {
        test: {
          name: 'engines',
          include: ['test/engines/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          pool: 'forks',
        },
      },
    ],
  },
});
