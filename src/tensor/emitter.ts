// Where operations write their ONNX form: nodes, constants and shapes, each written once however often it is asked for.
import { hostTensor, ShapeError, type DType, type HostTensor } from "../base/index.ts";
import { onnxTypeOf, type OnnxAttribute, type OnnxGraph, type OnnxNode } from "../formats/index.ts";
import type { Tensor } from "./graph.ts";
import { scalarValue } from "./scalar-value.ts";
import { equalShapes, quotientOf, SymbolicDim, type Dim, type Shape } from "./dim.ts";

export interface EmitOptions {
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  /** "com.microsoft" for the runtime's own operators; ONNX's if not said. */
  readonly domain?: string;
  /** How many outputs the operator is asked for; 1 if not said. */
  readonly outputs?: number;
}

export interface EmitterOptions {
  /** Whether operators outside the ONNX standard may be used; they are faster on the runtime that has them. */
  readonly contrib: boolean;
}

/** What the program's own names mean. */
export interface ProgramNames {
  /** On which axis of which input each named size can be read. */
  readonly axisOf: ReadonlyMap<string, { readonly input: string; readonly axis: number }>;
  /** Names of inputs and outputs, which nothing inside may have. */
  readonly taken: ReadonlySet<string>;
  /** Whether anything reads this value, so that what nobody reads can be left out. */
  readonly isRead?: (tensor: Tensor) => boolean;
  /** Writes the node that finds this size out, if there is one: it calls `giveSize`. */
  readonly findSize?: (name: string) => void;
}

export class Emitter {
  readonly contrib: boolean;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: { name: string; tensor: HostTensor }[] = [];
  usesContrib = false;
  /** Whether anything reads this value, so that what nobody reads can be left out. */
  readonly isRead: (tensor: Tensor) => boolean;
  readonly #written = new Map<string, readonly string[]>();
  readonly #axisOf: ProgramNames["axisOf"];
  readonly #taken: ReadonlySet<string>;
  readonly #findSize: (name: string) => void;
  readonly #found = new Map<string, { readonly input: string; readonly axis: number }>();
  /** The emitter of the graph around this one, whose values a body may read. */
  readonly #outer: Emitter | undefined;
  /** Values of this graph, where it lies in another. */
  readonly #own = new Set<string>();
  #count = 0;

  constructor(
    { contrib }: EmitterOptions,
    { axisOf, taken, isRead = () => true, findSize = () => undefined }: ProgramNames,
    outer?: Emitter,
  ) {
    this.contrib = contrib;
    this.isRead = isRead;
    this.#axisOf = axisOf;
    this.#taken = taken;
    this.#findSize = findSize;
    this.#outer = outer;
  }

  /**
   * Writes a graph that lies in this one, as the body of a loop. It may read all values around it; what needs nothing else,
   * constants and sizes among it, is written around it and so computed once.
   */
  inner({ isRead, findSize }: Pick<ProgramNames, "isRead" | "findSize">): Emitter {
    const names = {
      axisOf: this.#axisOf,
      taken: this.#taken,
      ...(isRead && { isRead }),
      ...(findSize && { findSize }),
    };
    return new Emitter({ contrib: this.contrib }, names, this);
  }

  /** A name for a value that enters this graph. */
  enter(kind: string): string {
    const name = this.newName(kind);
    this.#own.add(name);
    return name;
  }

