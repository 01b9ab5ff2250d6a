// Conversations as a JSON file, out of this browser and into another one.
import { allConversations, keepConversations } from './conversation';
import { accept, type Conversation } from './conversation-store';
import { version } from './storage';

const format = 'pronk-conversations';
const largest = 64 << 20; // bytes of a file that is read

/** The text of a file with the conversations. */
export function exported(conversations: readonly Conversation[]): string {
  const records = conversations.map((one) => ({ version, ...one, draft: '' }));
  return `${JSON.stringify({ format, version, conversations: records }, null, 1)}\n`;
}

/** The conversations of such a text; an Error says why there are none. */
export function imported(text: string): Conversation[] {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error('The file is not JSON.');
  }
  const records =
    typeof found === 'object' && found !== null && 'format' in found ? (found as Record<string, unknown>) : {};
  if (records.format !== format || !Array.isArray(records.conversations)) {
    throw new Error('The file has no conversations of this page.');
  }
  if (records.version !== version) throw new Error('The file is of another version of this page.');
  const good = records.conversations.map(accept).filter((one) => one !== null && one.messages.length > 0);
  if (good.length === 0) throw new Error('No conversation in the file can be read.');
  return good as Conversation[];
}

export async function saveToFile(): Promise<void> {
  const url = URL.createObjectURL(new Blob([exported(await allConversations())], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `pronk-conversations-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Keeps what the file holds beside what is there; gives how many conversations that are. */
export async function readFromFile(file: File): Promise<number> {
  if (file.size > largest) throw new Error('The file is too large.');
  const conversations = imported(await file.text());
  await keepConversations(conversations);
  return conversations.length;
}
