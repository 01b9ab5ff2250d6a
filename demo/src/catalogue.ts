// The models that the page offers: public/models.json, whose form is models.schema.json.
import { signal } from '@preact/signals';
import { type Plan, Pronk } from 'pronk';
import { engineOptions } from './settings';

export interface CatalogueEntry {
  id: string;
  name: string;
  family: string;
  parameters: number;
  repo: string; // on Hugging Face
  file: string;
  bytes: number | null; // null: not known before its header is read
  licence: string;
  good: string; // what it is good at
}

export const catalogue = signal<CatalogueEntry[]>([]);

export const sourceOf = ({ repo, file }: CatalogueEntry): string => `hf:${repo}/${file}`;
export const pageOf = ({ repo }: CatalogueEntry): string => `https://huggingface.co/${repo}`;

/** Fetches the list, once; a page that is served without one offers none. */
export async function fetchCatalogue(): Promise<void> {
  if (catalogue.value.length > 0) return;
  try {
    const response = await fetch(new URL('models.json', document.baseURI));
    if (response.ok) catalogue.value = ((await response.json()) as { models: CatalogueEntry[] }).models;
  } catch {
    // there is none, or no way to it
  }
}

/** What is known of whether each model fits this device, by its id. */
export const fits = signal<ReadonlyMap<string, 'asking' | Plan | Error>>(new Map());

function learn(id: string, known: 'asking' | Plan | Error): void {
  fits.value = new Map(fits.value).set(id, known);
}

/** Plans the model, for which the beginning of its file is read. */
export async function askWhetherItFits(entry: CatalogueEntry): Promise<void> {
  learn(entry.id, 'asking');
  try {
    learn(entry.id, await Pronk.plan(sourceOf(entry), engineOptions()));
  } catch (error) {
    learn(entry.id, error instanceof Error ? error : new Error(String(error)));
  }
}
