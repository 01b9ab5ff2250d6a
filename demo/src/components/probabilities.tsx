// How likely each token of an answer was, and what the model might have written in its place.
import { useSignal } from '@preact/signals';
import type { TokenLogprob } from 'pronk';
import type { Message } from '../message';

const percent = (logprob: number): string => {
  const share = 100 * Math.exp(logprob);
  return share > 0 && share < 0.1 ? 'under 0.1 %' : `${share.toFixed(1)} %`;
};
const visible = (token: string): string => token.replaceAll('\n', '⏎').replaceAll(' ', '␣') || '∅';
/** Five steps, from hardly likely to almost certain. */
const step = (logprob: number): number => Math.min(4, Math.floor(5 * Math.exp(logprob)));

export function Probabilities({ message }: { message: Message }) {
  const chosen = useSignal<number | null>(null);
  const tokens = message.probabilities;
  if (!tokens) return null;
  const shown = chosen.value === null ? undefined : tokens[chosen.value];
  return (
    <details class="probabilities">
      <summary>Token probabilities</summary>
      <p class="note">The paler a token, the less likely it was. Choose one to see what else was likely.</p>
      <div class="tokens">
        {tokens.map((token, i) => (
          <button
            key={i}
            class={`token token-${step(token.logprob)}`}
            type="button"
            aria-pressed={chosen.value === i}
            aria-label={`${visible(token.token)}: ${percent(token.logprob)}`}
            onClick={() => (chosen.value = i)}
          >
            {visible(token.token)}
          </button>
        ))}
      </div>
      {shown && <Alternatives token={shown} />}
    </details>
  );
}

function Alternatives({ token }: { token: TokenLogprob }) {
  const among = token.top_logprobs.some((each) => each.token === token.token);
  const all = among ? token.top_logprobs : [...token.top_logprobs, token];
  return (
    <table class="alternatives">
      <caption class="hidden">Likely tokens in this place</caption>
      <thead>
        <tr>
          <th scope="col">Token</th>
          <th scope="col">Probability</th>
        </tr>
      </thead>
      <tbody>
        {all.map((each, i) => (
          <tr key={i} class={each.token === token.token ? 'alternative-taken' : ''}>
            <td>
              <code>{visible(each.token)}</code>
            </td>
            <td>{percent(each.logprob)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
