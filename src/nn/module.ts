// What a module is: parameters, parts and one forward. Parameters are found by walking the fields, and the path is the name.
import { allocate, elementCount, randomKey, RandomStream, type HostTensor } from "../base/index.ts";
import { input, type Tensor } from "../tensor/index.ts";
import type { Initializer } from "./initializers.ts";

export interface ParameterOptions {
  shape: readonly number[];
  initializer: Initializer;
  /** Whether training changes it; a fixed table is stored with the model but gets no gradient. */
  trainable?: boolean;
}

/** A weight: a leaf of the graph with a fixed shape and a way to draw its first value. */
export class Parameter {
  readonly value: Tensor;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  readonly trainable: boolean;

  constructor({ shape, initializer, trainable = true }: ParameterOptions) {
    this.value = input("a parameter", "float32", shape);
    this.shape = shape;
    this.initializer = initializer;
    this.trainable = trainable;
  }
}

/** The parent of every module; it adds nothing but the name by which the walk knows modules. */
export abstract class Module {
  abstract forward(...inputs: never[]): unknown;
}

/**
 * Every parameter below a module by its property path, for example `decoder.layers.0.crossAttention.query.weight`.
 * A parameter reached twice (tied weights) is listed once, under the path that comes first.
 */
export function namedParameters(root: Module): Map<string, Parameter> {
  const found = new Map<string, Parameter>();
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: string): void => {
    if (seen.has(value)) return;
    if (value instanceof Parameter) {
      seen.add(value);
      found.set(path, value);
    } else if (value instanceof Module || Array.isArray(value)) {
      seen.add(value);
      for (const [key, part] of Object.entries(value)) visit(part, path === "" ? key : `${path}.${key}`);
    }
  };
  visit(root, "");
  return found;
}

/** The trace inputs of a module: each parameter's tensor under its name. */
export function parameterInputs(parameters: ReadonlyMap<string, Parameter>): Record<string, Tensor> {
  return Object.fromEntries([...parameters].map(([name, { value }]) => [name, value]));
}

/** First values of all parameters; the same seed gives the same values, whatever the order of the fields. */
export function initialize(
  parameters: ReadonlyMap<string, Parameter>,
  seed: number,
): Map<string, HostTensor<"float32">> {
  return new Map(
    [...parameters].map(([name, { shape, initializer }]) => {
      const data = allocate("float32", elementCount(shape));
      initializer(data, shape, new RandomStream(randomKey(seed, ...new TextEncoder().encode(name))));
      return [name, { dtype: "float32", dims: shape, data }];
    }),
  );
}
