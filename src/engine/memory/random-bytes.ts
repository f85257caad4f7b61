// The random bytes that a training step feeds to its dropout sites: one array a site, filled anew every step.
import { elementCount, type HostTensor, type RandomKey } from "../../base/index.ts";
import { FlatMemory, paddedCount } from "./flat-memory.ts";

export interface RandomArray {
  name: string;
  dims: readonly number[];
  /** The random stream whose first bytes fill the array. */
  key: RandomKey;
}

/**
 * Arrays of random bytes in memory that is kept from step to step. It has a memory of its own, because how much a step needs is
 * known only when its batch is: a larger batch than any before takes a larger memory.
 *
 * @example
 * const bytes = new RandomBytes();
 * const { mask } = bytes.fill([{ name: "mask", dims: [32, 64, 512], key: randomKey(1) }]);
 */
export class RandomBytes {
  #memory: FlatMemory | undefined;
  #capacity = 0;

  /** One uint8 tensor for each array, by name. The next call overwrites them. */
  fill(arrays: readonly RandomArray[]): Record<string, HostTensor<"uint8">> {
    const needed = arrays.reduce((sum, { dims }) => sum + paddedCount(elementCount(dims)), 0);
    if (this.#memory === undefined || needed > this.#capacity) {
      // A quarter more than asked, so that slowly growing batches do not each take a new memory.
      this.#capacity = Math.ceil(needed * 1.25);
      this.#memory = new FlatMemory({ "random bytes": { dtype: "uint8", count: this.#capacity } });
    }
    const filled: Record<string, HostTensor<"uint8">> = {};
    let start = 0;
    for (const { name, dims, key } of arrays) {
      const tensor = this.#memory.tensor("random bytes", "uint8", dims, start);
      this.#memory.fillRandomBytes(tensor.data, key);
      filled[name] = tensor;
      start += paddedCount(tensor.data.length);
    }
    return filled;
  }
}
