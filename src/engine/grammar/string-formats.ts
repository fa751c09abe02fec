import { ascii, choice, literal, oneOf, optional, repeat, sequence, type Expression } from './expression.ts';

const DIGIT = ascii('0', '9');
const HEX = choice(DIGIT, ascii('a', 'f'));
const ALPHANUMERIC = choice(DIGIT, ascii('a', 'z'), ascii('A', 'Z'));

function digits(count: number): Expression {
  return repeat(DIGIT, count, count);
}

/** Years after 0, and no 29th of February, so that every date is one. */
const YEAR = sequence(oneOf('12'), digits(3));
const DAYS_28 = choice(
  sequence(literal('0'), ascii('1', '9')),
  sequence(literal('1'), DIGIT),
  sequence(literal('2'), ascii('0', '8')),
);
const DAYS_30 = choice(DAYS_28, literal('29'), literal('30'));
const LONG_MONTH = choice(...['01', '03', '05', '07', '08', '10', '12'].map(literal));
const SHORT_MONTH = choice(...['04', '06', '09', '11'].map(literal));
const MONTH_AND_DAY = choice(
  sequence(LONG_MONTH, literal('-'), choice(DAYS_30, literal('31'))),
  sequence(SHORT_MONTH, literal('-'), DAYS_30),
  sequence(literal('02-'), DAYS_28),
);
const DATE = sequence(YEAR, literal('-'), MONTH_AND_DAY);

const HOURS = choice(sequence(oneOf('01'), DIGIT), sequence(literal('2'), ascii('0', '3')));
const SIXTY = sequence(ascii('0', '5'), DIGIT);
const OFFSET = choice(literal('Z'), sequence(oneOf('+-'), HOURS, literal(':'), SIXTY));
const SECOND_PARTS = optional(sequence(literal('.'), repeat(DIGIT, 1, 9)));
/** With an offset, as RFC 3339 wants it. */
const TIME = sequence(HOURS, literal(':'), SIXTY, literal(':'), SIXTY, SECOND_PARTS, OFFSET);

function hexDigits(count: number): Expression {
  return repeat(HEX, count, count);
}

const DASH = literal('-');
const UUID = sequence(hexDigits(8), DASH, hexDigits(4), DASH, hexDigits(4), DASH, hexDigits(4), DASH, hexDigits(12));

const BYTE = choice(
  DIGIT,
  sequence(ascii('1', '9'), DIGIT),
  sequence(literal('1'), digits(2)),
  sequence(literal('2'), ascii('0', '4'), DIGIT),
  sequence(literal('25'), ascii('0', '5')),
);
const IPV4 = sequence(BYTE, repeat(sequence(literal('.'), BYTE), 3, 3));

/** Letters and digits, with single dots or dashes between them. */
const LABEL = sequence(ALPHANUMERIC, repeat(sequence(optional(literal('-')), ALPHANUMERIC), 0, 30));
const HOSTNAME = sequence(LABEL, repeat(sequence(literal('.'), LABEL), 0, 3));
const MAILBOX = sequence(ALPHANUMERIC, repeat(sequence(optional(oneOf('._+-')), ALPHANUMERIC), 0, 31));
const EMAIL = sequence(MAILBOX, literal('@'), LABEL, repeat(sequence(literal('.'), LABEL), 1, 3));

/** Contents of strings by `format`: texts that are of it without doubt, not all that may be. None needs an escape. */
export const STRING_FORMATS: Readonly<Record<string, Expression>> = {
  date: DATE,
  time: TIME,
  'date-time': sequence(DATE, literal('T'), TIME),
  uuid: UUID,
  ipv4: IPV4,
  hostname: HOSTNAME,
  email: EMAIL,
};
