// engine.embeddings.create()
import { modelName, type TextEngine } from './engine.js';
import { textsOf } from './prompts.js';
import { checkFields, checkType, embeddingFields, FieldError, show } from './request.js';
import type { EmbeddingAnswer, EmbeddingRequest, RequestOptions } from './types.js';

/** engine.embeddings. */
export class Embeddings {
  constructor(private readonly engine: TextEngine) {}

  /**
   * A vector of length 1 for each input, pooled as the model's file says. A request that cannot be taken is an error
   * 'bad-argument' that names the field.
   */
  async create(given: EmbeddingRequest, { signal }: RequestOptions = {}): Promise<EmbeddingAnswer> {
    const request = checkFields(given, embeddingFields);
    checkType(request, 'model', 'string');
    checkType(request, 'user', 'string');
    const { encoding_format: format = 'float' } = request;
    if (format !== 'float' && format !== 'base64') {
      throw new FieldError('encoding_format', `is ${show(format)}, not float or base64`);
    }
    const tokens = await Promise.all(
      textsOf('input', request.input).map(async (text) =>
        typeof text === 'string' ? this.engine.tokenize(text) : text,
      ),
    );
    const vectors = await this.engine.embed(tokens, { normalize: true, signal });
    const count = tokens.reduce((sum, { length }) => sum + length, 0);
    return {
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        // typed as OpenAI types it, whose client asks for base64 and decodes it
        embedding: format === 'float' ? Array.from(vector) : (base64(vector) as unknown as number[]),
      })),
      model: request.model ?? modelName(this.engine),
      usage: { prompt_tokens: count, total_tokens: count },
    };
  }
}

function base64({ buffer, byteOffset, byteLength }: Float32Array): string {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}