  /** A name that no value has, here or around. */
  newName(kind: string): string {
    if (this.#outer !== undefined) return this.#outer.newName(kind);
    const name = `${kind}_${this.#count++}`;
    return this.#taken.has(name) ? this.newName(kind) : name;
  }

  /** Writes a node, or finds the one that already computes the same; names of its outputs. */
  all(
    op: string,
    inputs: readonly string[],
    { attributes = {}, domain = "", outputs = 1 }: EmitOptions = {},
  ): readonly string[] {
    // A graph among the attributes may read this one's values without saying so.
    const isAround =
      !inputs.some((input) => this.#own.has(input)) && !Object.values(attributes).some((a) => "graph" in a);
    if (this.#outer !== undefined && isAround) return this.#outer.all(op, inputs, { attributes, domain, outputs });
    const key = JSON.stringify([op, domain, inputs, attributes, outputs], (_, value: unknown) =>
      typeof value === "bigint" ? `${value}n` : value,
    );
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const name = this.newName(op);
    const names = Array.from({ length: outputs }, (_, i) => (outputs === 1 ? name : `${name}.${i}`));
    this.nodes.push({ op, name, inputs, outputs: names, attributes, ...(domain === "" ? {} : { domain }) });
    if (domain !== "") this.#markContrib();
    for (const each of names) this.#own.add(each);
    this.#written.set(key, names);
    return names;
  }

  #markContrib(): void {
    this.usesContrib = true;
    if (this.#outer !== undefined) this.#outer.#markContrib();
  }

  /** The same for the many operators with one output. */
  one(op: string, inputs: readonly string[], options: EmitOptions = {}): string {
    return this.all(op, inputs, options)[0]!;
  }

  constant(tensor: HostTensor): string {
    if (this.#outer !== undefined) return this.#outer.constant(tensor);
    // Small constants are shared by value; large ones by identity, which costs nothing to compare.
    const bytes = new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
    const key = bytes.length <= 256 ? `constant ${tensor.dtype} ${tensor.dims.join(",")} ${bytes.join(",")}` : tensor;
    const known = typeof key === "string" ? this.#written.get(key)?.[0] : this.#large.get(key);
    if (known !== undefined) return known;
    const name = this.newName("constant");
    this.initializers.push({ name, tensor });
    if (typeof key === "string") this.#written.set(key, [name]);
    else this.#large.set(key, name);
    return name;
  }

  readonly #large = new Map<HostTensor, string>();

  scalar(value: number, dtype: DType): string {
    return this.constant(scalarValue(value, dtype));
  }

  /** A 1-D int64 constant, as axes and shapes are written. */
  int64s(values: readonly number[]): string {
    return this.constant(hostTensor("int64", [values.length], values));
  }

  /** A 1-D int64 value that holds this shape when the program runs. */
  shape(shape: Shape): string {
    if (shape.every((size) => typeof size === "number")) return this.int64s(shape);
    const parts: string[] = [];
    let fixed: number[] = [];
    for (const size of shape) {
      if (typeof size === "number") {
        fixed.push(size);
        continue;
      }
      if (fixed.length > 0) parts.push(this.int64s(fixed));
      fixed = [];
      parts.push(this.size(size));
    }
    if (fixed.length > 0) parts.push(this.int64s(fixed));
    return parts.length === 1 ? parts[0]! : this.one("Concat", parts, { attributes: { axis: { int: 0 } } });
  }

  /** A view of `value` under another shape; views of views lead back to the first value. */
  reshape(value: string, from: Shape, to: Shape): string {
    const origin = this.#viewed(value) ?? { value, shape: from };
    if (equalShapes(origin.shape, to)) return origin.value;
    const view = this.one(
      "Reshape",
      [origin.value, this.#reshapeTarget(to)],
      this.#mayBeEmpty(to) ? { attributes: { allowzero: { int: 1 } } } : {},
    );
    this.#views.set(view, origin);
    return view;
  }

  readonly #views = new Map<string, { value: string; shape: Shape }>();

  #viewed(value: string): { value: string; shape: Shape } | undefined {
    const view = this.#views.get(value);
    return view === undefined && this.#outer !== undefined ? this.#outer.#viewed(value) : view;
  }

  /** The shape as a Reshape takes it: one unknown size may be left to the runtime. */
  #reshapeTarget(shape: Shape): string {
    const unknown = shape.filter((size) => typeof size !== "number");
    if (unknown.length === 1 && !shape.includes(0))
      return this.int64s(shape.map((size) => (typeof size === "number" ? size : -1)));
    return this.shape(shape);
  }

  /** Whether a 0 may stand in the shape: by itself ONNX reads it as "the size that the input has here". */
  #mayBeEmpty(shape: Shape): boolean {
    return shape.includes(0) || shape.filter((size) => typeof size !== "number").length > 1;
  }

  cast(value: string, dtype: DType): string {
    return this.one("Cast", [value], { attributes: { to: { int: onnxTypeOf[dtype] } } });
  }

  /** One size as a 1-D int64 value of length 1. */
  size(size: Dim): string {
    if (!(size instanceof SymbolicDim)) return this.int64s([size]);
    const terms = [...size.terms].map(([monomial, coefficient]) => {
      const factors = monomial === "" ? [] : monomial.split("·").map((name) => this.#named(name));
      if (coefficient !== 1 || factors.length === 0) factors.push(this.int64s([coefficient]));
      return factors.reduce((a, b) => this.one("Mul", [a, b]));
    });
    return terms.reduce((a, b) => this.one("Add", [a, b]));
  }

  #named(name: string): string {
    const quotient = quotientOf(name);
    if (quotient !== undefined) return this.one("Div", [this.size(quotient.dividend), this.int64s([quotient.divisor])]);
    const place = this.#place(name);
    if (place === undefined)
      throw new ShapeError(
        `size "${name}" is on no axis of the program's inputs, so it cannot be known when the program runs`,
      );
    return this.one("Shape", [place.input], {
      attributes: { start: { int: place.axis }, end: { int: place.axis + 1 } },
    });
  }

  #place(name: string): { readonly input: string; readonly axis: number } | undefined {
    if (!this.#axisOf.has(name) && !this.#found.has(name)) this.#findSize(name);
    const place = this.#axisOf.get(name) ?? this.#found.get(name);
    return place === undefined && this.#outer !== undefined ? this.#outer.#place(name) : place;
  }

  /** Says on which axis of a value a size stands that only the data decide. */
  giveSize(size: Dim, { value, axis }: { value: string; axis: number }): void {
    if (size instanceof SymbolicDim) this.#found.set(size.key, { input: value, axis });
  }

  /** Makes a value an output of the graph under this name. */
  publish(value: string, name: string): void {
    const produced = this.nodes.some(({ outputs }) => outputs.includes(value));
    if (produced && !this.#published.has(value)) this.#published.set(value, name);
    else this.nodes.push({ op: "Identity", name: `output_${name}`, inputs: [value], outputs: [name] });
  }

  readonly #published = new Map<string, string>();

  /** All nodes, with published values under their new names. */
  publishedNodes(): OnnxNode[] {
    return this.nodes.map((node) => renameValues(node, this.#published));
  }
}

/** A node whose values have other names, in the graphs that it holds too. */
function renameValues(node: OnnxNode, names: ReadonlyMap<string, string>): OnnxNode {
  const renamed = (name: string): string => names.get(name) ?? name;
  const body = ({ nodes, ...rest }: OnnxGraph): OnnxGraph => ({
    ...rest,
    nodes: nodes.map((each) => renameValues(each, names)),
  });
  const attributes = Object.entries(node.attributes ?? {}).map(
    ([key, value]) => [key, "graph" in value ? { graph: body(value.graph) } : value] as const,
  );
  return {
    ...node,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
    attributes: Object.fromEntries(attributes),
  };
}
