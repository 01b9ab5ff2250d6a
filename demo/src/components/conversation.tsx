import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { answering, answerWithoutTemplate, brokenTemplate, goOn, regenerate, say, storyMode } from '../chat';
import { messages } from '../conversation';
import { examples } from '../examples';
import * as format from '../format';
import { type Block, renderBlocks, splitThought } from '../markdown';
import type { Figures, Message } from '../message';
import { model, open } from '../model';
import { splitCall, type ToolCall } from '../tools';
import { AgainIcon, CheckIcon, CopyIcon } from './icons';

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

function Welcome() {
  const state = model.value;
  const box = 'choice' in state && state.choice.builtin;
  return (
    <div class="welcome">
      {storyMode.value ? (
        <>
          <h2>Begin a story</h2>
          <p class="lead">
            This model was not made for conversation: it has no chat template. It continues the text that you write.
          </p>
        </>
      ) : (
        <>
          <h2>What shall we talk about?</h2>
          <p class="lead">
            {box ? 'This small model runs in your browser.' : 'The model is loaded.'} What you write stays on this
            device.
          </p>
          {box && <Examples />}
        </>
      )}
    </div>
  );
}

function Examples() {
  return (
    <ul class="examples" aria-label="Examples">
      {examples.map(({ title, text, tools }) => (
        <li key={title}>
          <button class="example" type="button" onClick={() => say(text, tools)}>
            <span class="example-title">{title}</span>
            <span>{text}</span>
          </button>
        </li>
      ))}
    </ul>
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
      <button class="button-small" type="button" onClick={regenerate}>
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

function ToolCallBox({ call }: { call: ToolCall }) {
  const given = Object.entries(call.arguments).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return (
    <div class="tool">
      <span class="tool-head">Calls a tool</span>
      <code>
        {call.name}({given.join(', ')})
      </code>
    </div>
  );
}

function ToolResult({ message }: { message: Message }) {
  return (
    <li class="message tool">
      <span class="tool-head">
        {message.text.includes('weather') ? 'The tool answers (this page invents the weather)' : 'The tool answers'}
      </span>
      <code>{message.text}</code>
    </li>
  );
}

function UserMessage({ message }: { message: Message }) {
  return (
    <li class="message user">
      <span class="hidden">You: </span>
      <div class="bubble">{message.text}</div>
    </li>
  );
}

function Answer({ message, opening, last }: { message: Message; opening: string; last: boolean }) {
  const writing = last && answering.value !== 'no';
  const { thinking, answer, open: thinks } = splitThought(message.text);
  const called = splitCall(answer);
  return (
    <li class={message.story ? 'message answer story' : 'message answer'}>
      <span class="hidden">{message.story ? 'Story: ' : 'Answer: '}</span>
      {message.story ? (
        <div class="prose">
          <b class="opening">{opening}</b>
          {message.text}
          {writing && <Caret />}
        </div>
      ) : (
        <>
          {thinking !== null && (
            <details class="thinking">
              <summary>{thinks && writing ? 'Thinking …' : 'Thoughts'}</summary>
              <p>{thinking}</p>
            </details>
          )}
          {called?.before !== '' && <Markdown text={called ? called.before : answer} writing={writing} />}
          {called && <ToolCallBox call={called.call} />}
        </>
      )}
      {!writing && (
        <AnswerFoot message={message} copied={opening + (message.story ? message.text : answer.trim())} last={last} />
      )}
    </li>
  );
}

const Caret = () => <span class="caret" aria-hidden="true" />;

function Markdown({ text, writing }: { text: string; writing: boolean }) {
  const before = useRef<Block[]>([]);
  const blocks = useMemo(() => (before.current = renderBlocks(text, before.current)), [text]);
  return (
    <div class={writing ? 'prose writing' : 'prose'}>
      {blocks.map((block, i) => (
        <div key={i} class="block" dangerouslySetInnerHTML={{ __html: block.html }} />
      ))}
      {writing && blocks.length === 0 && <span class="dots" role="img" aria-label="Reading" />}
    </div>
  );
}

function AnswerFoot({ message, copied, last }: { message: Message; copied: string; last: boolean }) {
  const ready = model.value.at === 'ready' && answering.value === 'no';
  const justCopied = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(copied);
      justCopied.value = true;
      setTimeout(() => (justCopied.value = false), 1500);
    } catch {
      // not allowed: the button simply does not confirm
    }
  };
  return (
    <div class="foot">
      {message.figures && <FiguresLine figures={message.figures} />}
      <div class="foot-buttons">
        <button class="button-icon" type="button" title="Copy" aria-label="Copy answer" onClick={() => void copy()}>
          {justCopied.value ? <CheckIcon /> : <CopyIcon />}
        </button>
        {last && ready && (
          <button
            class="button-icon"
            type="button"
            title="Write it again"
            aria-label="Write it again"
            onClick={regenerate}
          >
            <AgainIcon />
          </button>
        )}
        {last && ready && message.story && storyMode.value && (
          <button class="button-small" type="button" onClick={goOn}>
            Continue
          </button>
        )}
      </div>
    </div>
  );
}

const endings: Record<Figures['finish'], string> = {
  stop: '',
  length: 'stopped at the token limit',
  cancelled: 'stopped',
  'context-full': 'the context is full',
};

function FiguresLine({ figures }: { figures: Figures }) {
  const parts = [
    figures.tokensPerSecond > 0 ? format.rate(figures.tokensPerSecond) : '',
    figures.tokens > 0 ? `first token after ${format.seconds(figures.firstTokenMs)}` : '',
    `${format.whole(figures.tokens)} ${figures.tokens === 1 ? 'token' : 'tokens'}`,
    endings[figures.finish],
    figures.left > 0 ? 'the oldest messages did not fit and were left out' : '',
  ];
  return <p class="figures">{parts.filter((part) => part !== '').join(' · ')}</p>;
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
