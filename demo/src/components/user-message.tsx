import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { answering, sayInstead } from '../chat';
import type { Message } from '../message';
import { open } from '../model';
import { Branches } from './branches';
import { EditIcon } from './icons';

export function UserMessage({ message }: { message: Message }) {
  const editing = useSignal(false);
  const free = open.value && answering.value === 'no';
  return (
    <li class="message user">
      <span class="hidden">You: </span>
      {editing.value ? (
        <Editor message={message} end={() => (editing.value = false)} />
      ) : (
        <>
          <div class="bubble">{message.text}</div>
          <div class="user-foot">
            <Branches message={message} of="message" />
            {free && (
              <button
                class="button-icon"
                type="button"
                title="Edit"
                aria-label="Edit message"
                onClick={() => (editing.value = true)}
              >
                <EditIcon />
              </button>
            )}
          </div>
        </>
      )}
    </li>
  );
}

function Editor({ message, end }: { message: Message; end(): void }) {
  const text = useSignal(message.text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const send = (event: Event): void => {
    event.preventDefault();
    if (text.value.trim() === '') return;
    end();
    if (text.value.trim() !== message.text) sayInstead(message, text.value);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') end();
    else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
  };
  return (
    <form class="editor" aria-label="Edit the message" onSubmit={send}>
      <textarea
        ref={field}
        rows={3}
        aria-label="Edited message"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <p class="note">The message and its answers stay, as a branch beside this one.</p>
      <div class="card-buttons">
        <button class="button" type="button" onClick={end}>
          Cancel
        </button>
        <button class="button-main" type="submit" disabled={text.value.trim() === '' || answering.value !== 'no'}>
          Send
        </button>
      </div>
    </form>
  );
}
