/** How answers are made. */
export interface Sampling {
  system: string;
  temperature: number | null; // null: what suits the model
  topK: number;
  topP: number;
  minP: number;
  repetition: number; // penalty; 1: none
  maxTokens: number;
  seed: number | null; // null: random
  thinking: 'auto' | 'on' | 'off';
  form: 'text' | 'json' | 'schema'; // what an answer must be
  schema: string; // JSON, of the form 'schema'
  probabilities: boolean; // each token tells how likely it was
}
