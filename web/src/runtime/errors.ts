// Errors as callers see them, and how those of the WASM module become such.
import { ErrorCode } from './abi.js';

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

/** Every failure of the package. */
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

const codes: Record<ErrorCode, PronkErrorCode> = {
  [ErrorCode.unspecified]: 'internal', // the module never says that
  [ErrorCode.badModel]: 'bad-model',
  [ErrorCode.unsupported]: 'unsupported',
  [ErrorCode.outOfMemory]: 'out-of-memory',
  [ErrorCode.badArgument]: 'bad-argument',
  [ErrorCode.noDevice]: 'no-webgpu',
  [ErrorCode.wrongGpu]: 'wrong-gpu',
  [ErrorCode.deviceLost]: 'device-lost',
  [ErrorCode.deviceFailed]: 'internal',
  [ErrorCode.internal]: 'internal',
};

/** The error for a code of the WASM module and its message. */
export function moduleError(code: number, message: string): PronkError {
  return new PronkError(codes[code as ErrorCode] ?? 'internal', message || 'the engine failed without a message');
}
