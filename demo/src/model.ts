// The model of the page: chosen, planned, loading, ready.
import { batch, computed, effect, signal } from '@preact/signals';
import { type KvType, type LoadProgress, type ModelSource, type Notice, type Plan, Pronk, PronkError } from 'pronk';
import 'pronk/builtin';
import type { Given } from './dropped';
import { isModelFolder } from './hub';
import { folderName } from './kept';
import { hints, notice, problem, report } from './problems';
import { device, engineOptions, settings, suitingTemperature } from './settings';

export interface Choice {
  source: ModelSource;
  name: string; // of the file
  url: string | null; // what ?model= is to say
  builtin: boolean; // the small model that comes with the page: it opens unasked, and one may type meanwhile
}

/** The model that answers. */
export type ModelState = { at: 'none' } | { at: 'ready'; choice: Choice; plan: Plan; engine: Pronk; kv: KvType };

/** The one that is to take its place. */
export type Next =
  | { at: 'planning'; choice: Choice }
  | { at: 'planned'; choice: Choice; plan: Plan }
  | { at: 'loading'; choice: Choice; plan: Plan | null; progress: LoadProgress | null };

export const model = signal<ModelState>({ at: 'none' });
export const next = signal<Next | null>(null);
/** Whether another model is being looked for while one is loaded. */
export const choosing = signal(false);
/** Whether an answer is being written, which a new model waits for. */
export const busy = signal(false);
export const lastChoice = signal<Choice | null>(null);

const box: Choice = { source: 'builtin', name: 'Pronk Box', url: null, builtin: true };
const temperatures = { box: 0, others: 0.8 }; // the small one is right most often with its likeliest words

/** Whether one may write: a model is there, or the small one is about to be. */
export const open = computed(() => {
  const { value } = next;
  return model.value.at === 'ready' || (value?.at === 'loading' && value.choice.builtin);
});

/** Until the condition holds, or the signal aborts. */
export async function until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
  let stop: (() => void) | undefined;
  await new Promise<void>((resolve) => {
    signal?.addEventListener('abort', () => resolve(), { once: true });
    stop = effect(() => {
      if (condition()) resolve();
    });
  });
  stop?.();
}

/** Until a model is there, or is not going to be, or the signal aborts. */
export function settled(signal: AbortSignal): Promise<void> {
  return until(() => model.value.at === 'ready' || next.value?.at !== 'loading', signal);
}

let work: AbortController | null = null;

/** What to call a model: its own name unless that says no more than its architecture. */
export function modelName(choice: Choice, plan: Plan | null): string {
  const own = plan?.name ?? '';
  if (own !== '' && own.toLowerCase() !== plan!.architecture) return own;
  return choice.name.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '');
}

/** Frees the loaded model. */
export async function unload(): Promise<void> {
  const state = model.value;
  model.value = { at: 'none' };
  if (state.at === 'ready') await state.engine.unload();
}

/** Ends what is going on; the model that is loaded stays. */
export function cancel(): void {
  work?.abort();
  work = null;
  next.value = null;
  choosing.value = false;
  if (model.value.at !== 'ready') return;
  lastChoice.value = model.value.choice;
  rememberInAddress(model.value.choice);
}

/** Takes a model: shows what it costs and, where `load` is set, loads it at once. What is loaded stays until it is ready. */
export async function choose(choice: Choice, load: boolean): Promise<void> {
  problem.value = null;
  notice.value = null;
  choosing.value = false;
  work?.abort();
  lastChoice.value = choice;
  rememberInAddress(choice);
  if (choice.builtin) return loadNow(choice, null);
  await planNow(choice);
  if (load && next.value?.at === 'planned' && next.value.plan.fits) await loadChosen();
}

async function planNow(choice: Choice): Promise<void> {
  const abort = (work = new AbortController());
  next.value = { at: 'planning', choice };
  try {
    const plan = await Pronk.plan(choice.source, { ...engineOptions(), signal: abort.signal });
    if (work === abort) next.value = { at: 'planned', choice, plan };
  } catch (error) {
    if (work !== abort) return;
    next.value = null;
    report(`${choice.name} cannot be opened`, error);
  }
}

/** What the planned model would take with another context; what is shown stays until that is known. */
export async function planWith(contextSize: number): Promise<void> {
  const state = next.value;
  if (state?.at !== 'planned') return;
  work?.abort();
  const abort = (work = new AbortController());
  try {
    const plan = await Pronk.plan(state.choice.source, { ...engineOptions(), contextSize, signal: abort.signal });
    if (work === abort) next.value = { at: 'planned', choice: state.choice, plan };
  } catch (error) {
    if (work === abort) report('The plan cannot be made', error);
  }
}

/** Loads what was planned, as it was planned. */
export async function loadChosen(): Promise<void> {
  const state = next.value;
  if (state?.at === 'planned') await loadNow(state.choice, state.plan, state.plan.contextLength);
}

/** Loads what does not fit with the longest context that does. */
export async function loadShorter(): Promise<void> {
  const state = next.value;
  if (state?.at === 'planned') await loadNow(state.choice, state.plan, state.plan.largestContext);
}

