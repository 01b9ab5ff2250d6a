// What answers must be, and what they tell.
import { parseSchema } from '../prompt';
import { changeSampling } from '../sampling';
import type { Sampling } from '../settings';
import { Choice } from './fields';

const forms: Record<Sampling['form'], string> = {
  text: 'Free text',
  json: 'A JSON object',
  schema: 'JSON by a schema',
};
const thinkings: Record<Sampling['thinking'], string> = { auto: 'As the model wants', on: 'On', off: 'Off' };

export function FormSettings({ at }: { at: Sampling }) {
  return (
    <>
      <div class="field-pair">
        <Choice label="Answers are" value={at.form} choices={forms} set={(form) => changeSampling({ form })} />
        <Choice
          label="Thinking"
          value={at.thinking}
          choices={thinkings}
          set={(thinking) => changeSampling({ thinking })}
        />
      </div>
      {at.form === 'schema' && <SchemaField schema={at.schema} />}
      <label class="field-check">
        <input
          type="checkbox"
          checked={at.probabilities}
          onChange={(event) => changeSampling({ probabilities: event.currentTarget.checked })}
        />
        Show how likely each token was
      </label>
    </>
  );
}

function SchemaField({ schema }: { schema: string }) {
  return (
    <label class="field">
      <span class="field-name">JSON schema</span>
      <textarea
        class="code-field"
        rows={6}
        spellcheck={false}
        value={schema}
        placeholder='{"type": "object", "properties": {"city": {"type": "string"}}}'
        onInput={(event) => changeSampling({ schema: event.currentTarget.value })}
      />
      <span class="field-hint">{schemaProblem(schema)}</span>
    </label>
  );
}

function schemaProblem(schema: string): string {
  try {
    parseSchema(schema);
    return 'Every answer will be valid by this schema';
  } catch (error) {
    return schema.trim() === '' ? 'What every answer must look like' : (error as Error).message;
  }
}
