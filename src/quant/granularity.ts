import { KvantError } from '../errors.ts';
import { CODE_BITS } from './bit-planes.ts';
import type { CodeBits } from './bit-planes.ts';
import type { TileSpec } from './tile-spec.ts';

/**
 * Which elements share a scale: all (`tensor`), a row along the axis (`axis`), or that many consecutive elements of a
 * row, of which the last group of a row may have fewer.
 */
export type GroupSize = 'tensor' | 'axis' | number;

/**
 * Groups that the field has names for, of a tensor [..., tokens, channels]: one for the whole tensor, one per channel
 * over the tokens, one per token over the channels, or 32 or 64 consecutive channels of a token.
 */
export type GroupGranularity = 'tensor' | 'channel' | 'token' | 'group32' | 'group64';

/** How to quantize in groups that have a scale and a zero point each. */
export interface GroupOptions {
  /** Bits of a code. */
  readonly bits: CodeBits;
  /** Sets `groupSize` and `axis` by name. Default: they are what they are. */
  readonly granularity?: GroupGranularity;
  /** Default 64. */
  readonly groupSize?: GroupSize;
  /** Axis along which groups run; negative ones count from the end. Default -1, the last. */
  readonly axis?: number;
  /** Codes around an exact zero and no zero points, instead of codes from the least value to the greatest. Default false. */
  readonly symmetric?: boolean;
}

/** How to quantize a tensor [tokens, channels of a head] in the tiles of this library's KV cache. */
export interface TileOptions {
  readonly bits: TileSpec['bits'];
  readonly granularity: 'tile';
  /** Keys have a factor per token and a range per channel, values a range per token. */
  readonly kind: TileSpec['kind'];
}

export type QuantizeOptions = GroupOptions | TileOptions;

/** Groups of a tensor, with nothing left to default. */
export interface Grouping {
  readonly bits: CodeBits;
  readonly groupSize: GroupSize;
  /** From 0; it is 0 for a tensor of no axes, too. */
  readonly axis: number;
  readonly symmetric: boolean;
}

const DEFAULT_GROUP_SIZE = 64;

const PRESETS: Readonly<Record<GroupGranularity, Pick<Grouping, 'groupSize' | 'axis'>>> = {
  tensor: { groupSize: 'tensor', axis: -1 },
  channel: { groupSize: 'axis', axis: -2 },
  token: { groupSize: 'axis', axis: -1 },
  group32: { groupSize: 32, axis: -1 },
  group64: { groupSize: 64, axis: -1 },
};

/** All names that `granularity` takes. */
export const GRANULARITIES = [...(Object.keys(PRESETS) as GroupGranularity[]), 'tile'] as const;

const GROUP_OPTION_NAMES = ['bits', 'granularity', 'groupSize', 'axis', 'symmetric'];
const TILE_OPTION_NAMES = ['bits', 'granularity', 'kind'];

/** @throws KvantError INVALID_OPTION if there is an option that tiles do not have, or the kind is none */
export function checkTileOptions(options: TileOptions): void {
  checkNames(options, TILE_OPTION_NAMES, 'options of tiles');
  if (!['k', 'v'].includes(options.kind)) throw invalidOption('kind', 'must be k or v', options.kind);
}

/**
 * Fills in what the options leave out, for a tensor of `rank` axes. An option that is `undefined` counts as absent.
 *
 * @throws KvantError INVALID_OPTION naming the option, what it may be and what it was
 */
export function parseGroupOptions(options: GroupOptions, rank: number): Grouping {
  if (typeof options !== 'object' || options === null) {
    throw new KvantError('INVALID_OPTION', `options must be an object; got ${show(options)}`);
  }
  checkNames(options, GROUP_OPTION_NAMES, 'known options');
  const { bits, granularity, symmetric = false } = options;
  if (!CODE_BITS.includes(bits)) throw invalidOption('bits', 'must be 8, 6, 5, 4, 3, 2 or 1', bits);
  if (typeof symmetric !== 'boolean') throw invalidOption('symmetric', 'must be true or false', symmetric);
  const { groupSize = DEFAULT_GROUP_SIZE, axis = -1 } = granularity === undefined ? options : preset(options);
  checkGroupSize(groupSize);
  if (granularity === 'channel' && rank < 2) {
    throw new KvantError(
      'INVALID_OPTION',
      `granularity "channel" needs a tensor [..., tokens, channels], not ${rank} axes`,
    );
  }
  return { bits, groupSize, axis: axisFromStart(axis, rank), symmetric };
}

function preset(options: GroupOptions): Pick<Grouping, 'groupSize' | 'axis'> {
  const { granularity } = options;
  if (granularity === undefined || !Object.hasOwn(PRESETS, granularity)) {
    throw invalidOption('granularity', `must be ${GRANULARITIES.join(', ')}`, granularity);
  }
  const conflict = (['groupSize', 'axis'] as const).find((name) => options[name] !== undefined);
  if (conflict) {
    const message = `granularity "${granularity}" says what "${conflict}" is: give one of them`;
    throw new KvantError('INVALID_OPTION', message);
  }
  return PRESETS[granularity];
}

/** @throws KvantError INVALID_OPTION */
function checkGroupSize(groupSize: unknown): void {
  if (groupSize === 'tensor' || groupSize === 'axis') return;
  if (!Number.isSafeInteger(groupSize) || (groupSize as number) < 1) {
    throw invalidOption('groupSize', 'must be tensor, axis or a whole number of at least 1', groupSize);
  }
}

/** A tensor of no axes is taken as one of shape [1]. */
function axisFromStart(axis: unknown, rank: number): number {
  const numAxes = Math.max(rank, 1);
  if (!Number.isInteger(axis) || (axis as number) < -numAxes || (axis as number) >= numAxes) {
    throw invalidOption('axis', `must be a whole number from ${-numAxes} to ${numAxes - 1}`, axis);
  }
  return (axis as number) < 0 ? (axis as number) + numAxes : (axis as number);
}

function checkNames(options: object, known: readonly string[], label: string): void {
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !known.includes(name));
  if (unknown) throw new KvantError('INVALID_OPTION', `unknown option "${unknown[0]}"; ${label}: ${known.join(', ')}`);
}

function invalidOption(name: string, rule: string, value: unknown): KvantError {
  return new KvantError('INVALID_OPTION', `option "${name}" ${rule}; got ${show(value)}`);
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'number' ? `${value}` : (JSON.stringify(value) ?? typeof value);
}
