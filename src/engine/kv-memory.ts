import type { PageLayout } from '../cache/page-layout.ts';
import { PagePool } from '../cache/page-pool.ts';
import { SequencePages, type PagePools } from '../cache/sequence-pages.ts';
import type { Kernels, StepPages } from '../kernels/kernels.ts';
import { createStepPages } from '../kernels/step-pages.ts';
import type { KvFormat } from '../quant/kv-format.ts';

/** How many pages of each kind an engine has. */
export interface PageCounts {
  readonly sealed: number;
  /** Also the number of sink pages, where the format has sink tokens. */
  readonly open: number;
}

/** All page memory of an engine, and who owns which page of it. */
export class KvMemory {
  readonly format: KvFormat;
  readonly sealedLayout: PageLayout;
  readonly pages: StepPages;
  readonly pools: PagePools;

  /** @throws KvantError OUT_OF_MEMORY if the backend cannot take them */
  constructor(kernels: Kernels, counts: PageCounts) {
    this.format = kernels.config.format;
    this.pages = createStepPages(kernels, counts.sealed, counts.open);
    this.sealedLayout = this.pages.sealed.layout;
    this.pools = {
      sealed: new PagePool('sealed', counts.sealed),
      open: new PagePool('open', counts.open),
      sink: this.pages.sink ? new PagePool('sink', counts.open) : undefined,
    };
  }

  /** A sequence without tokens, which owns no page yet. */
  createSequencePages(): SequencePages {
    return new SequencePages(this.pools, this.format);
  }

  /** @param owners every sequence that may own a page. @throws PageIntegrityError with the sum that fails */
  check(owners: readonly SequencePages[]): void {
    const owned = owners.map((pages) => pages.ownedPages());
    this.pools.sealed.check(owned.flatMap(({ sealed }) => sealed));
    this.pools.open.check(owned.flatMap(({ open }) => open));
    this.pools.sink?.check(owned.flatMap(({ sink }) => sink));
  }
}
