import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parsePositions } from './positions.ts';

const PROGRAM = fileURLToPath(new URL('./compare-reference-node.ts', import.meta.url));

let folder: string;
let logits: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvant-compare-'));
  logits = join(folder, 'logits.f32');
  const logs = (...probabilities: number[]): number[] => probabilities.map(Math.log);
  writeFileSync(join(folder, 'tokens.u16'), new Uint16Array(8));
  writeFileSync(join(folder, 'full_positions.u32'), Uint32Array.of(2, 4, 7));
  writeFileSync(join(folder, 'full_logprobs.f32'), Float32Array.from(logs(0.5, 0.5, 0.25, 0.75, 0.9, 0.1)));
  // Positions 3 to 5: only 4 is in the reference.
  writeFileSync(logits, Float32Array.from(logs(0.1, 0.9, 0.5, 0.5, 0.1, 0.9)));
});
after(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('eval:reference', () => {
  it('compares the positions that both have', () => {
    // 3/4 ln 3 - ln 2 = .1308
    const stdout = '1 positions: KLD mean 0.131, median 0.131, max 0.131, top-1 agreement 0.0% (0)\n';
    const args = ['--reference', folder, '--logits', logits, '--positions'];
    assert.deepEqual(run(...args, '3:6'), { status: 0, stdout, stderr: '' });
  });

  it('explains itself', () => {
    const { status, stdout } = run('--help');
    assert.equal(status, 0);
    assert.match(stdout, /--positions START:END:STEP/);
  });

  it('refuses what is missing or does not fit, with the reason', () => {
    assert.deepEqual(run('--logits', logits), {
      status: 2,
      stdout: '',
      stderr: '--reference, --logits and --positions are all needed; --help tells more\n',
    });
    const args = ['--reference', folder, '--logits', logits, '--positions'];
    assert.match(run(...args, '3:7').stderr, /has 24 bytes, but 4 positions of 2 float32 numbers take 32/);
    assert.match(run(...args, '10:13').stderr, /no position of --positions is in .*, which has 3 from 2 to 7/);
    assert.match(
      run('--reference', folder, '--logits', `${logits}x`, '--positions', '0:1').stderr,
      /cannot read .*logits.f32x/,
    );
    assert.match(run('--what').stderr, /Unknown option '--what'.*--help tells more/);
  });
});

describe('parsePositions', () => {
  it('reads ranges', () => {
    assert.deepEqual(parsePositions('1024:1100:32'), [1024, 1056, 1088]);
    assert.deepEqual(parsePositions('3:5'), [3, 4]);
  });

  it('refuses everything else', () => {
    for (const text of ['', '5', '5:5', '6:5', '1:5:0', 'a:b', '-1:5', '1:2:3:4', `0:${'9'.repeat(20)}`]) {
      assert.throws(() => parsePositions(text), {
        code: 'INVALID_OPTION',
        message: /must be START:END or START:END:STEP/,
      });
    }
  });
});
