#!/usr/bin/env node
// npx pronk: finds the command and turns failures into an exit status.
import { parseArgs } from 'node:util';
import { messageOf, PronkError } from '../runtime/errors.js';
import { pollByTimer } from '../runtime/gpu-polling.js';
import { listModels, pullModel, removeModels } from './cache-commands.js';
import { chat } from './chat.js';
import { type Flags, helpOf, options } from './options.js';
import { serve } from './serve.js';

const commands: Record<string, (flags: Flags, names: string[]) => Promise<void>> = {
  serve,
  chat,
  pull: pullModel,
  list: listModels,
  rm: removeModels,
};

async function run([name, ...rest]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpOf());
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new PronkError('bad-argument', `there is no command '${name}'; pronk --help tells them`);
  const { values, positionals } = parse(name, rest);
  if (values.help) process.stdout.write(helpOf(name));
  else await command(values, positionals);
  return 0;
}

function parse(name: string, rest: string[]): { values: Flags; positionals: string[] } {
  try {
    return parseArgs({ args: rest, options: options(name), allowPositionals: true, strict: true });
  } catch (error) {
    throw new PronkError('bad-argument', `${messageOf(error)}; see pronk ${name} --help`, { cause: error });
  }
}

pollByTimer();
try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`pronk: ${messageOf(error)}\n`);
  process.exitCode = error instanceof PronkError && error.code === 'bad-argument' ? 2 : 1;
}
