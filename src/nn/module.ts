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
  #trainable: boolean;

  constructor({ shape, initializer, trainable = true }: ParameterOptions) {
    this.value = input("a parameter", "float32", shape);
    this.shape = shape;
    this.initializer = initializer;
    this.#trainable = trainable;
  }

  get trainable(): boolean {
    return this.#trainable;
  }

  /** Freezes a weight or frees it. What trains it (a parameter store, a training program) asks once, when it is made. */
  setTrainable(trainable: boolean): void {
    this.#trainable = trainable;
  }
}

/** The parent of every module; it adds nothing but the name by which the walk knows modules. */
// oxlint-disable-next-line typescript/no-extraneous-class -- a class of its own is what `instanceof` asks for
export abstract class Module {}

/** Shows every module and parameter below a module, itself first, by property path; what is reached twice is shown once. */
function walk(root: Module, meet: (path: string, part: Module | Parameter) => void): void {
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: string): void => {
    const isPart = value instanceof Module || value instanceof Parameter;
    if ((!isPart && !Array.isArray(value)) || seen.has(value)) return;
    seen.add(value);
    if (isPart) meet(path, value);
    if (value instanceof Parameter) return;
    for (const [key, part] of Object.entries(value)) visit(part, path === "" ? key : `${path}.${key}`);
  };
  visit(root, "");
}

/**
 * Every parameter below a module by its property path, for example `decoder.layers.0.crossAttention.query.weight`.
 * A parameter reached twice (tied weights) is listed once, under the path that comes first.
 */
export function namedParameters(root: Module): Map<string, Parameter> {
  const found = new Map<string, Parameter>();
  walk(root, (path, part) => part instanceof Parameter && found.set(path, part));
  return found;
}

/** Every module below a module by its property path, itself under the empty one. */
export function namedModules(root: Module): Map<string, Module> {
  const found = new Map<string, Module>();
  walk(root, (path, part) => part instanceof Module && found.set(path, part));
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
