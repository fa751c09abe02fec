import { access, constants, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as PlotModule from '@observablehq/plot';
import { fileErrorReason, KvantError } from '../errors.ts';

export type Plot = typeof PlotModule;

/** What is drawn, once the library that draws is there. */
export type Drawing = (plot: Plot) => PlotModule.PlotOptions;

/** As far as it is needed of the DOM, which Node has none of. */
export interface SvgElement {
  setAttribute(name: string, value: string): void;
  prepend(child: SvgElement): void;
  textContent: string;
  readonly outerHTML: string;
}

export interface SvgDocument {
  createElementNS(namespace: string, name: string): SvgElement;
}

/** Legible on white and on a dark background. */
const STYLE =
  'svg{color:#1f2328;font-family:system-ui,sans-serif;background:none}' +
  '@media(prefers-color-scheme:dark){svg{color:#e6edf3}}';
const SVG = 'http://www.w3.org/2000/svg';

/** A picture of its own, which follows the reader's theme. */
export function withStyle(plot: SvgElement, document: SvgDocument): string {
  plot.setAttribute('xmlns', SVG);
  const style = document.createElementNS(SVG, 'style');
  style.textContent = STYLE;
  plot.prepend(style);
  return `${plot.outerHTML}\n`;
}

export interface Picture {
  /** @throws KvantError FILE_ERROR */
  write(drawing: Drawing): Promise<void>;
}

/** Where the libraries come from that pictures need. */
export interface PictureLibraries {
  readonly plot: () => Promise<Plot>;
  readonly dom: () => Promise<{ parseHTML(html: string): unknown }>;
}

/** Optional peer dependencies of the package: whoever draws nothing needs none of them. */
const LIBRARIES: PictureLibraries = {
  plot: () => import('@observablehq/plot'),
  dom: () => import('linkedom'),
};

/**
 * Makes sure that a picture can be drawn and written before anything is measured for it.
 *
 * @throws KvantError BACKEND_UNAVAILABLE with the command that installs what is missing, FILE_ERROR if the folder cannot be written to
 */
export async function preparePicture(path: string, libraries: PictureLibraries = LIBRARIES): Promise<Picture> {
  const [plot, dom] = await loadLibraries(libraries);
  await inFile(path, () => access(dirname(path), constants.W_OK));
  return {
    async write(drawing) {
      const { document } = dom.parseHTML('<html></html>') as { readonly document: SvgDocument };
      const options = { ...drawing(plot), document } as unknown as PlotModule.PlotOptions;
      const drawn: unknown = plot.plot(options);
      const svg = withStyle(drawn as SvgElement, document);
      await inFile(path, () => writeFile(path, svg));
    },
  };
}

async function loadLibraries({ plot, dom }: PictureLibraries) {
  try {
    return await Promise.all([plot(), dom()]);
  } catch (cause) {
    const message = '--svg needs two more packages: run "npm i @observablehq/plot linkedom"';
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
  }
}

async function inFile(path: string, use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } catch (cause) {
    throw new KvantError('FILE_ERROR', `cannot write "${path}": ${fileErrorReason(cause)}`, { cause });
  }
}
