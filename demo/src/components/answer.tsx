import { answering } from '../chat';
import type { Message } from '../message';
import { AnswerFoot } from './answer-foot';
import { Markdown } from './markdown';
import { Probabilities } from './probabilities';
import { TimeLine } from './time-line';
import { ToolCallBox } from './tool-box';

interface Props {
  message: Message;
  opening: string; // of a story: what the person began it with
  last: boolean;
}

export function Answer({ message, opening, last }: Props) {
  const writing = last && answering.value !== 'no';
  return (
    <li class={message.story ? 'message answer story' : 'message answer'}>
      <span class="hidden">{message.story ? 'Story: ' : 'Answer: '}</span>
      {message.story ? (
        <div class="prose">
          <b class="opening">{opening}</b>
          {message.text}
          {writing && <span class="caret" aria-hidden="true" />}
        </div>
      ) : (
        <ChatAnswer message={message} writing={writing} />
      )}
      {!writing && <Probabilities message={message} />}
      {!writing && <TimeLine message={message} />}
      {!writing && (
        <AnswerFoot message={message} copied={opening + (opening ? message.text : message.text.trim())} last={last} />
      )}
    </li>
  );
}

function ChatAnswer({ message, writing }: { message: Message; writing: boolean }) {
  const { text, reasoning, calls = [] } = message;
  const thinks = writing && text === '' && calls.length === 0;
  return (
    <>
      {reasoning !== undefined && (
        <details class="thinking">
          <summary>{thinks ? 'Thinking …' : 'Thoughts'}</summary>
          <p>{reasoning}</p>
        </details>
      )}
      {(text !== '' || calls.length === 0) && <Markdown text={text} writing={writing} />}
      {calls.map((call, i) => (
        <ToolCallBox key={i} call={call} />
      ))}
    </>
  );
}