async function loadNow(choice: Choice, plan: Plan | null, contextSize?: number): Promise<void> {
  const { kv } = settings.value;
  const abort = (work = new AbortController());
  next.value = { at: 'loading', choice, plan, progress: null };
  if (model.value.at === 'none') suitTo(choice);
  try {
    const engine = await loadBeside(choice, abort, contextSize);
    await until(() => !busy.value, abort.signal);
    if (work !== abort) return void engine.unload();
    const before = model.value;
    batch(() => {
      next.value = null;
      model.value = { at: 'ready', choice, plan: engine.plan, engine, kv };
      suitTo(choice);
    });
    performance.mark('pronk:ready');
    if (before.at === 'ready') await before.engine.unload();
  } catch (error) {
    if (work !== abort) return;
    cancel();
    // A page that was built without a model simply asks for one.
    if (error instanceof PronkError && error.code === 'no-builtin-model') lastChoice.value = null;
    else report(`${choice.name} cannot be loaded`, error);
  }
}

/** Loads a model beside the one that is there; where both do not fit, in its place. */
async function loadBeside(choice: Choice, abort: AbortController, contextSize?: number): Promise<Pronk> {
  const onProgress = (progress: LoadProgress): void => {
    if (progress.phase === 'prepare' && progress.loadedBytes > 0) performance.mark('pronk:bytes-loaded');
    const state = next.value;
    if (work === abort && state?.at === 'loading') next.value = { ...state, progress };
  };
  const onNotice = ({ message }: Notice): void => {
    if (work === abort) notice.value = message;
  };
  const options = {
    ...engineOptions(),
    ...(contextSize && { contextSize }),
    onProgress,
    onNotice,
    signal: abort.signal,
  };
  try {
    return await Pronk.load(choice.source, options);
  } catch (error) {
    const full = error instanceof PronkError && error.code === 'out-of-memory';
    if (!full || model.value.at !== 'ready' || work !== abort) throw error;
    await until(() => !busy.value, abort.signal);
    await unload();
    return Pronk.load(choice.source, options);
  }
}

function suitTo({ builtin }: Choice): void {
  suitingTemperature.value = builtin ? temperatures.box : temperatures.others;
}

/** Loads the same model again, with the settings as they are now. */
export async function reload(): Promise<void> {
  if (!lastChoice.value) return;
  await unload(); // the same weights twice would be too much
  await choose(lastChoice.value, true);
}

export function openFiles({ files, folder }: Given): void {
  if (isModelFolder(files.map(({ name }) => name))) {
    return void choose({ source: files, name: folder || 'Model', url: null, builtin: false }, false);
  }
  const models = files.filter((file) => /\.gguf$/i.test(file.name));
  if (models.length === 0) {
    if (files.length === 0) return;
    const detail = folder
      ? `${folder} has neither a GGUF file nor a config.json with safetensors`
      : `${files[0]!.name} does not end in .gguf`;
    problem.value = { title: 'This is not a model file', detail, hint: hints['bad-model']!, retry: false };
    return;
  }
  const source = models.length === 1 ? models[0]! : models;
  void choose({ source, name: models[0]!.name, url: null, builtin: false }, false);
}

export function openUrl(text: string, load: boolean): void {
  const url = URL.canParse(text, document.baseURI) ? new URL(text, document.baseURI) : null;
  if (!url || !/^(https?|hf):$/.test(url.protocol)) {
    const hint =
      'It should be owner/repo of Hugging Face, or start with https:// and end in .gguf, or in a slash for a folder.';
    problem.value = { title: 'This is not an address', detail: text, hint, retry: false };
    return;
  }
  void choose({ source: url.href, name: fileName(url), url: text, builtin: false }, load);
}

function fileName({ pathname, hostname }: URL): string {
  return folderName(pathname.replace(/\/(?:config|mlc-chat-config)\.json$/, '/')) || hostname;
}

export function openBox(): void {
  void choose(box, true);
}

/** ?model=URL opens that, an empty ?model= asks, and without any the model in the box opens. */
export function openFromAddress(): void {
  const url = new URLSearchParams(location.search).get('model');
  if (url === null || url === box.source) openBox();
  else if (url !== '') openUrl(url, true);
}

/** Whether the settings have moved away from what the model was loaded with. */
export function needsReload(): boolean {
  const state = model.value;
  if (state.at !== 'ready') return false;
  const { contextSize, largestContext, memoryGigabytes, kv } = settings.value;
  const { contextLength, memory } = state.plan;
  const wantedContext = largestContext ? state.plan.largestContext : contextSize;
  const otherContext = wantedContext !== null && wantedContext !== contextLength;
  if (memoryGigabytes !== null && memory.total > memoryGigabytes * 1e9) return true;
  return otherContext || kv !== state.kv || (device.value !== 'auto' && device.value !== state.plan.device);
}

// Keeps the address so that reloading the page opens the same model; one from a file has to be chosen again.
function rememberInAddress(choice: Choice): void {
  const address = new URL(location.href);
  if (choice.builtin) address.searchParams.delete('model');
  else address.searchParams.set('model', choice.url ?? '');
  history.replaceState(null, '', address);
}
