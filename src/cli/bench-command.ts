import { KvantError } from '../errors.ts';
import type { Benchmark, PeerName } from './bench-flags.ts';
import { findPeer, type Peer } from './bench-peers.ts';
import { measureInSession, type BenchSession } from './bench-session.ts';
import { benchKernels, type KernelSection } from './bench-kernels.ts';
import { benchLoad, type LoadSection } from './bench-load.ts';
import { benchSpeed, type SpeedSection } from './bench-speed.ts';
import type { CliContext } from './cli-context.ts';
import type { BenchOptions } from './cli-options.ts';
import { describeMachine, type Machine } from './machine.ts';

const DEFAULT_BENCHMARKS: readonly Benchmark[] = ['decode', 'prefill'];

/** What `--json` prints. */
export interface BenchReport extends Partial<SpeedSection>, Partial<KernelSection>, Partial<LoadSection> {
  readonly node: string;
  readonly machine: Machine;
}

/**
 * Measures what was asked for, one thing after the other, and prints tables as they grow, or one JSON object at the end.
 *
 * @param what nothing stands for decode and prefill
 * @param find where peers come from
 * @returns the exit code
 * @throws KvantError, and what `load` and the generations throw
 */
export async function benchCommand(
  what: readonly Benchmark[],
  options: BenchOptions,
  context: CliContext,
  find: (name: PeerName) => Promise<Peer> = findPeer,
): Promise<number> {
  return measureInSession(options.json === true, context, async (session) => {
    const wanted = what.length > 0 ? what : DEFAULT_BENCHMARKS;
    if (options.against && !wanted.includes('decode') && !wanted.includes('prefill')) {
      throw new KvantError(
        'INVALID_OPTION',
        '--against needs decode or prefill: other engines are compared by nothing else',
      );
    }
    if (options.batch !== undefined && !wanted.includes('attention') && !wanted.includes('matmul')) {
      const message = '--batch needs attention or matmul: kvant bench users measures many users at once';
      throw new KvantError('INVALID_OPTION', message);
    }
    const peer = options.against && (await find(options.against));
    return measure(wanted, { options, peer, session }, context);
  });
}

interface BenchParts {
  readonly options: BenchOptions;
  readonly peer: Peer | undefined;
  readonly session: BenchSession;
}

async function measure(what: readonly Benchmark[], parts: BenchParts, context: CliContext): Promise<BenchReport> {
  const { options, peer, session } = parts;
  const [prefill, decode] = [what.includes('prefill'), what.includes('decode')];
  const speed = prefill || decode ? await benchSpeed({ prefill, decode, options, peer }, session, context) : undefined;
  const [attention, matmul] = [what.includes('attention'), what.includes('matmul')];
  const kernels = attention || matmul ? await benchKernels({ attention, matmul, options }, session) : undefined;
  const load = what.includes('load') ? await benchLoad(options, session) : undefined;
  return { node: process.version, machine: describeMachine(), ...speed, ...kernels, ...load };
}
