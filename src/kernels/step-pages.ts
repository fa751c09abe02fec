import { f16PageLayout, sealedPageLayout } from '../cache/page-layout.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import type { Kernels, PageArena, StepPages } from './kernels.ts';

/**
 * Page memory of all kinds in a format, which it adds: as many sink pages as open ones, where the format has sink tokens.
 *
 * @throws RangeError as `addFormat`; KvantError OUT_OF_MEMORY if the backend cannot take them
 */
export function createStepPages(
  kernels: Kernels,
  numSealed: number,
  numOpen: number,
  format: KvFormat = kernels.config.format,
): StepPages {
  const { shape } = kernels.config;
  const { pageSize, numSinkTokens } = format;
  kernels.addFormat(format);
  return {
    format,
    sealed: kernels.createPages(sealedPageLayout(format, shape), numSealed),
    open: kernels.createPages(f16PageLayout(pageSize, shape), numOpen),
    sink: numSinkTokens > 0 ? kernels.createPages(f16PageLayout(numSinkTokens, shape), numOpen) : undefined,
  };
}

/** Pages of all kinds in a format, which it adds, anywhere in an arena. @throws RangeError, KvantError as `addFormat` */
export function arenaStepPages(kernels: Kernels, arena: PageArena, format: KvFormat): StepPages {
  const { shape } = kernels.config;
  const { pageSize, numSinkTokens } = format;
  kernels.addFormat(format);
  return {
    format,
    sealed: kernels.arenaPages(arena, sealedPageLayout(format, shape)),
    open: kernels.arenaPages(arena, f16PageLayout(pageSize, shape)),
    sink: numSinkTokens > 0 ? kernels.arenaPages(arena, f16PageLayout(numSinkTokens, shape)) : undefined,
  };
}

/** Page that is open at a position: how many full pages come before it. */
export function openPageNumber(position: number, { numSinkTokens, pageSize }: KvFormat): number {
  return Math.floor(Math.max(position - numSinkTokens, 0) / pageSize);
}

/** First position after the page that is open at a position. */
export function openPageEnd(position: number, format: KvFormat): number {
  return format.numSinkTokens + (openPageNumber(position, format) + 1) * format.pageSize;
}
