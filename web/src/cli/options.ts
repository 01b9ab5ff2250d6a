// The options of the commands, their help, and what they say of a model.
import type { ParseArgsConfig } from 'node:util';
import type { LoadOptions } from '../api/engine.js';
import { PronkError } from '../runtime/errors.js';
import type { DeviceChoice, KvType } from '../runtime/types.js';

interface Option {
  short?: string;
  /** What stands for its value in the help; none: it has no value. */
  value?: string;
  help: string;
}

const loading: Record<string, Option> = {
  model: {
    short: 'm',
    value: 'MODEL',
    help: 'a file or folder, a URL, hf:owner/repo or hf:owner/repo/file.gguf, or builtin (the default)',
  },
  device: { value: 'auto|webgpu|cpu', help: 'default auto' },
  context: { value: 'TOKENS|auto', help: 'of prompt and answer together' },
  kv: { value: 'f16|q8_0|q4_0|f32', help: 'type of the KV cache' },
  threads: { value: 'N', help: 'of the CPU' },
  cache: { value: 'FOLDER', help: 'where downloads are kept' },
};
const cacheOnly = { cache: loading['cache']! };

const commands: Record<string, { takes: string; does: string; options: Record<string, Option> }> = {
  serve: {
    takes: '',
    does: 'answers requests in the shapes of the OpenAI API',
    options: {
      ...loading,
      port: { value: 'N', help: 'default 8080; 0 takes a free one' },
      host: { value: 'ADDRESS', help: 'default 127.0.0.1: this machine alone' },
      cors: { value: 'ORIGIN', help: 'the web pages that may ask, such as http://localhost:5173, or *' },
      'api-key': { value: 'KEY', help: 'that requests must bring; default: the variable PRONK_API_KEY' },
      'max-body': { value: 'BYTES', help: 'of a request, default 8 MiB' },
      sessions: { value: 'N', help: 'conversations whose cache is kept while memory has room, default 8' },
      embeddings: { help: 'loads a text model to make embeddings' },
    },
  },
  chat: {
    takes: '',
    does: 'talks in the terminal; /exit ends it',
    options: { ...loading, system: { value: 'TEXT', help: 'what the model is told first' } },
  },
  pull: { takes: 'MODEL', does: 'downloads a model to the cache', options: cacheOnly },
  list: { takes: '', does: 'lists the models in the cache', options: cacheOnly },
  rm: { takes: 'MODEL...', does: 'deletes models from the cache', options: cacheOnly },
};

export type Flags = Record<string, string | boolean | undefined>;

export function options(command: string): NonNullable<ParseArgsConfig['options']> & Record<string, never> {
  const all: Record<string, Option> = { ...commands[command]!.options, help: { short: 'h', help: '' } };
  const config = Object.entries(all).map(([name, { value, short }]) => [
    name,
    { type: value ? 'string' : 'boolean', ...(short && { short }) },
  ]);
  return Object.fromEntries(config) as never;
}

export function helpOf(command?: string): string {
  if (command === undefined) {
    const lines = Object.entries(commands).map(([name, { does }]) => `  ${name.padEnd(8)}${does}\n`);
    return `pronk COMMAND [OPTIONS]\nRuns language models from GGUF files and folders of safetensors.\n\n${lines.join('')}\npronk COMMAND --help tells a command's options.\n`;
  }
  const { takes, does, options: own } = commands[command]!;
  const rows = Object.entries(own).map(([name, { short, value, help }]) => {
    const spelled = `  ${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`;
    return `${spelled.padEnd(30)} ${help}\n`;
  });
  return `pronk ${[command, takes, '[OPTIONS]'].filter(Boolean).join(' ')}\n${does}\n\n${rows.join('')}`;
}

/** An option's text; undefined: it is not given. */
export function textOf(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(flags: Flags, name: string, least: number, most: number): number | undefined {
  const text = textOf(flags, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new PronkError('bad-argument', `--${name} is '${text}', not a whole number from ${least} to ${most}`);
}

export function loadOptionsOf(flags: Flags): LoadOptions {
  const context = textOf(flags, 'context');
  const given = {
    device: textOf(flags, 'device') as DeviceChoice | undefined,
    kv: textOf(flags, 'kv') as KvType | undefined,
    contextSize: context === 'auto' ? ('auto' as const) : numberOf(flags, 'context', 1, 2 ** 31 - 1),
    threads: numberOf(flags, 'threads', 1, 64),
    cache: textOf(flags, 'cache'),
    embeddings: flags['embeddings'] === true ? true : undefined,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

export const modelOf = (flags: Flags): string => textOf(flags, 'model') ?? 'builtin';
