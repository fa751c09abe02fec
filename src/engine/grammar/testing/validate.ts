import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const AJV = new Ajv2020({ strict: false, allErrors: true, validateSchema: false });
addFormats.default(AJV);

/** Whether a value is valid for a JSON schema, as Ajv sees it. @returns what is wrong, undefined for nothing */
export function problemWith(schema: object, value: unknown): string | undefined {
  // It keeps what it has made of each schema.
  return AJV.validate(schema, value) ? undefined : AJV.errorsText();
}
