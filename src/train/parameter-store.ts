// Everything that training keeps per parameter, as flat arrays: values, gradients, and what the optimizer asks for.
import { elementCount, FormatError, type HostTensor } from "../base/index.ts";
import { FlatMemory, paddedCount } from "../engine/index.ts";
import type { Parameter } from "../nn/index.ts";

/** Parameters that an optimizer treats alike. */
export interface ParameterGroup {
  /** Whether a parameter belongs here. */
  includes: (name: string, parameter: Parameter) => boolean;
  /** Multiplies the learning rate. */
  learningRateFactor?: number;
  /** Multiplies the optimizer's weight decay. */
  weightDecayFactor?: number;
}

/** Biases and the scales and shifts of norms, the parameters with fewer than two axes, which are commonly not decayed. */
export const vectorsWithoutDecay: ParameterGroup = {
  includes: (_name, { shape }) => shape.length < 2,
  weightDecayFactor: 0,
};

/** A stretch of the flat arrays, in elements, with the factors of its group. */
export interface ParameterRange {
  readonly start: number;
  readonly count: number;
  readonly learningRateFactor: number;
  readonly weightDecayFactor: number;
}

export interface ParameterStoreOptions {
  /** Arrays of the trainable parameters' size to keep besides values and gradients: moments, an average, an accumulator. */
  slots?: readonly string[];
  /** A parameter belongs to the first group that includes it; both factors are 1 for those that none includes. */
  groups?: readonly ParameterGroup[];
}

type Tensors = Readonly<Record<string, HostTensor<"float32">>>;

/**
 * Parameters of a model in one flat memory: regions "value" (all parameters), "gradient" and one for each slot (the trainable
 * ones). Each parameter is padded to 16 floats; padding stays zero as long as what is loaded and fetched goes through the
 * tensors given here. Trainable parameters come first, group by group, so that a group is one range and all of them are one too.
 *
 * Tensors are made once and stay the same objects, so that the engine can remember how it wrapped them.
 *
 * @example
 * const parameters = namedParameters(model);
 * const store = new ParameterStore(parameters, { slots: optimizer.slots, groups: [vectorsWithoutDecay] });
 * store.load(initialize(parameters, seed));
 */
export class ParameterStore {
  readonly memory: FlatMemory;
  /** Every parameter by name, in the model's order. */
  readonly values: Tensors;
  /** The gradient of every trainable parameter. */
  readonly gradients: Tensors;
  /** The trainable parameters' groups in the flat arrays, without gaps from 0 on. */
  readonly ranges: readonly ParameterRange[];
  /** Names of the slots. */
  readonly slots: readonly string[];
  /** Numbers that training changes, without padding. */
  readonly trainableCount: number;
  readonly #tensors = new Map<string, Tensors>();
  readonly #trainablePadded: number;

  constructor(parameters: ReadonlyMap<string, Parameter>, { slots = [], groups = [] }: ParameterStoreOptions = {}) {
    const reserved = slots.find((slot, i) => slot === "value" || slot === "gradient" || slots.indexOf(slot) !== i);
    if (reserved !== undefined) throw new RangeError(`a slot cannot be called "${reserved}": there is one already`);
    const members: [string, Parameter][][] = [...groups, undefined].map(() => []);
    const fixed: [string, Parameter][] = [];
    for (const [name, parameter] of parameters) {
      const group = groups.findIndex(({ includes }) => includes(name, parameter));
      (parameter.trainable ? members[group < 0 ? groups.length : group]! : fixed).push([name, parameter]);
    }

    const starts = new Map<string, number>();
    let end = 0;
    const place = (entries: readonly [string, Parameter][]): void => {
      for (const [name, { shape }] of entries) {
        starts.set(name, end);
        end += paddedCount(elementCount(shape));
      }
    };
    const ranges: ParameterRange[] = [];
    for (const [i, entries] of members.entries()) {
      const start = end;
      place(entries);
      const { learningRateFactor = 1, weightDecayFactor = 1 } = groups[i] ?? {};
      if (end > start) ranges.push({ start, count: end - start, learningRateFactor, weightDecayFactor });
    }
    this.#trainablePadded = end;
    place(fixed);

    const trainable = { dtype: "float32", count: this.#trainablePadded } as const;
    this.memory = new FlatMemory({
      value: { dtype: "float32", count: end },
      gradient: trainable,
      ...Object.fromEntries(slots.map((slot) => [slot, trainable])),
    });
    for (const region of ["value", "gradient", ...slots]) {
      const held = [...parameters].filter(([, parameter]) => region === "value" || parameter.trainable);
      const tensors = held.map(
        ([name, { shape }]) => [name, this.memory.tensor(region, "float32", shape, starts.get(name))] as const,
      );
      this.#tensors.set(region, Object.fromEntries(tensors));
    }
    this.values = this.tensors("value");
    this.gradients = this.tensors("gradient");
    this.ranges = ranges;
    this.slots = slots;
    this.trainableCount = Object.values(this.gradients).reduce((sum, { data }) => sum + data.length, 0);
  }

  /** Tensors of a region by parameter name: "value", "gradient" or a slot. */
  tensors(region: string): Tensors {
    const tensors = this.#tensors.get(region);
    if (tensors === undefined)
      throw new RangeError(`the store keeps no "${region}"; it keeps ${[...this.#tensors.keys()].join(", ")}`);
    return tensors;
  }

  /** A region's trainable part, or one range of it, as one array that includes padding. */
  flat(
    region: string,
    { start, count }: { start: number; count: number } = { start: 0, count: this.#trainablePadded },
  ): Float32Array {
    return this.memory.floats(region, start, count);
  }

  /**
   * Copies tensors in: exactly the region's, by name and shape, or a FormatError that names the first that does not fit.
   * Nothing is written unless all fit.
   */
  load(tensors: ReadonlyMap<string, HostTensor>, region = "value"): void {
    const own = this.tensors(region);
    for (const [name, { dtype, dims }] of tensors) {
      const wanted = own[name];
      if (wanted === undefined) {
        throw new FormatError(
          name,
          `unexpected: the model has no ${region} of this name. It comes from another model, or another configuration of this one.`,
        );
      }
      if (
        dtype !== "float32" ||
        dims.length !== wanted.dims.length ||
        dims.some((dim, axis) => dim !== wanted.dims[axis])
      ) {
        throw new FormatError(
          name,
          `the model's ${region} is float32 [${wanted.dims.join(", ")}], got ${dtype} [${dims.join(", ")}]`,
        );
      }
    }
    const missing = Object.keys(own).filter((name) => !tensors.has(name));
    if (missing.length > 0) {
      const others = missing.length === 1 ? "" : `, and with it ${missing.length - 1} more`;
      throw new FormatError(
        missing[0]!,
        `missing: the model's ${region} float32 [${own[missing[0]!]!.dims.join(", ")}] was not given${others}`,
      );
    }
    for (const [name, { data }] of tensors) own[name]!.data.set(data as Float32Array);
  }

  /** Copies of a region's tensors, which later steps do not change. */
  copyOut(region = "value"): Map<string, HostTensor<"float32">> {
    return new Map(
      Object.entries(this.tensors(region)).map(([name, { dtype, dims, data }]) => [
        name,
        { dtype, dims, data: data.slice() },
      ]),
    );
  }
}
