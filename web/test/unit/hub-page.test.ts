// What the page takes for a repository, and which of its files it offers.
import { describe, expect, it } from 'vitest';
import { folderModel, ggufFiles, hubName } from '../../../demo/src/hub.js';
import { keptModels } from '../../../demo/src/kept.js';

describe('hubName', () => {
  const repository = { kind: 'repository', name: 'Qwen/Qwen3-0.6B-GGUF' };
  const same = [
    'Qwen/Qwen3-0.6B-GGUF',
    'hf:Qwen/Qwen3-0.6B-GGUF',
    'https://huggingface.co/Qwen/Qwen3-0.6B-GGUF',
    'huggingface.co/Qwen/Qwen3-0.6B-GGUF/',
    'https://hf.co/Qwen/Qwen3-0.6B-GGUF?library=x#files',
    'https://huggingface.co/Qwen/Qwen3-0.6B-GGUF/tree/main',
    'https://huggingface.co/Qwen/Qwen3-0.6B-GGUF.git',
  ];
  it.each(same)('%s is a repository', (text) => expect(hubName(text)).toEqual(repository));

  it('knows pages of files', () => {
    const source = 'hf:a/b/sub/m.gguf';
    expect(hubName('https://huggingface.co/a/b/blob/main/sub/m.gguf')).toEqual({ kind: 'file', source });
    expect(hubName('https://huggingface.co/a/b/resolve/main/sub/m.gguf?download=true')).toEqual({
      kind: 'file',
      source,
    });
    const other = { kind: 'file', source: 'hf:a/b@v1/m.gguf' };
    expect(hubName('https://huggingface.co/a/b/blob/v1/m.gguf')).toEqual(other);
  });

  const others = [
    '',
    'model.gguf',
    '/models/m.gguf',
    'models/m.gguf',
    'x/m.gguf',
    'https://example.org/a/b',
    'https://huggingface.co/datasets/a/b',
    'hf:a/b/m.gguf',
    '../a',
    'a/b/c',
  ];
  it.each(others)('%o is none', (text) => expect(hubName(text)).toBeNull());
});

describe('ggufFiles', () => {
  it('offers models, the smallest first, a split one once with all its bytes', () => {
    const found = [
      { path: 'README.md', size: 1 },
      { path: 'big-00002-of-00002.gguf', size: 30 },
      { path: 'big-00001-of-00002.gguf', size: 40 },
      { path: 'small.gguf', size: 5 },
      { path: 'mmproj-model-f16.gguf', size: 2 },
      { path: 7 },
      null,
    ];
    expect(ggufFiles(found)).toEqual([
      { path: 'small.gguf', bytes: 5 },
      { path: 'big-00001-of-00002.gguf', bytes: 70 },
    ]);
    for (const wrong of [null, {}, 'x', 7]) expect(ggufFiles(wrong)).toEqual([]);
  });
});

describe('folderModel', () => {
  it('is a repository of safetensors or of shards, with the bytes of its weights', () => {
    const weights = [
      { path: 'model-00001-of-00002.safetensors', size: 40 },
      { path: 'model-00002-of-00002.safetensors', size: 2 },
      { path: 'original/model.safetensors', size: 1000 },
      { path: 'README.md', size: 9 },
    ];
    expect(folderModel([...weights, { path: 'config.json', size: 1 }])).toEqual({ path: '', bytes: 42 });
    const shards = [
      { path: 'mlc-chat-config.json' },
      { path: 'params_shard_0.bin', size: 7 },
      { path: 'tokenizer.json' },
    ];
    expect(folderModel(shards)).toEqual({ path: '', bytes: 7 });
    for (const none of [weights, [{ path: 'config.json' }, { path: 'm.onnx' }], null, {}, [null, { path: 7 }]]) {
      expect(folderModel(none)).toBeNull();
    }
  });
});

describe('keptModels', () => {
  it('are files by themselves, and the files of a folder together', () => {
    const file = (url: string, complete = true) => {
      return { url, name: url.split('/').pop()!, bytes: 1, size: 2, complete, pinned: complete };
    };
    const hub = 'https://huggingface.co/own/some%20model/resolve/main/';
    const found = keptModels([
      file('https://h/a/m.gguf'),
      file(`${hub}model.safetensors`, false),
      file(`${hub}config.json`),
      file(`${hub}m.gguf`),
      file('https://h/a/tokenizer.json'),
      file('https://h/b/mlc-chat-config.json'),
    ]);
    expect(found.map(({ url, name, size, complete, pinned }) => [url, name, size, complete, pinned])).toEqual([
      ['https://h/a/m.gguf', 'm.gguf', 2, true, true],
      [hub, 'some model', 4, false, false],
      [`${hub}m.gguf`, 'm.gguf', 2, true, true],
      ['https://h/a/tokenizer.json', 'tokenizer.json', 2, true, true],
      ['https://h/b/', 'b', 2, true, true],
    ]);
  });
});
