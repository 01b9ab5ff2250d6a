// A model that is a folder of files (Hugging Face's, MLC's, AQLM.rs's): what names one, and its files by their names.
import { keptBelow } from './cache.js';
import { PronkError } from './errors.js';
import { chooseGguf } from './gguf-choice.js';
import { FileMissing } from './http-answer.js';
import { folderOf, type HubEntry, hubFile, hubList, isWeightFolder } from './hub.js';
import type { Platform } from './platform.js';
import { type ByteSource, decoded, fileName } from './source.js';
import type { FileSpec } from './types.js';

type UrlSpec = FileSpec & { kind: 'url' };

/** The files of a folder. */
export interface FolderFiles {
  /** For a person. */
  readonly name: string;
  /** All but those of folders within; null: they are not known. */
  readonly names: readonly string[] | null;
  /** false: there is no file of that name; null: only opening it can tell. */
  has(name: string): boolean | null;
  source(name: string): ByteSource;
}

/**
 * Of the files of a chosen directory (File.webkitRelativePath) those of its uppermost folder of a model and what is
 * within, by their paths in it; else all, by no path.
 */
export function ofUppermostFolder<T>(files: readonly T[]): { file: T; path?: string }[] {
  const path = (file: T): string => (file instanceof Blob && (file as Partial<File>).webkitRelativePath) || '';
  const folders = files.map((file) => path(file).replace(/[^/]*$/, ''));
  const marked = folders.filter((folder, i) =>
    kinds.some((kind) => folder !== '' && path(files[i]!) === folder + kind),
  );
  if (marked.length === 0) return files.map((file) => ({ file }));
  const uppermost = marked.reduce((a, b) => (b.split('/').length < a.split('/').length ? b : a));
  return files
    .filter((file) => path(file).startsWith(uppermost))
    .map((file) => ({ file, path: path(file).slice(uppermost.length) }));
}

/** A folder has one of them. */
const kinds = ['mlc-chat-config.json', 'model.norm.weight.safetensors', 'config.json'];
/** Folders within that have files of the model's. */
const isModule = (name: string): boolean => /^\d_(Pooling|Dense)$/.test(name);
/** Names that stand for the folder that they are in. */
const folderMarks = [...kinds, 'model.safetensors.index.json', 'tensor-cache.json', 'ndarray-cache.json'];

/**
 * What the files of a model are: a folder, or the files themselves, in place of a repository the GGUF files in it.
 */
export async function findFolder(platform: Platform, files: FileSpec[]): Promise<FolderFiles | FileSpec[]> {
  const only = files.length === 1 ? files[0] : undefined;
  if (only?.kind === 'url') return folderOfUrl(platform, only);
  if (only?.kind === 'path') return (await folderOfPath(platform, only.path)) ?? files;
  return folderOfBlobs(platform, files) ?? files;
}

// --- URLs ------------------------------------------------------------------------------------------------------------

async function folderOfUrl(platform: Platform, spec: UrlSpec): Promise<FolderFiles | FileSpec[]> {
  if (!URL.canParse(spec.url)) return [spec];
  const { pathname, hash } = new URL(spec.url);
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  if (last !== '' && !folderMarks.includes(last)) return [spec];
  const urlOf = (path: string): string => {
    const url = new URL(spec.url);
    url.pathname = pathname.slice(0, pathname.length - last.length) + path.split('/').map(encodeURIComponent).join('/');
    url.hash = '';
    return url.href;
  };
  const inHub = hubFile(urlOf(kinds[0]!), spec.hub);
  const type = inHub ? decoded(hash.slice(1)) : '';
  const list = inHub && (await hubList(inHub, { within: true }));
  const entries = list && new Map(list.map((entry) => [entry.path.slice(folderOf(inHub.path).length), entry]));
  const folder = fileName(urlOf('').replace(/\/(?:[?#].*)?$/, '')) || new URL(spec.url).host;
  const name = inHub ? inHub.repo : folder;
  // Without a list what is kept of the repository is one.
  const kept = inHub && !list && spec.cache ? await keptBelow(await platform.texts(spec.cache), urlOf('')) : [];
  const paths = entries ? [...entries.keys()] : kept.length > 0 ? kept.map(({ path }) => path) : null;
  if (paths && (type !== '' || !isWeightFolder(paths))) return [{ ...spec, url: urlOf(chooseGguf(name, paths, type)) }];
  if (type !== '') throw new PronkError('network', `${inHub!.endpoint} gives no list of the files of ${name}`);
  return new UrlFolder(platform, spec, name, urlOf, entries);
}

class UrlFolder implements FolderFiles {
  constructor(
    private readonly platform: Platform,
    private readonly spec: UrlSpec,
    readonly name: string,
    private readonly urlOf: (name: string) => string,
    private readonly entries: Map<string, HubEntry> | null,
  ) {}

  get names(): string[] | null {
    return this.entries && [...this.entries.keys()].filter(isOutside);
  }

  has(name: string): boolean | null {
    return this.entries?.has(name) ?? null;
  }

  source(name: string): ByteSource {
    const told = this.entries && { sha256: this.entries.get(name)?.sha256 ?? null };
    return this.platform.source({ ...this.spec, ...told, url: this.urlOf(name), longRequests: true });
  }
}

/** Not in a folder within. */
const isOutside = (path: string): boolean => !path.includes('/');

// --- files at hand ---------------------------------------------------------------------------------------------------

async function folderOfPath(platform: Platform, path: string): Promise<FolderFiles | null> {
  const marked = folderMarks.includes(fileName(path));
  const folder = marked ? path.slice(0, path.length - fileName(path).length) || '.' : path;
  const names = await platform.listFolder(folder);
  if (!names) return null;
  const within = /[\\/]$/.test(folder) ? folder : `${folder}/`;
  const name = fileName(within.slice(0, -1)) || folder;
  const all = [...names];
  for (const module of names.filter(isModule)) {
    all.push(...((await platform.listFolder(within + module)) ?? []).map((each) => `${module}/${each}`));
  }
  const specs = new Map(all.map((each): [string, FileSpec] => [each, { kind: 'path', path: within + each }]));
  if (!kinds.some((kind) => specs.has(kind))) throw new PronkError('bad-model', notOne(name));
  return new SpecFolder(platform, name, specs);
}

function folderOfBlobs(platform: Platform, files: FileSpec[]): FolderFiles | null {
  const specs = new Map<string, FileSpec>();
  for (const spec of files) {
    if (spec.kind !== 'blob' || !('name' in spec.blob)) return null;
    specs.set(spec.path ?? String(spec.blob.name), spec);
  }
  if (kinds.some((kind) => specs.has(kind))) return new SpecFolder(platform, 'the folder', specs);
  if ([...specs.keys()].some((name) => name.endsWith('.safetensors'))) {
    throw new PronkError('bad-argument', notOne('the list of files'));
  }
  return null;
}

class SpecFolder implements FolderFiles {
  constructor(
    private readonly platform: Platform,
    readonly name: string,
    private readonly specs: Map<string, FileSpec>,
  ) {}

  get names(): string[] {
    return [...this.specs.keys()].filter(isOutside);
  }

  has(name: string): boolean {
    return this.specs.has(name);
  }

  source(name: string): ByteSource {
    const spec = this.specs.get(name);
    if (!spec) throw new FileMissing('network', `${this.name} has no ${name}`);
    return this.platform.source(spec);
  }
}

/** Why something is no folder of a model. */
export function notOne(name: string): string {
  return `${name} is no folder of a model: it has neither ${kinds.join(' nor ')}`;
}
