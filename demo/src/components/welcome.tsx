// What is shown before the first message.
import { say, storyMode } from '../chat';
import { examples } from '../examples';
import { model, next } from '../model';

export function Welcome() {
  const box = (model.value.at === 'ready' ? model.value.choice : next.value?.choice)?.builtin === true;
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
