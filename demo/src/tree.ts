// The messages of a conversation are a tree: an edited question or another answer is a branch beside the first.
import type { Message } from './message.js';

/** From the first message to `end`, which the reader sees. */
export function pathTo(all: readonly Message[], end: number | null): Message[] {
  const byId = new Map(all.map((message) => [message.id, message]));
  const path: Message[] = [];
  for (let at = end === null ? undefined : byId.get(end); at && path.length < all.length; ) {
    path.unshift(at);
    at = at.parent === null ? undefined : byId.get(at.parent);
  }
  return path;
}

/** The messages that stand in the same place, the oldest first. */
export function branchesAt(all: readonly Message[], { parent, role }: Message): Message[] {
  return all.filter((message) => message.parent === parent && message.role === role);
}

/** The end of the branch that begins with a message: its newest answers. */
export function endOf(all: readonly Message[], id: number): number {
  const below = all.filter(({ parent }) => parent === id).at(-1);
  return below ? endOf(all, below.id) : id;
}
