// What a person drops on the page or chooses: model files, or a folder of them.

export interface Given {
  files: File[];
  folder: string; // its name; empty: they are files by themselves
}

/** Of a drop event, while it is dispatched. */
export async function dropped(transfer: DataTransfer): Promise<Given> {
  const files = Array.from(transfer.files);
  const [entry, ...others] = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.());
  if (others.length > 0 || !entry?.isDirectory) return { files, folder: '' };
  return { files: await filesIn(entry as FileSystemDirectoryEntry), folder: entry.name };
}

/** Of an input that takes folders: files with the paths that they have in it. */
export function chosen(files: File[]): Given {
  return { files, folder: files[0]?.webkitRelativePath.split('/')[0] ?? '' };
}

/** Those right in it. A reader gives some at a time, and none at the end. */
async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const entry of entries.filter(({ isFile }) => isFile)) {
      files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}
