// What a caller may name a model by, as what travels to the worker.
import { PronkError } from '../runtime/errors.js';
import { ofUppermostFolder } from '../runtime/folder-files.js';
import { hubUrl } from '../runtime/hub.js';
import type { EngineOptions, FileSpec } from '../runtime/types.js';
import { builtinName, builtinUrl } from './builtin.js';

/**
 * One model file: a URL (relative ones as the page's), `hf:owner/repo/file.gguf` or
 * `hf:owner/repo@revision/folder/file.gguf` on Hugging Face, a File or Blob, or its bytes; in Node also a path. Bytes
 * are held twice while a browser loads them: a File or a URL is better for large models.
 *
 * Or a folder of safetensors (AQLM too) or of MLC's: its URL, which ends with a slash or is that of its config.json,
 * model.safetensors.index.json, mlc-chat-config.json or cache JSON; `hf:owner/repo` or `hf:owner/repo@revision`, which
 * is also the GGUF model of a repository that has one (of several that of Q4_K_M; `hf:owner/repo:Q8_0` names the type);
 * in Node its path.
 */
export type ModelFile = string | URL | Blob | ArrayBuffer | Uint8Array;

/**
 * A file, or all files of a split model or of a folder. One URL or path of a split model (`-00001-of-00003.gguf`) stands for all.
 * 'builtin' is the small model that ships with the package; in a browser it wants import 'pronk/builtin' (`./builtin` would be a file of that name).
 */
export type ModelSource = ModelFile | readonly ModelFile[];

/** Where files come from and are kept. */
export interface SourceOptions extends Pick<EngineOptions, 'cache'> {
  /** What `hf:` stands for in place of https://huggingface.co: a mirror. */
  hubEndpoint?: string;
}

type OfString = (text: string) => FileSpec;

export function fileSpecs(source: ModelSource, ofString: OfString, options: SourceOptions = {}): FileSpec[] {
  if (source === builtinName) return [stringSpec(builtinUrl().href, ofString)];
  const files = ofUppermostFolder(Array.isArray(source) ? (source as readonly ModelFile[]) : [source as ModelFile]);
  if (files.length === 0) throw new PronkError('bad-argument', 'the list of model files is empty');
  const { cache = true, hubEndpoint } = options;
  if (typeof cache !== 'boolean' && typeof cache !== 'string') {
    throw new PronkError('bad-argument', `cache is ${String(cache)}, not true, false or a folder`);
  }
  const ofName = (text: string): FileSpec => {
    const url = hubUrl(text, hubEndpoint);
    return url === null ? ofString(text) : { kind: 'url', url, hub: true };
  };
  return files.map(({ file, path }) => {
    const spec = fileSpec(file, ofName);
    if (spec.kind === 'blob' && path !== undefined) return { ...spec, path };
    return spec.kind === 'url' ? { ...spec, cache } : spec;
  });
}

function fileSpec(file: ModelFile, ofString: OfString): FileSpec {
  if (typeof file === 'string') return stringSpec(file, ofString);
  if (file instanceof URL) return stringSpec(file.href, ofString);
  if (file instanceof Blob) return { kind: 'blob', blob: file };
  if (file instanceof ArrayBuffer) return { kind: 'bytes', bytes: new Uint8Array(file) };
  if (file instanceof Uint8Array) return { kind: 'bytes', bytes: file };
  throw new PronkError('bad-argument', 'a model is given as a URL, a File or Blob, an ArrayBuffer, or a list of these');
}

function stringSpec(text: string, ofString: OfString): FileSpec {
  try {
    return ofString(text);
  } catch (error) {
    if (error instanceof PronkError) throw error;
    throw new PronkError('bad-argument', `'${text}' is not a URL`, { cause: error });
  }
}
