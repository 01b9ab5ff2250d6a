// Branches of a conversation, and what is accepted of a stored one.
import { describe, expect, it } from 'vitest';
import { acceptMessages, type Message } from '../../../demo/src/message.js';
import { branchesAt, endOf, pathTo } from '../../../demo/src/tree.js';

const message = (id: number, parent: number | null, role: Message['role']): Message => ({
  id,
  parent,
  role,
  text: `text ${id}`,
  story: false,
  figures: null,
});

// 1 — 2 — 3 — 5
//   \ 4       (another answer to 1)
// 6           (another first message)
const all = [
  message(1, null, 'user'),
  message(2, 1, 'assistant'),
  message(3, 2, 'user'),
  message(4, 1, 'assistant'),
  message(5, 3, 'assistant'),
  message(6, null, 'user'),
];
const ids = (messages: Message[]): number[] => messages.map(({ id }) => id);

describe('a tree of messages', () => {
  it('shows the branch that ends with a message', () => {
    expect(ids(pathTo(all, 5))).toEqual([1, 2, 3, 5]);
    expect(ids(pathTo(all, 4))).toEqual([1, 4]);
    expect(ids(pathTo(all, 6))).toEqual([6]);
    expect(pathTo(all, null)).toEqual([]);
    expect(pathTo(all, 99)).toEqual([]);
  });

  it('knows what stands in the same place, and where a branch ends', () => {
    expect(ids(branchesAt(all, all[1]!))).toEqual([2, 4]);
    expect(ids(branchesAt(all, all[0]!))).toEqual([1, 6]);
    expect(endOf(all, 2)).toBe(5);
    expect(endOf(all, 1)).toBe(4); // the newest answer
  });
});

describe('acceptMessages', () => {
  it('keeps branches and the end, with new numbers', () => {
    const stored = all.map((one) => ({
      ...one,
      id: one.id * 10,
      parent: one.parent === null ? null : one.parent * 10,
    }));
    expect(acceptMessages(stored, 50)).toEqual({ messages: all, end: 5 });
    expect(acceptMessages(stored, 7).end).toBe(6);
    expect(acceptMessages([], 7)).toEqual({ messages: [], end: null });
    for (const wrong of [null, 7, 'x', {}]) expect(acceptMessages(wrong).messages).toEqual([]);
  });

  it('hangs what follows a bad message on the last good one; never makes a circle', () => {
    const stored = [all[0], { ...all[1], role: 'robot' }, all[2], { ...all[3], parent: 4 }];
    const { messages } = acceptMessages(stored, 4);
    expect(messages.map(({ parent }) => parent)).toEqual([null, 1, 2]);
  });

  it('takes apart what pages before kept in one text', () => {
    const old = [
      { role: 'user', text: 'Go' },
      {
        role: 'assistant',
        text: '<think>hm</think>\nLook:\n<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
      },
      { role: 'tool', text: '{}' },
      { role: 'assistant', text: 'Done' },
    ];
    const [, call, result, answer] = acceptMessages(old).messages;
    expect(call).toMatchObject({ reasoning: 'hm', text: 'Look:', parent: 1 });
    expect(call!.calls).toEqual([{ id: 'call', type: 'function', function: { name: 'f', arguments: '{"a": 1}' } }]);
    expect(result).toMatchObject({ callId: 'call', parent: 2 });
    expect(answer).toMatchObject({ text: 'Done', parent: 3 });
  });

  it('leaves out calls and probabilities that are none', () => {
    const wrong = {
      role: 'assistant',
      text: '',
      parent: null,
      calls: [{}, 7, { function: { name: 1 } }],
      probabilities: [{}],
    };
    const [taken] = acceptMessages([wrong]).messages;
    expect(taken).not.toHaveProperty('calls');
    expect(taken).not.toHaveProperty('probabilities');
  });
});
