/** What stands behind the handles of one kind that a backend hands out. */
export class HandleTable<Handle extends object, Data> {
  readonly #noun: string;
  readonly #data = new WeakMap<Handle, Data>();

  /** @param noun what a handle stands for, for the error */
  constructor(noun: string) {
    this.#noun = noun;
  }

  add(handle: Handle, data: Data): Handle {
    this.#data.set(handle, data);
    return handle;
  }

  /** @throws TypeError if the handle is not of this table: made by another backend, or by another object of this one */
  get(handle: Handle): Data {
    const data = this.#data.get(handle);
    if (data === undefined) throw new TypeError(`this ${this.#noun} was not created by these kernels`);
    return data;
  }
}
