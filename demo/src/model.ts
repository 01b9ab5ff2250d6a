// The model of the page: chosen, planned, loading, ready.
import { computed, effect, signal } from '@preact/signals';
import { type KvType, type LoadProgress, type ModelSource, type Notice, type Plan, Pronk, PronkError } from 'pronk';
import 'pronk/builtin';
import { device, engineOptions, settings, suitingTemperature } from './settings';

export interface Choice {
  source: ModelSource;
  name: string; // of the file
  url: string | null; // what ?model= is to say
  builtin: boolean; // the small model that comes with the page: it opens unasked, and one may type meanwhile
}

export type ModelState =
  | { at: 'none' }
  | { at: 'planning'; choice: Choice }
  | { at: 'planned'; choice: Choice; plan: Plan }
  | { at: 'loading'; choice: Choice; plan: Plan | null; progress: LoadProgress | null }
  | { at: 'ready'; choice: Choice; plan: Plan; engine: Pronk; kv: KvType };

export interface Problem {
  title: string;
  detail: string;
  hint: string;
  retry: boolean; // the same choice may be tried again
}

export const model = signal<ModelState>({ at: 'none' });
export const problem = signal<Problem | null>(null);
/** What the engine says of itself: that it came back, that a file is not kept. */
export const notice = signal<string | null>(null);
export const lastChoice = signal<Choice | null>(null);

const box: Choice = { source: 'builtin', name: 'Pronk Box', url: null, builtin: true };
const temperatures = { box: 0, others: 0.8 }; // the small one is right most often with its likeliest words

/** Whether one may write: a model is there, or the small one is about to be. */
export const open = computed(() => {
  const state = model.value;
  return state.at === 'ready' || (state.at === 'loading' && state.choice.builtin);
});

/** Until the model is there, or is not going to be, or the signal aborts. */
export function settled(signal: AbortSignal): Promise<void> {
  let stop: (() => void) | undefined;
  return new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    stop = effect(() => {
      if (model.value.at !== 'loading') resolve();
    });
  }).finally(() => stop?.());
}

let work: AbortController | null = null;

const hints: Partial<Record<PronkError['code'], string>> = {
  'bad-model': 'pronk reads GGUF files, version 2 or 3.',
  unsupported: 'Models of the Llama, Qwen2 and Qwen3 families run here.',
  'out-of-memory': 'A smaller context length in the settings, or a smaller model, may fit.',
  'no-webgpu': 'Choose “automatic” or “CPU” as the device in the settings, or another browser.',
  'device-lost': 'The graphics driver took the device away, often for lack of memory. Loading again usually helps.',
  network: 'Check the address and the connection. Other sites must allow downloads by this page (CORS).',
  'worker-crashed': 'The engine stopped. The next message starts it again.',
};

export function report(title: string, error: unknown): void {
  const code = error instanceof PronkError ? error.code : 'internal';
  if (code === 'aborted' || code === 'unloaded') return;
  const detail = error instanceof Error ? error.message : String(error);
  problem.value = { title, detail, hint: hints[code] ?? '', retry: lastChoice.value !== null };
}

/** What to call a model: its own name unless that says no more than its architecture. */
export function modelName(choice: Choice, plan: Plan | null): string {
  const own = plan?.name ?? '';
  if (own !== '' && own.toLowerCase() !== plan!.architecture) return own;
  return choice.name.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, '');
}

/** Ends what is going on and frees the loaded model. */
export async function unload(): Promise<void> {
  work?.abort();
  work = null;
  const state = model.value;
  model.value = { at: 'none' };
  if (state.at === 'ready') await state.engine.unload();
}

/** Takes a model: shows what it costs and, where `load` is set, loads it at once. */
export async function choose(choice: Choice, load: boolean): Promise<void> {
  problem.value = null;
  notice.value = null;
  await unload();
  lastChoice.value = choice;
  rememberInAddress(choice);
  suitingTemperature.value = choice.builtin ? temperatures.box : temperatures.others;
  if (choice.builtin) return loadNow(choice, null);
  const abort = (work = new AbortController());
  model.value = { at: 'planning', choice };
  try {
    const plan = await Pronk.plan(choice.source, { ...engineOptions(), signal: abort.signal });
    if (work !== abort) return;
    model.value = { at: 'planned', choice, plan };
    if (load && plan.fits) await loadChosen();
  } catch (error) {
    if (work !== abort) return;
    model.value = { at: 'none' };
    report(`${choice.name} cannot be opened`, error);
  }
}

export async function loadChosen(): Promise<void> {
  const state = model.value;
  if (state.at === 'planned') await loadNow(state.choice, state.plan);
}

/** Loads what does not fit with the longest context that does. */
export async function loadShorter(): Promise<void> {
  const state = model.value;
  if (state.at === 'planned') await loadNow(state.choice, state.plan, state.plan.largestContext);
}

async function loadNow(choice: Choice, plan: Plan | null, contextSize?: number): Promise<void> {
  const { kv } = settings.value;
  const abort = (work = new AbortController());
  model.value = { at: 'loading', choice, plan, progress: null };
  try {
    const onProgress = (progress: LoadProgress): void => {
      if (progress.phase === 'prepare' && progress.loadedBytes > 0) performance.mark('pronk:bytes-loaded');
      if (work === abort) model.value = { at: 'loading', choice, plan, progress };
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
    const engine = await Pronk.load(choice.source, options);
    if (work !== abort) return void engine.unload();
    model.value = { at: 'ready', choice, plan: engine.plan, engine, kv };
    performance.mark('pronk:ready');
  } catch (error) {
    if (work !== abort) return;
    model.value = { at: 'none' };
    // A page that was built without a model simply asks for one.
    if (error instanceof PronkError && error.code === 'no-builtin-model') lastChoice.value = null;
    else report(`${choice.name} cannot be loaded`, error);
  }
}

/** Loads the same model again, with the settings as they are now. */
export async function reload(): Promise<void> {
  if (lastChoice.value) await choose(lastChoice.value, true);
}

export function openFiles(files: File[]): void {
  const models = files.filter((file) => /\.gguf$/i.test(file.name));
  if (models.length === 0) {
    if (files.length === 0) return;
    const detail = `${files[0]!.name} does not end in .gguf`;
    problem.value = { title: 'This is not a model file', detail, hint: hints['bad-model']!, retry: false };
    return;
  }
  const source = models.length === 1 ? models[0]! : models;
  void choose({ source, name: models[0]!.name, url: null, builtin: false }, false);
}

export function openUrl(text: string, load: boolean): void {
  const url = URL.canParse(text, document.baseURI) ? new URL(text, document.baseURI) : null;
  if (!url || !/^(https?|hf):$/.test(url.protocol)) {
    const hint = 'It should start with https:// (or be like hf:owner/repo/file.gguf) and end in .gguf.';
    problem.value = { title: 'This is not an address', detail: text, hint, retry: false };
    return;
  }
  void choose({ source: url.href, name: fileName(url), url: text, builtin: false }, load);
}

function fileName({ pathname, hostname }: URL): string {
  const last = pathname.split('/').pop() || hostname;
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // has a % that begins no character
  }
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
