// pull, list and rm: the models that are kept on this machine.
import { Pronk } from '../api/node.js';
import type { ModelCache } from '../runtime/cache.js';
import { PronkError } from '../runtime/errors.js';
import { findFolder } from '../runtime/folder-files.js';
import { FolderModule } from '../runtime/folder-module.js';
import { openFolder } from '../runtime/folder-source.js';
import { hubUrl } from '../runtime/hub.js';
import { nodePlatform } from '../runtime/platform-node.js';
import { type ByteSource, splitSiblings } from '../runtime/source.js';
import type { FileSpec } from '../runtime/types.js';
import { type Flags, textOf } from './options.js';
import { clearProgress, megabytes, showProgress } from './progress.js';

const partBytes = 4 << 20;

const hubEndpoint = (): string | undefined => process.env['PRONK_HF_ENDPOINT'] || undefined;

function cacheOf(flags: Flags): ModelCache {
  const folder = textOf(flags, 'cache');
  return folder === undefined ? Pronk.cache : Pronk.cacheIn(folder);
}

/** The addresses of all files of a model. */
function addressesOf(name: string): string[] {
  const url = hubUrl(name, hubEndpoint()) ?? name;
  if (!/^https?:/i.test(url) || !URL.canParse(url)) {
    throw new PronkError(
      'bad-argument',
      `'${name}' is no URL and not of the form hf:owner/repo or hf:owner/repo/file.gguf`,
    );
  }
  return splitSiblings(new URL(url).href);
}

export async function pullModel(flags: Flags, names: string[]): Promise<void> {
  if (names.length !== 1) throw new PronkError('bad-argument', 'pull wants one model');
  const hub = /^hf:/i.test(names[0]!);
  const cache = textOf(flags, 'cache') ?? true;
  const given: FileSpec[] = addressesOf(names[0]!).map((url) => ({ kind: 'url', url, cache, hub }));
  const found = await findFolder(nodePlatform, given);
  if (Array.isArray(found)) {
    for (const spec of found) await pullSource(nodePlatform.source(spec));
    return;
  }
  const module = async (): Promise<FolderModule> => new FolderModule(await nodePlatform.folderModule());
  await pullSource(await openFolder(found, module, nodePlatform.startMd5));
}

async function pullSource(source: ByteSource): Promise<void> {
  let at = 0;
  try {
    for (;;) {
      const { length } = await source.read(at, partBytes, Math.max(source.size, at + partBytes));
      if (length === 0) break;
      at += length;
      showProgress({ phase: 'weights', loadedBytes: at, totalBytes: Math.max(source.size, at) });
    }
  } finally {
    await source.close();
    clearProgress();
  }
  if (source.note) throw new PronkError('cache', `${source.name}: ${source.note}`);
  process.stdout.write(`${source.name}  ${megabytes(at)}\n`);
}

export async function listModels(flags: Flags): Promise<void> {
  for (const { url, bytes, size, complete } of await cacheOf(flags).list()) {
    const state = complete ? megabytes(size) : `${megabytes(bytes)} of ${megabytes(size)}`;
    process.stdout.write(`${state.padEnd(20)} ${url}\n`);
  }
}

export async function removeModels(flags: Flags, names: string[]): Promise<void> {
  if (names.length === 0) throw new PronkError('bad-argument', 'rm wants a model');
  const cache = cacheOf(flags);
  for (const name of names) {
    const removed = await Promise.all(addressesOf(name).map((url) => cache.delete(url)));
    if (!removed.includes(true)) throw new PronkError('cache', `${name} is not in the cache`);
  }
}
