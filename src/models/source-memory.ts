// What the source program gave for the sentences of a batch, while some leave and others join.
import { allocate, type HostTensor } from "../base/index.ts";
import type { Shape } from "../tensor/index.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** As masks have it. */
const hidden = -1e9;

/** Sources that are read when their sentences join. */
export interface LaterSources {
  /** What decoding wants of them, as `SequenceToSequence.readSource` names it. */
  read(sentences: readonly number[]): Promise<Tensors>;
  /** Tokens of one. */
  lengthOf(sentence: number): number;
}

/**
 * Rows of tensors by sentence. Axes that the steps' inputs call sourceTime are as long as the longest source that is here, or that was
 * here at the start; what is short is filled with zeros, and `bias`, which hides padding, with what hides.
 */
export class SourceMemory {
  /** Whose rows these are, ascending; those that have left the search cost time until they are dropped. */
  sentences: Int32Array;
  tensors: Tensors;
  readonly #timeAxes: ReadonlyMap<string, number>;

  constructor(tensors: Tensors, sentences: number, inputs: Readonly<Record<string, { readonly shape: Shape }>>) {
    this.tensors = tensors;
    this.sentences = Int32Array.from({ length: sentences }, (_, i) => i);
    this.#timeAxes = new Map(
      Object.entries(inputs).map(([name, { shape }]) => [name, shape.findIndex((size) => `${size}` === "sourceTime")]),
    );
  }

  /** Goes on with some of the sentences. */
  keep(sentences: Int32Array): void {
    this.#arrange(sentences, undefined, undefined);
  }

  /** Goes on with some of them and, behind these, with the rows of `joining`; the longest of all sources has `time` tokens. */
  join(sentences: Int32Array, joining: Tensors, time: number): void {
    this.#arrange(sentences, joining, time);
  }

  #arrange(sentences: Int32Array, joining: Tensors | undefined, wantedTime: number | undefined): void {
    const before = this.sentences;
    const kept = sentences.filter((sentence) => before.includes(sentence));
    const places = kept.map((sentence) => before.indexOf(sentence));
    this.tensors = Object.fromEntries(
      Object.entries(joining ?? this.tensors).map(([name, { dims }]) => {
        const axis = this.#timeAxes.get(name) ?? -1;
        const time = axis < 0 ? 1 : (wantedTime ?? dims[axis]!);
        const inner = axis < 0 ? 1 : product(dims.slice(axis + 1));
        const blocks = product(dims.slice(1, axis < 0 ? undefined : axis));
        const size = blocks * time * inner;
        const data = allocate("float32", sentences.length * size);
        if (name === "bias") data.fill(hidden);
        const put = (from: HostTensor, row: number, to: number): void => {
          const timeBefore = axis < 0 ? 1 : from.dims[axis]!;
          const whole = from.data as Float32Array;
          for (let block = 0; block < blocks; block++) {
            const start = (row * blocks + block) * timeBefore * inner;
            const taken = whole.subarray(start, start + Math.min(time, timeBefore) * inner);
            data.set(taken, to * size + block * time * inner);
          }
        };
        const own = this.tensors[name];
        if (own !== undefined) places.forEach((row, to) => put(own, row, to));
        if (joining !== undefined)
          for (let to = kept.length; to < sentences.length; to++) put(joining[name]!, to - kept.length, to);
        const sizes = dims.map((size, i) => (i === 0 ? sentences.length : i === axis ? time : size));
        return [name, { dtype: "float32", dims: sizes, data }];
      }),
    );
    this.sentences = sentences.slice();
  }
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}
