// Files on Hugging Face: their addresses, and the hash that the hub promises.
// https://huggingface.co/docs/hub/api
import { PronkError } from './errors.js';
import { decoded } from './source.js';

export const hubEndpoint = 'https://huggingface.co';

const patience = 10_000; // milliseconds

export interface HubFile {
  endpoint: string;
  repo: string; // owner/name
  revision: string;
  path: string;
}

/**
 * The address of `hf:owner/repo/file.gguf` or `hf:owner/repo@revision/folder/file.gguf`, and of `hf:owner/repo` or a
 * folder in it, which then ends with a slash; of `hf:owner/repo:Q4_K_M` that with the type behind a #. null: the text
 * is none.
 */
export function hubUrl(text: string, endpoint = hubEndpoint): string | null {
  if (!/^hf:/i.test(text)) return null;
  const match = /^hf:(?:\/\/)?([\w.-]+)\/([\w.-]+)(?:@([^/:]+))?(?::([\w.-]+)|\/([^?#]*))?$/i.exec(text);
  if (!match) {
    const forms = 'hf:owner/repo, hf:owner/repo:TYPE, hf:owner/repo/file.gguf or hf:owner/repo@revision/file.gguf';
    throw new PronkError('bad-argument', `'${text}' is not of the form ${forms}`);
  }
  const [, owner, repo, revision = 'main', type = '', path = ''] = match;
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return `${endpoint.replace(/\/+$/, '')}/${owner}/${repo}/resolve/${encodeURIComponent(revision)}/${encoded}${type && `#${type}`}`;
}

/** `hub`: whether the address is known to be of a hub; else only Hugging Face's own hosts are. */
export function hubFile(url: string, hub = false): HubFile | null {
  if (!URL.canParse(url)) return null;
  const { origin, hostname, pathname } = new URL(url);
  if (!hub && hostname !== 'huggingface.co' && hostname !== 'hf.co') return null;
  const match = /^(.*)\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
  if (!match) return null;
  const [, prefix, repo, revision, path] = match;
  return { endpoint: origin + prefix, repo: repo!, revision: revision!, path: decoded(path!) };
}

/** Whether what the address names can never change: a revision that is a commit. */
export function isFixed(file: HubFile | null): boolean {
  return file !== null && /^[0-9a-f]{40}$/.test(file.revision);
}

/** A file as the hub's list of files has it. */
export interface HubEntry {
  path: string;
  /** In hex; null: the list tells none. */
  sha256: string | null;
}

/** Whether these are the paths of a folder of weights. */
export function isWeightFolder(paths: readonly string[]): boolean {
  return paths.includes('mlc-chat-config.json') || paths.some((path) => /^[^/]*\.safetensors$/.test(path));
}

/** With a slash at its end; empty: the repository itself. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** The files in the folder that a file is in, or also those `within` its folders; null where the list cannot be had. */
export async function hubList(
  file: HubFile,
  { fetchText = (...a) => fetch(...a), within = false }: { fetchText?: typeof fetch; within?: boolean } = {},
): Promise<HubEntry[] | null> {
  const folder = folderOf(file.path).split('/').slice(0, -1).map(encodeURIComponent).join('/');
  const query = within ? '?recursive=1' : '';
  const list = `${file.endpoint}/api/models/${file.repo}/tree/${file.revision}${folder && `/${folder}`}${query}`;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const response = await fetchText(list, { signal: abort.signal });
    if (!response.ok) return null;
    const entries = (await response.json()) as { type?: unknown; path?: unknown; lfs?: { oid?: unknown } }[];
    return entries.flatMap(({ type, path, lfs }) =>
      typeof path === 'string' && type !== 'directory' ? [{ path, sha256: sha256Of(lfs?.oid) }] : [],
    );
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function sha256Of(oid: unknown): string | null {
  const hash = typeof oid === 'string' ? oid.replace(/^sha256:/, '').toLowerCase() : '';
  return /^[0-9a-f]{64}$/.test(hash) ? hash : null;
}

/** The file's SHA-256 in hex as the hub has it; null where it cannot be had: then the length is all that is checked. */
export async function hubHash(file: HubFile, fetchText?: typeof fetch): Promise<string | null> {
  const entries = await hubList(file, fetchText && { fetchText });
  return entries?.find((entry) => entry.path === file.path)?.sha256 ?? null;
}
