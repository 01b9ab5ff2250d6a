// Programs that the drivers start. They end with this process however it ends: the kernel kills them (setpriv).
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `setpriv` and what it is to be given before a program and its arguments. */
export const setpriv = '/usr/bin/setpriv';
export const endWithParent: readonly string[] = ['--pdeathsig', 'KILL', '--'];

/** The first of these files that is not here, as a reason not to run; null: all are. */
export function missingFile(...paths: string[]): string | null {
  const path = paths.find((one) => !existsSync(one));
  return path === undefined ? null : `there is no ${path}`;
}

/** Puts away what was made, the last first; each step is tried whatever the others do. */
export class Closers {
  private readonly steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.steps.push(step);
  }

  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (let step = this.steps.pop(); step; step = this.steps.pop()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** What `start` gives; what it has added is put away where it fails. */
export async function startOrClose<T>(start: (closers: Closers) => Promise<T>): Promise<T> {
  const closers = new Closers();
  try {
    return await start(closers);
  } catch (error) {
    await closers.close().catch(() => {});
    throw error;
  }
}

/** The ids of the processes that were started with this home, theirs and their children's. */
function processesOf(home: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((id) => {
      try {
        return readFileSync(`/proc/${id}/environ`, 'latin1').split('\0').includes(`HOME=${home}`);
      } catch {
        return false; // it has ended, or is another user's
      }
    })
    .map(Number);
}

async function endProcessesOf(home: string): Promise<void> {
  for (let ids = processesOf(home); ids.length > 0; ids = processesOf(home)) {
    for (const id of ids) {
      try {
        process.kill(id, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A home of its own: no profile, cache or bus of the user's. With it goes whatever still runs there. */
export function temporaryHome(closers: Closers): NodeJS.ProcessEnv {
  const home = mkdtempSync(join(tmpdir(), 'pronk-browser-'));
  closers.add(() => rmSync(home, { recursive: true, force: true, maxRetries: 10 }));
  closers.add(() => within(20_000, 'ending the processes of a browser', endProcessesOf(home)));
  const { DBUS_SESSION_BUS_ADDRESS: _, ...env } = process.env;
  const folders = ['XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR', 'TMPDIR'];
  return { ...env, HOME: home, ...Object.fromEntries(folders.map((name) => [name, home])) };
}

/** Its fourth stream (descriptor 3) is a pipe to read from. */
export function startProgram(closers: Closers, command: string, given: string[], env: NodeJS.ProcessEnv): ChildProcess {
  const stdio: 'ignore' | 'pipe' = process.env['PRONK_ENGINE_LOG'] ? 'pipe' : 'ignore';
  const program = spawn(setpriv, [...endWithParent, command, ...given], {
    env,
    stdio: ['ignore', stdio, stdio, 'pipe'],
  });
  program.stdout?.pipe(process.stdout);
  program.stderr?.pipe(process.stderr);
  const ended = new Promise<void>((resolve) => {
    program.once('exit', () => resolve());
    program.once('error', () => resolve());
  });
  closers.add(async () => {
    program.kill('SIGKILL');
    await ended;
  });
  return program;
}

/** Rejects where `promise` takes longer than `limit` milliseconds. */
export async function within<T>(limit: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} takes over ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
