// The API's side of the protocol: calls as promises, over anything that carries the messages.
import { PronkError } from '../runtime/errors.js';
import type { EngineInfo, LoadProgress, Notice, Piece } from '../runtime/types.js';
import type { CallName, Calls, FromWorker, ToWorker } from './protocol.js';

/** A worker, or what stands for one. */
export interface Connection {
  send(message: ToWorker): void;
  /** Frees the worker at once; nothing is received afterwards. */
  close(): void;
}

/** Makes a connection; onCrash is called once when it ends by itself. */
export type Connect = (onMessage: (message: FromWorker) => void, onCrash: (why: string) => void) => Connection;

export interface CallListeners {
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
  onPieces?: (pieces: Piece[]) => void;
}

interface PendingCall extends CallListeners {
  resolve(value: never): void;
  reject(error: PronkError): void;
}

export class EngineClient {
  private readonly connection: Connection;
  private readonly pending = new Map<number, PendingCall>();
  private nextId = 1;
  private end: PronkError | null = null;
  private readonly onNotice: (notice: Notice, info: EngineInfo | null) => void;

  /** onNotice: what the worker tells by itself; info as in the protocol. */
  constructor(connect: Connect, onNotice: (notice: Notice, info: EngineInfo | null) => void = () => {}) {
    this.onNotice = onNotice;
    this.connection = connect(
      (message) => this.receive(message),
      (why) => this.finish(new PronkError('worker-crashed', `the engine's worker crashed: ${why}`)),
    );
  }

  /**
   * Aborting the signal asks the worker to stop; the promise then ends as the worker says: with an error 'aborted', or
   * for a generation with its result.
   */
  call<Name extends CallName>(
    name: Name,
    given: Calls[Name]['arguments'],
    listeners: CallListeners = {},
  ): Promise<Calls[Name]['value']> {
    if (this.end) return Promise.reject(this.end);
    if (listeners.signal?.aborted) return Promise.reject(new PronkError('aborted', 'aborted'));
    const id = this.nextId++;
    const onAbort = (): void => this.connection.send({ type: 'abort', id });
    const answer = new Promise<Calls[Name]['value']>((resolve, reject) => {
      this.pending.set(id, { ...listeners, resolve, reject });
      listeners.signal?.addEventListener('abort', onAbort, { once: true });
      try {
        this.connection.send({ type: 'call', id, name, arguments: given } as ToWorker);
      } catch (error) {
        this.pending.delete(id);
        reject(new PronkError('bad-argument', `${name}: an argument cannot be sent to the worker: ${String(error)}`));
      }
    });
    return answer.finally(() => listeners.signal?.removeEventListener('abort', onAbort));
  }

  /** Why no call can be made any more; null: they can. */
  get ended(): PronkError | null {
    return this.end;
  }

  /** Ends the worker; pending calls and calls to come fail with `why`. */
  close(why = new PronkError('unloaded', 'the engine was unloaded')): void {
    this.finish(why);
  }

  private finish(error: PronkError): void {
    if (this.end) return;
    this.end = error;
    this.connection.close();
    for (const call of this.pending.values()) call.reject(error);
    this.pending.clear();
  }

  private receive(message: FromWorker): void {
    if (this.end) return;
    if (message.type === 'notice') return this.onNotice(message.notice, message.info);
    const call = this.pending.get(message.id);
    if (!call) return;
    switch (message.type) {
      case 'progress':
        call.onProgress?.(message.progress);
        return;
      case 'pieces':
        call.onPieces?.(message.pieces);
        return;
      case 'value':
        this.pending.delete(message.id);
        call.resolve(message.value as never);
        return;
      case 'error':
        this.pending.delete(message.id);
        call.reject(new PronkError(message.code, message.message));
        // A module that trapped answers no further call.
        if (message.code === 'worker-crashed') this.finish(new PronkError(message.code, message.message));
    }
  }
}
