// What is kept of models, as a person sees it: the files of a folder are one model.

import type { CacheEntry } from 'pronk';

export type KeptFile = Omit<CacheEntry, 'usedAt'>;

const folderOf = (url: string): string => url.replace(/[^/]*$/, '');
const marksFolder = ({ name }: KeptFile): boolean => name === 'config.json' || name === 'mlc-chat-config.json';

/** What to call a folder by the path of its address: of a hub's the repository. */
export function folderName(path: string): string {
  const names = path.replace(/\/resolve\/[^/]+\/?$/, '').split('/');
  const last = names.filter((name) => name !== '').pop() ?? '';
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // has a % that begins no character
  }
}

/** In the order of the first of their files. */
export function keptModels(files: readonly KeptFile[]): KeptFile[] {
  const folders = new Set(files.filter(marksFolder).map(({ url }) => folderOf(url)));
  const models = new Map<string, KeptFile>();
  for (const file of files) {
    const url = folders.has(folderOf(file.url)) && !/\.gguf$/i.test(file.name) ? folderOf(file.url) : file.url;
    const before = models.get(url);
    if (before) {
      before.bytes += file.bytes;
      before.size += file.size;
      before.complete &&= file.complete;
      before.pinned &&= file.pinned;
    } else {
      models.set(url, {
        ...file,
        url,
        name: url === file.url ? file.name : folderName(new URL(url).pathname),
      });
    }
  }
  return [...models.values()];
}
