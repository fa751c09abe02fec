import { computed, signal } from '@preact/signals';
import type { ApiClient } from '../api/api-client.ts';
import { ApiError } from '../api/api-error.ts';
import type { ListedModel, ModelList } from '../api/models.ts';

/** The model that the server has, and whether it answers. */
export class ServerInfo {
  readonly model = signal<ListedModel | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  readonly ctx = computed(() => this.model.value?.kvant?.ctx);
  readonly kvFormats = computed(() => this.model.value?.kvant?.kv_formats ?? []);
  readonly defaultKv = computed(() => this.model.value?.kvant?.kv);
  readonly #api: ApiClient;

  constructor(api: ApiClient) {
    this.#api = api;
  }

  async load(): Promise<void> {
    try {
      const { data } = await this.#api.json<ModelList>('v1/models');
      this.model.value = data[0];
      this.problem.value = data[0] ? undefined : 'The server has no model.';
    } catch (error) {
      this.problem.value = error instanceof ApiError ? error.message : String(error);
    }
  }
}
