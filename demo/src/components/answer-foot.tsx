// Below an answer: what it cost, and what can be done with it.
import { answering, goOn, regenerate, storyMode } from '../chat';
import * as format from '../format';
import type { Figures, Message } from '../message';
import { model } from '../model';
import { Branches } from './branches';
import { CopyButton } from './copy-button';
import { AgainIcon } from './icons';

export function AnswerFoot({ message, copied, last }: { message: Message; copied: string; last: boolean }) {
  const ready = model.value.at === 'ready' && answering.value === 'no';
  return (
    <div class="foot">
      {message.figures && <FiguresLine figures={message.figures} />}
      <div class="foot-buttons">
        <Branches message={message} of="answer" />
        <CopyButton text={copied} label="Copy answer" />
        {last && ready && (
          <button
            class="button-icon"
            type="button"
            title="Write it again"
            aria-label="Write it again"
            onClick={() => void regenerate()}
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
