import { signal } from '@preact/signals';
import type { ApiClient } from '../api/api-client.ts';
import { ApiError } from '../api/api-error.ts';
import { countTokens } from '../api/tokenize.ts';
import { checkFits, DocumentError, readText, type ChatDocument } from '../chat/chat-document.ts';
import type { ServerInfo } from '../state/server-info.ts';

/** The document of the next message: dropped or chosen, read, and its tokens counted. */
export class DocumentDrop {
  readonly document = signal<ChatDocument | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  /** Name of the file that is being read. */
  readonly reading = signal<string | undefined>(undefined);
  readonly isOver = signal(false);
  readonly #api: ApiClient;
  readonly #server: ServerInfo;
  #abort = new AbortController();

  constructor(api: ApiClient, server: ServerInfo) {
    this.#api = api;
    this.#server = server;
  }

  /** For the element that files can be dropped onto. */
  readonly handlers = {
    onDragOver: (event: DragEvent): void => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      this.isOver.value = true;
    },
    onDragLeave: (event: DragEvent): void => {
      const [area, to] = [event.currentTarget, event.relatedTarget];
      if (area instanceof Element && to instanceof Node && area.contains(to)) return;
      this.isOver.value = false;
    },
    onDrop: (event: DragEvent): void => {
      if (!event.dataTransfer) return;
      event.preventDefault();
      this.isOver.value = false;
      void this.take([...event.dataTransfer.files]);
    },
  };

  clear(): void {
    this.#abort.abort();
    this.document.value = undefined;
    this.problem.value = undefined;
    this.reading.value = undefined;
  }

  /** Reads a file; what is wrong with it stands in `problem`. */
  async take(files: readonly File[]): Promise<void> {
    this.clear();
    const [file] = files;
    if (!file) return;
    const { signal: aborted } = (this.#abort = new AbortController());
    this.reading.value = file.name;
    try {
      if (files.length > 1) throw new DocumentError('One document at a time, please.');
      const document = await this.#read(file, aborted);
      if (!aborted.aborted) this.document.value = document;
    } catch (error) {
      if (aborted.aborted) return;
      if (!(error instanceof DocumentError || error instanceof ApiError)) throw error;
      this.problem.value = error.message;
    } finally {
      if (!aborted.aborted) this.reading.value = undefined;
    }
  }

  async #read(file: File, aborted: AbortSignal): Promise<ChatDocument> {
    const text = await readText(file);
    const tokens = await countTokens(this.#api, this.#server.model.value?.id ?? '', text, aborted);
    const ctx = this.#server.ctx.value;
    if (ctx !== undefined) checkFits(file.name, tokens, ctx);
    return { name: file.name, text, tokens };
  }
}
