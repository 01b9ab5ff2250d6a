/** What went wrong, for a program; the message is one line for a person. */
export type PronkErrorCode =
  | 'bad-model' // the file is not a GGUF model, or is damaged
  | 'unsupported' // a good file of an architecture, type or tokenizer that pronk does not know
  | 'out-of-memory' // the model and its context do not fit the device
  | 'no-webgpu' // WebGPU was asked for and there is no adapter
  | 'wrong-gpu' // the GPU computes wrongly: its results are not the CPU's
  | 'device-lost' // the GPU went away and did not come back, or went away too often
  | 'no-builtin-model' // this build of the package came without the model in the box
  | 'network' // the source could not be read
  | 'damaged' // bytes are not those that their hash promises
  | 'cache' // a cached file is in use and cannot be deleted
  | 'aborted' // by an AbortSignal
  | 'bad-argument' // a call was given something that it cannot use
  | 'worker-crashed' // the engine ended without an answer; the next call starts it again
  | 'unloaded' // unload() was called
  | 'internal'; // a bug of pronk

export class PronkError extends Error {
  override readonly name = 'PronkError';

  constructor(
    readonly code: PronkErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Any thrown value as a PronkError; what is none already becomes `code`. */
export function toPronkError(error: unknown, code: PronkErrorCode = 'internal'): PronkError {
  if (error instanceof PronkError) return error;
  if (isAbort(error)) return new PronkError('aborted', 'aborted', { cause: error });
  return new PronkError(code, messageOf(error), { cause: error });
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PronkError('aborted', 'aborted');
}

// The module's errors are lines of text; these words of them say which kind it is.
const kinds: [PronkErrorCode, RegExp][] = [
  ['wrong-gpu', /computes wrongly/i],
  ['device-lost', /\bdevice (was|is) lost\b/i],
  ['out-of-memory', /out of memory|does not fit|do not fit|this device's limit|refused memory/i],
  ['internal', /^the device (failed|reported)/],
  ['unsupported', /not supported|unsupported|not known|unknown|no kernel does|pronk reads|pronk runs/i],
];

/** The error for a message of the WASM module; `code` where its words do not tell. */
export function moduleError(message: string, code: PronkErrorCode): PronkError {
  const text = message || 'the engine failed without a message';
  return new PronkError(kinds.find(([, words]) => words.test(text))?.[0] ?? code, text);
}
