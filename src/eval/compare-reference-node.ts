/**
 * Compares log-probabilities that an engine wrote with those of a reference folder. `npm run eval:reference -- --help` tells how to use it.
 */
import { parseArgs } from 'node:util';
import { KvantError } from '../errors.ts';
import { klDivergence } from '../engine/kl-divergence.ts';
import { agreesOnTop1, summarize } from './kld.ts';
import { readLogProbRows } from './log-prob-rows-node.ts';
import { parsePositions } from './positions.ts';
import { openReferenceFolder } from './reference-folder-node.ts';

const HELP = `usage: npm run eval:reference -- --reference DIR --logits FILE.f32 --positions START:END:STEP

KL divergence of an engine's distributions from a reference's, at the positions that both have.

  --reference DIR             folder as test/reference/README.md describes it
  --logits FILE.f32           rows of float32 log-probabilities, one for each position, such as those of
                              kvant generate --tokens DIR/tokens.u16 --logits FILE.f32 --logits-at START:END:STEP --max-tokens 0
  --positions START:END:STEP  positions of these rows: from START on, below END (STEP may be absent: 1)
  --help
`;

interface Arguments {
  readonly reference: string;
  readonly logits: string;
  readonly positions: readonly number[];
}

/** @throws KvantError INVALID_OPTION; undefined where help is wanted */
function parseArguments(): Arguments | undefined {
  const { values } = readArguments();
  if (values.help) return undefined;
  const { reference, logits, positions } = values;
  if (reference === undefined || logits === undefined || positions === undefined) {
    throw new KvantError('INVALID_OPTION', '--reference, --logits and --positions are all needed; --help tells more');
  }
  return { reference, logits, positions: parsePositions(positions) };
}

function readArguments() {
  const string = { type: 'string' } as const;
  try {
    return parseArgs({
      options: { reference: string, logits: string, positions: string, help: { type: 'boolean', default: false } },
    });
  } catch (cause) {
    throw new KvantError('INVALID_OPTION', `${(cause as Error).message}; --help tells more`, { cause });
  }
}

async function compare({ reference: folder, logits, positions }: Arguments): Promise<string> {
  const reference = await openReferenceFolder(folder);
  const rows = await readLogProbRows(logits, positions, reference.vocabularySize);
  const shared = reference.positions.filter((position) => rows.has(position));
  if (shared.length === 0) {
    const [first, last] = [reference.positions[0], reference.positions[reference.positions.length - 1]];
    const message = `no position of --positions is in "${folder}", which has ${reference.positions.length} from ${first} to ${last}`;
    throw new KvantError('INVALID_OPTION', message);
  }
  const divergences: number[] = [];
  let numAgreements = 0;
  for (const position of shared) {
    const expected = reference.logProbs(position);
    const row = rows.get(position) ?? new Float32Array();
    divergences.push(klDivergence(expected, row));
    if (agreesOnTop1(expected, row)) numAgreements += 1;
  }
  const { mean, median, max } = summarize(divergences);
  const kld = `KLD mean ${mean.toPrecision(3)}, median ${median.toPrecision(3)}, max ${max.toPrecision(3)}`;
  const share = ((100 * numAgreements) / shared.length).toFixed(1);
  return `${shared.length} positions: ${kld}, top-1 agreement ${share}% (${numAgreements})\n`;
}

try {
  const parsed = parseArguments();
  process.stdout.write(parsed ? await compare(parsed) : HELP);
} catch (error) {
  if (!(error instanceof KvantError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code === 'INVALID_OPTION' ? 2 : 1;
}
