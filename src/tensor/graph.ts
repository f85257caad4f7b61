// The graph: symbolic tensors and the operations that made them. Nothing here computes; a program is traced by calling
// operations on tensors, and every operation checks its inputs at the line that calls it.
import { ShapeError, type DType, type HostTensor } from "../base/index.ts";
import { formatShape, type Shape } from "./dim.ts";
import type { Emitter } from "./emitter.ts";

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

export type Attributes = Readonly<Record<string, unknown>>;

/** One application of an operation. */
export class Node {
  readonly operation: Operation;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  readonly outputs: readonly Tensor[];

  constructor(operation: Operation, inputs: readonly Tensor[], attributes: Attributes, types: readonly TensorType[]) {
    this.operation = operation;
    this.inputs = inputs;
    this.attributes = attributes;
    this.outputs = types.map((type, index) => new Tensor(this, index, type));
  }
}

/** A value of the program: what it will hold (dtype, shape) and where it comes from. */
export class Tensor implements TensorType {
  readonly node: Node;
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;

  constructor(node: Node, index: number, type: TensorType) {
    this.node = node;
    this.index = index;
    this.dtype = type.dtype;
    this.shape = type.shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    return `${this.node.operation.name}: ${this.dtype} ${formatShape(this.shape)}`;
  }
}

export interface GradientContext<A extends Attributes = Attributes> {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: A;
  /** Gradient of the first output. */
  readonly dy: Tensor;
  /** Gradients of all outputs; undefined where nothing depends on one. */
  readonly gradients: readonly (Tensor | undefined)[];
  /** Whether the gradient of this input is wanted; a rule may leave the others undefined. */
  wants(input: number): boolean;
}

/** An input on which shape rule, gradient and ONNX form can be checked. */
export interface Sample<A extends Attributes = Attributes> {
  readonly inputs: readonly SampleInput[];
  readonly attributes?: A;
  /** Gradients agree to this relative error; 1e-6 unless the runtime has no float64 kernel for the operation. */
  readonly tolerance?: number;
  /** The runtime has no float64 kernel for this operation, so the check runs in float32. */
  readonly float32?: boolean;
}

export interface SampleInput {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  /** Values are drawn uniformly from here; [-1, 1) if not said. Integer dtypes draw whole numbers. */
  readonly range?: readonly [number, number];
}

/** Everything that is known about an operation, in one place. */
export interface Operation<A extends Attributes = Attributes> {
  readonly name: string;
  /** What comes out, or a ShapeError. */
  type(inputs: readonly TensorType[], attributes: A): TensorType | readonly TensorType[];
  /** How a change flows back, input by input; undefined for an input that gets none. Absent: nothing flows back. */
  gradient?(context: GradientContext<A>): readonly (Tensor | undefined)[];
  /** Its ONNX form: the names of the values it leaves, one an output. */
  onnx(emitter: Emitter, inputs: readonly string[], node: Node, attributes: A): string | readonly string[];
  /**
   * Where attributes hold a graph, as the body of a loop: the node over other inputs with `through` applied to the tensors of
   * that graph; undefined if `through` changes none of them.
   */
  rewriteInner?(
    inputs: readonly Tensor[],
    attributes: A,
    through: (tensors: readonly Tensor[]) => readonly Tensor[],
  ): readonly Tensor[] | undefined;
  /** Inputs that only rewrites read: what is lowered does not depend on them. Absent: none. */
  idle?(attributes: A): readonly number[];
  readonly samples: readonly Sample<A>[];
}

const registered = new Map<string, Operation>();

/** Every operation defined so far, by name: the tests walk over them. */
export function allOperations(): ReadonlyMap<string, Operation> {
  return registered;
}

/** Declares an operation and returns the function that applies it and gives all its outputs. */
export function operation<A extends Attributes = Attributes>(
  definition: Operation<A>,
): (inputs: readonly Tensor[], attributes: A) => readonly Tensor[] {
  if (registered.has(definition.name)) throw new Error(`operation ${definition.name} is defined twice`);
  const general = definition as unknown as Operation; // attributes are checked by the typed function returned below
  registered.set(definition.name, general);
  return (inputs, attributes) => apply(general, inputs, attributes);
}

/** Applies an operation; rewrites use it to build a node again over other inputs. */
export function apply(definition: Operation, inputs: readonly Tensor[], attributes: Attributes): readonly Tensor[] {
  const types = definition.type(inputs, attributes);
  return new Node(definition, [...inputs], attributes, Array.isArray(types) ? types : [types as TensorType]).outputs;
}

/** Says which operation met which inputs, and what is wrong with them. */
export function shapeError(name: string, inputs: readonly TensorType[], problem: string): ShapeError {
  const described = inputs.map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`).join(" and ");
  return new ShapeError(`${name} of ${described}: ${problem}`);
}

/** Whether values have a fraction, so that a gradient can flow to them. */
export function isFloat(dtype: DType): boolean {
  return dtype.startsWith("float") || dtype === "bfloat16";
}

/** Refuses inputs that are not floats, at the line that traces the operation and not when the runtime looks for a kernel. */
export function wantFloats(name: string, inputs: readonly TensorType[]): void {
  if (inputs.some(({ dtype }) => !isFloat(dtype))) throw shapeError(name, inputs, "floats are wanted; cast first");
}

/** Refuses truth values where numbers are wanted. */
export function wantNumbers(name: string, inputs: readonly TensorType[]): void {
  if (inputs.some(({ dtype }) => dtype === "bool"))
    throw shapeError(name, inputs, "numbers are wanted, not bool; cast first");
}

const applyInput = operation<{ readonly type: TensorType; readonly label: string }>({
  name: "input",
  type: (_, { type }) => type,
  onnx: (_, __, node) => {
    throw new ShapeError(`the program uses "${String(node.attributes.label)}", which is not among its inputs`);
  },
  samples: [],
});

/** A value that is given when the program runs. */
export function input(label: string, dtype: DType, shape: Shape): Tensor {
  return applyInput([], { type: { dtype, shape }, label })[0]!;
}

export function isInput(tensor: Tensor): boolean {
  return tensor.node.operation.name === "input";
}

const applyConstant = operation<{ readonly value: HostTensor }>({
  name: "constant",
  type: (_, { value }) => ({ dtype: value.dtype, shape: value.dims }),
  onnx: (emitter, _, __, { value }) => emitter.constant(value),
  samples: [],
});

/** A value fixed in the program. */
export function constant(value: HostTensor): Tensor {
  return applyConstant([], { value })[0]!;
}

/** The host value of a constant, or undefined. */
export function constantValue(tensor: Tensor): HostTensor | undefined {
  return tensor.node.operation.name === "constant" ? (tensor.node.attributes.value as HostTensor) : undefined;
}

/**
 * Nodes that the outputs depend on, each after its inputs; with `idle`, also those that they would depend on after a rewrite.
 */
export function topologicalOrder(outputs: readonly Tensor[], { idle = false }: { idle?: boolean } = {}): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, "open" | "done">();
  // An explicit stack: traced training steps are thousands of nodes deep.
  const stack = outputs.map((tensor) => tensor.node).reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    const seen = state.get(node);
    if (seen === undefined) {
      state.set(node, "open");
      const skipped = idle ? undefined : node.operation.idle?.(node.attributes);
      for (let i = node.inputs.length - 1; i >= 0; i--) {
        const next = node.inputs[i]!.node;
        if (!state.has(next) && skipped?.includes(i) !== true) stack.push(next);
      }
    } else {
      stack.pop();
      if (seen === "open") {
        state.set(node, "done");
        order.push(node);
      }
    }
  }
  return order;
}
