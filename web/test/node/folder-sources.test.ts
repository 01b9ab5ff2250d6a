// Folders of ../../shared/vectors/sources, which not every machine has: each becomes the very file that `pronk convert`
// writes, and hostile ones are refused as their verdicts say.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { PronkError } from '../../src/runtime/errors.js';
import { Md5Check } from '../../src/runtime/folder-file.js';
import { findFolder } from '../../src/runtime/folder-files.js';
import { FolderModule } from '../../src/runtime/folder-module.js';
import { openFolder } from '../../src/runtime/folder-source.js';
import { nodePlatform } from '../../src/runtime/platform-node.js';
import { readWhole } from '../support/read-whole.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const sources = join(root, '../shared/vectors/sources');
const native = join(root, 'build/native/pronk');
const temporary = mkdtempSync(join(tmpdir(), 'pronk-folders-'));
afterAll(() => rmSync(temporary, { recursive: true }));

const built = '../../dist/runtime/platform-node.js';
const { Pronk } = (await import('../../dist/api/node.js' as string)) as typeof import('../../src/api/node.js');
const { nodePlatform: platform } = (await import(built)) as { nodePlatform: typeof nodePlatform };

async function openPath(path: string) {
  const found = await findFolder(nodePlatform, [{ kind: 'path', path }]);
  if (Array.isArray(found)) throw new Error(`${path} is no folder`);
  return openFolder(found, async () => new FolderModule(await platform.folderModule()), nodePlatform.startMd5);
}

const models = (kind: string): string[] => {
  const index = join(sources, kind, 'index.json');
  if (!existsSync(index)) return [];
  return (JSON.parse(readFileSync(index, 'utf8')).models as { dir: string }[]).map(({ dir }) => join(kind, dir));
};
const all = ['safetensors', 'aqlm', 'aqlm-rs', 'mlc'].flatMap(models);

if (all.length === 0) console.log('skipped: folders of models: there are no ../shared/vectors/sources');

describe.skipIf(all.length === 0 || !existsSync(native))('folders of models', () => {
  it.each(all)('%s is what convert makes of it', async (dir) => {
    const file = join(temporary, 'out.gguf');
    execFileSync(native, ['convert', join(sources, dir), file]);
    const source = await openPath(join(sources, dir));
    const bytes = await readWhole(source);
    const wanted = readFileSync(file);
    expect(source.size).toBe(bytes.length);
    expect(Math.ceil(bytes.length / 32) * 32).toBe(wanted.length); // convert pads the last tensor too
    expect(wanted.subarray(0, bytes.length).equals(bytes)).toBe(true);
    await source.close();
  });
});

interface Verdict {
  file: string;
  verdict: 'accept' | 'refuse' | 'either';
  why: string;
}
const bad: Verdict[] = existsSync(join(sources, 'bad/index.json'))
  ? (JSON.parse(readFileSync(join(sources, 'bad/index.json'), 'utf8')).files as Verdict[])
  : [];

describe.skipIf(bad.length === 0)('hostile folders', () => {
  it.each(bad.filter(({ file }) => /^(folders|aqlm)\//.test(file)))('$file: $verdict', async ({ file, verdict }) => {
    const error = await Pronk.load(join(sources, 'bad', file), { device: 'cpu', threads: 1 }).then(
      async (engine) => {
        await engine.unload();
        return null;
      },
      (e: Error) => e,
    );
    expectVerdict(error, verdict);
  });

  // Those of MLC are a cache and its shards without a configuration.
  it.each(bad.filter(({ file }) => /^mlc\//.test(file)))('$file: $verdict', async ({ file, verdict }) => {
    const error = await openCache(join(sources, 'bad', file)).then(
      () => null,
      (e: Error) => e,
    );
    expectVerdict(error, verdict);
  });
});

async function openCache(folder: string): Promise<void> {
  const module = new FolderModule(await platform.folderModule());
  const config = 'mlc-chat-config.json';
  module.addFile(config, readFileSync(join(sources, 'mlc/models/llama-q4f16_1', config)));
  module.addFile('tensor-cache.json', readFileSync(join(folder, 'tensor-cache.json')));
  for (const { name, md5 } of module.weightFiles()) {
    if (!existsSync(join(folder, name))) throw new PronkError('network', `there is no ${name}`);
    const shard = new Uint8Array(readFileSync(join(folder, name)));
    module.header(shard, shard.length);
    const check = new Md5Check(md5, platform.startMd5());
    if (md5 && !check.add(0, shard, shard.length)) throw new PronkError('damaged', 'another MD5');
  }
}

function expectVerdict(error: Error | null, verdict: Verdict['verdict']): void {
  if (verdict === 'refuse') expect(error).not.toBeNull();
  if (verdict === 'accept') expect(error).toBeNull();
  if (error) expect(error).toMatchObject({ name: 'PronkError', code: expect.not.stringMatching('internal|crashed') });
  expect(error?.message ?? '').not.toContain('\n');
}
