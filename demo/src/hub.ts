// Repositories of Hugging Face: what a person may call them, and which model files they have.
import { signal } from '@preact/signals';

export interface HubFile {
  path: string; // empty: the repository is one model
  bytes: number; // of all parts, where it is split
}

export interface Repository {
  name: string; // owner/repo
  files: HubFile[] | null; // null: being asked for
  problem: string; // why there are none, or empty
}

/** The repository whose files are shown. */
export const repository = signal<Repository | null>(null);

const host = 'https://huggingface.co';

export type HubName = { kind: 'repository'; name: string } | { kind: 'file'; source: string };

/** `owner/repo`, or a page of a model or of one of its files; null: it is something else. */
export function hubName(text: string): HubName | null {
  const path =
    /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/(.+)$/i.exec(text)?.[1] ??
    text.replace(/^hf:(?:\/\/)?(?=[\w.-]+\/[\w.-]+$)/i, '');
  const found =
    /^([\w.-]+\/[\w.-]+?)(?:\.git)?(?:\/(tree|blob|resolve)\/([^/?#]+)(?:\/([^?#]+))?)?\/?(?:[?#].*)?$/.exec(path);
  if (!found || /^(datasets|spaces|models|docs|api|blog)\//i.test(path) || /^\.+$/.test(path.split('/')[0]!))
    return null;
  const [, name, view, revision, file] = found;
  if (!view && /\.gguf$/i.test(name!)) return null; // a path on this page's server
  if ((view === 'blob' || view === 'resolve') && file) {
    const at = revision === 'main' ? '' : `@${revision}`;
    return { kind: 'file', source: `hf:${name}${at}/${decodeURI(file)}` };
  }
  return { kind: 'repository', name: name! };
}

/** Shows the model files of a repository. */
export async function showRepository(name: string): Promise<void> {
  repository.value = { name, files: null, problem: '' };
  const told = await fetchFiles(name).catch((error: unknown) =>
    error instanceof Error ? error.message : String(error),
  );
  if (repository.value?.name !== name) return;
  repository.value = typeof told === 'string' ? { name, files: [], problem: told } : { name, files: told, problem: '' };
}

async function fetchFiles(name: string): Promise<HubFile[]> {
  const response = await fetch(`${host}/api/models/${name}/tree/main?recursive=true`, {
    signal: AbortSignal.timeout(15_000),
  });
  if (response.status === 401 || response.status === 404) {
    throw new Error('There is no such model on Hugging Face, or it asks for a sign-in.');
  }
  if (!response.ok) throw new Error(`Hugging Face answers with the status ${response.status}.`);
  const list: unknown = await response.json();
  const files = ggufFiles(list);
  const whole = files.length === 0 ? folderModel(list) : null;
  if (whole) return [whole];
  if (files.length === 0)
    throw new Error('It has no GGUF files. Often another repository has them: its name ends in -GGUF.');
  return files;
}

/** Whether files of these names are a model of safetensors or MLC's. */
export function isModelFolder(names: readonly string[]): boolean {
  return names.includes('mlc-chat-config.json') || (names.includes('config.json') && names.some(isSafetensors));
}

const isSafetensors = (name: string): boolean => name.endsWith('.safetensors');

/** The model that a repository of safetensors or MLC's is, by a list of its files (anything); null: it is none. */
export function folderModel(found: unknown): HubFile | null {
  const names: string[] = [];
  let bytes = 0;
  for (const entry of Array.isArray(found) ? (found as unknown[]) : []) {
    const { path, size } = (entry ?? {}) as { path?: unknown; size?: unknown };
    if (typeof path !== 'string') continue;
    names.push(path);
    const weights = !path.includes('/') && (isSafetensors(path) || /^params_shard_\d+\.bin$/.test(path));
    if (weights && typeof size === 'number') bytes += size;
  }
  return isModelFolder(names) ? { path: '', bytes } : null;
}

/** The models in a list of files (anything), the smallest first; a split one once. */
export function ggufFiles(found: unknown): HubFile[] {
  const models = new Map<string, HubFile>();
  for (const entry of Array.isArray(found) ? (found as unknown[]) : []) {
    const { path, size } = (entry ?? {}) as { path?: unknown; size?: unknown };
    if (typeof path !== 'string' || !/\.gguf$/i.test(path) || /(^|\/)mmproj/i.test(path)) continue;
    const whole = path.replace(/-\d{5}-of-(\d{5}\.gguf)$/i, '-00001-of-$1');
    const bytes = (models.get(whole)?.bytes ?? 0) + (typeof size === 'number' ? size : 0);
    models.set(whole, { path: whole, bytes });
  }
  return [...models.values()].sort((a, b) => a.bytes - b.bytes);
}
