import { useEffect, useRef } from 'preact/hooks';
import { answering, answerWithoutTemplate, brokenTemplate, regenerate, say, storyMode } from '../chat';
import { messages } from '../conversation';
import { examples } from '../examples';
import { model, open } from '../model';
import { Answer } from './answer';
import { ToolResult } from './tool-box';
import { UserMessage } from './user-message';
import { Welcome } from './welcome';

export function Conversation() {
  useStickToEnd();
  const all = messages.value;
  const busy = answering.value !== 'no';
  if (all.length === 0) return open.value ? <Welcome /> : null;
  return (
    <div role="log" aria-label="Conversation" aria-live="polite" aria-busy={busy}>
      <ol class="conversation">
        {all.map((message, i) => {
          const last = i === all.length - 1;
          const opensStory = message.role === 'user' && all[i + 1]?.story === true;
          if (opensStory) return null; // shown as the beginning of its story
          if (message.role === 'user') return <UserMessage key={message.id} message={message} />;
          if (message.role === 'tool') return <ToolResult key={message.id} message={message} />;
          const opening = message.story ? (all[i - 1]?.text ?? '') : '';
          return <Answer key={message.id} message={message} opening={opening} last={last} />;
        })}
        {answering.value === 'reading' && all.at(-1)?.role !== 'assistant' && (
          <li class="waiting">
            <span class="dots" role="img" aria-label="Reading" />
            {model.value.at !== 'ready' && <span class="note">The model is getting ready …</span>}
          </li>
        )}
        <Unanswered />
        <FollowUp />
      </ol>
    </div>
  );
}

// Where the answer to the last message failed, or was cut off by a reload.
function Unanswered() {
  const state = model.value;
  const role = messages.value.at(-1)?.role;
  if (role === 'assistant' || answering.value !== 'no' || state.at !== 'ready') return null;
  return (
    <li class="unanswered">
      <span class="note">Not answered yet.</span>
      <button class="button-small" type="button" onClick={() => void regenerate()}>
        Try again
      </button>
      {brokenTemplate.value?.engine === state.engine && (
        <button class="button-small" type="button" onClick={answerWithoutTemplate}>
          Answer without the template
        </button>
      )}
    </li>
  );
}

// After the answer to an example: what to ask next.
function FollowUp() {
  const all = messages.value;
  const asked = all.findLast((message) => message.role === 'user')?.text;
  const next = examples.find(({ text }) => text === asked)?.next;
  const answered = all.at(-1)?.role === 'assistant' && answering.value === 'no' && model.value.at === 'ready';
  if (!next || !answered || storyMode.value) return null;
  return (
    <li class="follow-up">
      <button class="button-small" type="button" onClick={() => say(next)}>
        {next}
      </button>
    </li>
  );
}

/** Follows the answer as it grows, unless the reader has scrolled up. */
function useStickToEnd(): void {
  const sticks = useRef(true);
  useEffect(() => {
    const onScroll = (): void => {
      const { scrollHeight, clientHeight } = document.documentElement;
      sticks.current = scrollHeight - clientHeight - scrollY < 60;
    };
    addEventListener('scroll', onScroll, { passive: true });
    return () => removeEventListener('scroll', onScroll);
  }, []);
  const count = messages.value.length;
  useEffect(() => {
    sticks.current = true;
  }, [count]);
  useEffect(() => {
    if (sticks.current && count > 0) scrollTo(0, document.documentElement.scrollHeight);
  });
}
