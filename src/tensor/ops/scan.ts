// A loop inside the program: one step, traced once, over the positions of sequences.
import { equalDims, equalShapes, formatShape, mulDims, type Dim } from "../dim.ts";
import { accumulate, dependents, pullback } from "../gradients.ts";
import {
  apply,
  constantValue,
  input,
  isFloat,
  isInput,
  operation,
  shapeError,
  topologicalOrder,
  type Tensor,
  type TensorType,
} from "../graph.ts";
import { lowerInner } from "../lower.ts";
import { matmul } from "./contraction.ts";
import { randomLabel } from "./dropout.ts";
import { add, mul, tanh } from "./elementwise.ts";
import { zeros } from "./indexing.ts";
import { expand, reshape } from "./layout.ts";

export interface ScanInputs {
  /** What a step hands to the next: its first values. */
  readonly carry: readonly Tensor[];
  /** [time, ..] each, one position a step; at least one, which says how many steps there are. */
  readonly sequences: readonly Tensor[];
  /** Whether the last position comes first. Outputs stay at the position of their step. */
  readonly reverse?: boolean;
}

export interface ScanStep {
  /** What the next step finds, dtype and shape as it came. */
  readonly carry: readonly Tensor[];
  /** What is kept of this step. */
  readonly outputs: readonly Tensor[];
}

export interface Scanned {
  /** What the last step handed on. */
  readonly carry: readonly Tensor[];
  /** What was kept of all steps: [time, ..] each. */
  readonly outputs: readonly Tensor[];
}

/** A step as a graph of its own: nothing in it comes from outside but through its formal inputs. */
interface Body {
  /** Formal inputs, in the order of the node's inputs. */
  readonly carry: readonly Tensor[];
  readonly slices: readonly Tensor[];
  /** Values from around the loop, the same in every step. */
  readonly captured: readonly Tensor[];
  readonly nextCarry: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

interface ScanAttributes {
  readonly [key: string]: unknown;
  readonly body: Body;
  readonly reverse: boolean;
  /** Inputs of the node that only a rewritten body reads. */
  readonly idle: readonly number[];
}

const stacked = (time: Dim, { dtype, shape }: TensorType): TensorType => ({ dtype, shape: [time, ...shape] });

// Outputs of the node: the last carry, what was kept, and the carry that each step found, which the way back starts from and
// which is not computed where nothing reads it.
const applyScan = operation<ScanAttributes>({
  name: "scan",
  type: (inputs, { body: { carry, slices, captured, nextCarry, outputs } }) => {
    const time = inputs[carry.length]!.shape[0]!;
    const wanted = [...carry, ...slices.map((slice) => stacked(time, slice)), ...captured];
    const apart = wanted.findIndex(
      ({ dtype, shape }, i) => inputs[i]!.dtype !== dtype || !equalShapes(inputs[i]!.shape, shape),
    );
    if (apart >= 0)
      throw shapeError(
        "scan",
        inputs,
        `input ${apart} is to be ${wanted[apart]!.dtype} ${formatShape(wanted[apart]!.shape)}`,
      );
    return [
      ...nextCarry.map(({ dtype, shape }) => ({ dtype, shape })),
      ...[...outputs, ...carry].map((each) => stacked(time, each)),
    ];
  },
  gradient: ({ inputs, outputs, attributes, gradients, wants }) =>
    scanGradient(inputs, outputs, attributes, gradients, wants),
  rewriteInner: (inputs, { body, reverse }, through) => {
    const parts = [body.carry, body.slices, body.captured, body.nextCarry, body.outputs];
    const before = parts.flat();
    const after = through(before);
    if (after.every((tensor, i) => tensor === before[i])) return undefined;
    let start = 0;
    const [carry, slices, captured, nextCarry, kept] = parts.map(({ length }) =>
      after.slice(start, (start += length)),
    ) as [Tensor[], Tensor[], Tensor[], Tensor[], Tensor[]];
    const actual = bind([...carry, ...slices, ...captured], inputs);
    return close({ carry, slices, actual, nextCarry, outputs: kept, reverse });
  },
  idle: ({ idle }) => idle,
  onnx: (emitter, inputs, node, { body, reverse }) => {
    const { carry, slices, captured, nextCarry, outputs } = body;
    const offset = nextCarry.length;
    const kept = [...outputs, ...carry].flatMap((tensor, i) =>
      emitter.isRead(node.outputs[offset + i]!) ? [{ tensor, output: offset + i }] : [],
    );
    const graph = lowerInner(emitter, {
      name: "step",
      inputs: [...carry, ...slices],
      known: bind(captured, inputs.slice(carry.length + slices.length)),
      outputs: [...nextCarry, ...kept.map(({ tensor }) => tensor)],
    });
    const direction = reverse ? 1 : 0;
    const written = emitter.all("Scan", inputs.slice(0, carry.length + slices.length), {
      attributes: {
        body: { graph },
        num_scan_inputs: { int: slices.length },
        ...(reverse && {
          scan_input_directions: { ints: slices.map(() => direction) },
          scan_output_directions: { ints: kept.map(() => direction) },
        }),
      },
      outputs: offset + kept.length,
    });
    const names = written.slice(0, offset);
    for (const [i, { output }] of kept.entries()) names[output] = written[offset + i]!;
    return names;
  },
  samples: [false, true].map((reverse) => {
    const [state, slice, weight] = [
      [2, 3],
      [2, 3],
      [3, 3],
    ].map((shape) => input("a sample's", "float64", shape)) as [Tensor, Tensor, Tensor];
    const next = tanh(add(matmul(state, weight), slice));
    const body = {
      carry: [state],
      slices: [slice],
      captured: [weight],
      nextCarry: [next],
      outputs: [mul(next, slice)],
    };
    return {
      inputs: [
        [2, 3],
        [4, 2, 3],
        [3, 3],
      ].map((shape) => ({ shape, dtype: "float64" as const })),
      attributes: { body, reverse, idle: [] },
    };
  }),
});

const bind = <V>(formals: readonly Tensor[], values: readonly V[]): Map<Tensor, V> =>
  new Map(formals.map((formal, i) => [formal, values[i]!]));

/**
 * A loop over time inside the program. `body` is traced once: it is given the carry and one slice of each sequence, without its
 * time axis, and says the next carry, equal in dtype and shape, and what to keep. It may use any tensor around it, weights for
 * example, and gradients flow to those as well. Time may be a named size; it has to be at least 1, as the runtime's loop refuses
 * sequences of length 0. A step costs about a microsecond, and another half for each operation of the body, beside what those
 * operations compute (measured on one core), and it cannot overlap the next: what does not need the carry belongs before or
 * behind the loop.
 *
 * Backwards, a second loop runs the other way, works each step out again from the carry that it had found (kept, [time, ..],
 * if a gradient is asked for), and takes its vector-Jacobian product. That loop has a gradient in turn.
 *
 * Dropout in the body would need random bytes of its own in every step, which a program cannot ask for: it is refused. Drop
 * before or behind the loop.
 * @example
 * // Running sums of x [time, 4]: the last of them, and all.
 * const { carry: [total], outputs: [sums] } = scan(
 *   { carry: [zeros({ dtype: "float32", shape: [4] })], sequences: [x] },
 *   ([sum], [slice]) => {
 *     const next = add(sum!, slice!);
 *     return { carry: [next], outputs: [next] };
 *   },
 * );
 */
export function scan(
  { carry, sequences, reverse = false }: ScanInputs,
  body: (carry: readonly Tensor[], slices: readonly Tensor[]) => ScanStep,
): Scanned {
  const inputs = [...carry, ...sequences];
  const [first] = sequences;
  if (first === undefined) throw shapeError("scan", inputs, "at least one sequence is wanted; range(n) counts steps");
  const flat = sequences.findIndex(({ rank }) => rank === 0);
  if (flat >= 0) throw shapeError("scan", inputs, `sequence ${flat} has no axis of time`);
  const time = first.shape[0]!;
  const apart = sequences.findIndex(({ shape }) => !equalDims(shape[0]!, time));
  if (apart >= 0)
    throw shapeError(
      "scan",
      inputs,
      `sequences 0 and ${apart} differ in time: ${time} and ${sequences[apart]!.shape[0]}`,
    );
  const formals = carry.map(({ dtype, shape }) => input("a loop's carry", dtype, shape));
  const slices = sequences.map(({ dtype, shape }) => input("a loop's slice", dtype, shape.slice(1)));
  const step = body(formals, slices);
  if (step.carry.length !== carry.length)
    throw shapeError("scan", inputs, `the body is given a carry of ${carry.length} and hands on ${step.carry.length}`);
  for (const [i, { dtype, shape }] of step.carry.entries()) {
    if (dtype !== carry[i]!.dtype || !equalShapes(shape, carry[i]!.shape))
      throw shapeError(
        "scan",
        inputs,
        `carry ${i} is ${carry[i]!.dtype} ${formatShape(carry[i]!.shape)} and the body hands on ${dtype} ${formatShape(shape)}`,
      );
  }
  const outputs = close({
    carry: formals,
    slices,
    actual: bind([...formals, ...slices], inputs),
    nextCarry: step.carry,
    outputs: step.outputs,
    reverse,
  });
  const [n, m] = [carry.length, step.outputs.length];
  return { carry: outputs.slice(0, n), outputs: outputs.slice(n, n + m) };
}

interface OpenBody extends Omit<Body, "captured"> {
  /** What each formal input stands for; formals that are neither carry nor slices stand for values from around the loop. */
  readonly actual: ReadonlyMap<Tensor, Tensor>;
  readonly reverse: boolean;
}

/**
 * The loop over a body that may still use tensors from around it: those get formal inputs of their own. Only where the body
 * meets them; what they alone decide is computed before the loop.
 */
function close({ carry, slices, actual, nextCarry, outputs, reverse }: OpenBody): readonly Tensor[] {
  const results = [...nextCarry, ...outputs];
  const order = topologicalOrder(results, { idle: true });
  const inside = dependents(order, [...actual.keys()]);
  const used = order.filter((node) => node.outputs.some((output) => inside.has(output)));
  const met = [...used.flatMap((node) => node.inputs), ...results];
  const formals = new Map<Tensor, Tensor>(); // from around the loop → formal
  for (const tensor of met) {
    if (inside.has(tensor) || formals.has(tensor) || constantValue(tensor) !== undefined) continue;
    if (isInput(tensor) && tensor.node.attributes.label === randomLabel)
      throw shapeError(
        "scan",
        [tensor],
        "the body asks for random bytes, which would be the same in every step. Drop out before or behind the loop",
      );
    formals.set(tensor, input("a loop's constant", tensor.dtype, tensor.shape));
  }
  const now = new Map(formals);
  const renewed = (tensor: Tensor): Tensor => now.get(tensor) ?? tensor;
  for (const node of used) {
    if (!node.inputs.some((tensor) => now.has(tensor))) continue;
    const again = apply(node.operation, node.inputs.map(renewed), node.attributes);
    node.outputs.forEach((output, i) => now.set(output, again[i]!));
  }
  const bound = new Map([...actual, ...[...formals].map(([around, formal]) => [formal, around] as const)]);
  const entering = new Set([...carry, ...slices]);
  const closed = { carry, slices, nextCarry: nextCarry.map(renewed), outputs: outputs.map(renewed) };
  const leaves = (idle: boolean): Set<Tensor> =>
    new Set(
      topologicalOrder([...closed.nextCarry, ...closed.outputs], { idle }).flatMap((node) =>
        node.inputs.length === 0 ? node.outputs : [],
      ),
    );
  const [everRead, read] = [leaves(true), leaves(false)];
  const captured = [...bound.keys()].filter((formal) => !entering.has(formal) && everRead.has(formal));
  const before = carry.length + slices.length;
  return applyScan(
    [...carry, ...slices, ...captured].map((formal) => bound.get(formal)!),
    {
      body: { ...closed, captured },
      reverse,
      idle: captured.flatMap((formal, i) => (read.has(formal) ? [] : [before + i])),
    },
  );
}

/**
 * With (c′, o) = f(c, s, k) a step's carry, slice and values from around, and c̄ what flows back to a carry: going the other way,
 * (c̄, s̄, k̄ₜ) = (∂f/∂(c, s, k))ᵀ (c̄′, ō), and k̄ = Σₜ k̄ₜ. Carries from which nothing leads to a wanted gradient are left out.
 */
function scanGradient(
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  { body, reverse }: ScanAttributes,
  given: readonly (Tensor | undefined)[],
  wants: (input: number) => boolean,
): readonly (Tensor | undefined)[] {
  const [n, m] = [body.carry.length, body.outputs.length];
  const formals = [...body.carry, ...body.slices, ...body.captured];
  const actual = bind(formals, inputs);
  const wanted = formals.filter((formal, i) => wants(i) && isFloat(formal.dtype));
  const active = activeCarry(body, wanted);

  // What flows back into a step: from the step behind it, and from what was kept of it.
  const flows = (type: TensorType): Tensor => input("a loop's gradient", type.dtype, type.shape);
  const fromNext = bind(active, active.map(flows)); // carry formal → what flows back to the next carry
  for (const [carry, flowing] of fromNext) {
    const i = body.carry.indexOf(carry);
    actual.set(flowing, given[i] === undefined ? zeros(carry) : expand(given[i], carry.shape));
  }
  const seeds = active.map((carry) => [body.nextCarry[body.carry.indexOf(carry)]!, fromNext.get(carry)!] as const);
  const flowingSlices: Tensor[] = [];
  for (const [i, kept] of [...body.outputs, ...body.carry].entries()) {
    const gradient = given[n + i];
    if (gradient === undefined || !isFloat(kept.dtype) || (i >= m && !active.includes(kept))) continue;
    const flowing = flows(kept);
    actual.set(flowing, expand(gradient, outputs[n + i]!.shape));
    flowingSlices.push(flowing);
    seeds.push([kept, flowing]);
  }
  // Each step is worked out again from the carry that it found.
  body.carry.forEach((carry, i) => actual.set(carry, outputs[n + m + i]!));

  const slices = body.slices.filter((slice) => wanted.includes(slice));
  const around = body.captured.filter((formal) => wanted.includes(formal));
  const parts = pullback(seeds, [...active, ...slices, ...around]);
  const whole = (leaf: Tensor, meeting: readonly Tensor[]): Tensor =>
    meeting.length === 0 ? zeros(leaf) : expand(accumulate(meeting), leaf.shape);
  const backCarry = active.map((leaf, i) => whole(leaf, parts[i]!));
  const backSlices = slices.map((leaf, i) => whole(leaf, parts[active.length + i]!));

  const sums: { formal: Tensor; next: Tensor; leaf: Tensor }[] = [];
  const products: { left: Tensor; right: Tensor; alpha: number; leaf: Tensor }[] = [];
  for (const [i, leaf] of around.entries()) {
    const meeting = parts[active.length + slices.length + i]!;
    const rest = meeting.filter((part) => !isWeightGradient(part));
    for (const part of meeting.filter(isWeightGradient)) {
      const [left, right] = part.node.inputs as readonly [Tensor, Tensor];
      products.push({ left, right, alpha: Number(part.node.attributes.alpha), leaf });
    }
    if (rest.length === 0) continue;
    const formal = flows(leaf);
    actual.set(formal, zeros(leaf));
    sums.push({ formal, next: add(formal, whole(leaf, rest)), leaf });
  }

  const sequences = [...body.carry, ...body.slices, ...flowingSlices];
  const operands = [...new Set(products.flatMap(({ left, right }) => [left, right]))].filter(
    (operand) => !sequences.includes(operand),
  );
  const nextCarry = [...backCarry, ...sums.map(({ next }) => next)];
  const kept = [...backSlices, ...operands];
  const order = topologicalOrder([...nextCarry, ...kept], { idle: true });
  const read = new Set(order.flatMap((node) => node.outputs));
  const needed = sequences.filter((formal) => read.has(formal));
  const back = close({
    carry: [...fromNext.values(), ...sums.map(({ formal }) => formal)],
    slices: needed.length > 0 ? needed : [body.slices[0]!],
    actual,
    nextCarry,
    outputs: kept,
    reverse: !reverse,
  });

  const gradients = new Map<Tensor, Tensor[]>();
  const leave = (leaf: Tensor, gradient: Tensor): void => {
    gradients.set(leaf, [...(gradients.get(leaf) ?? []), gradient]);
  };
  active.forEach((leaf, i) => leave(leaf, back[i]!));
  sums.forEach(({ leaf }, i) => leave(leaf, back[active.length + i]!));
  slices.forEach((leaf, i) => leave(leaf, back[nextCarry.length + i]!));
  const rowsOf = (operand: Tensor): Tensor => {
    const at = operands.indexOf(operand);
    const all = at < 0 ? actual.get(operand)! : back[nextCarry.length + slices.length + at]!;
    const [time, rows, width] = all.shape as readonly [Dim, Dim, Dim];
    return reshape(all, [mulDims(time, rows), width]);
  };
  for (const { left, right, alpha, leaf } of products)
    leave(leaf, matmul(rowsOf(left), rowsOf(right), { transposeA: true, alpha }));
  return formals.map((formal) => (gradients.has(formal) ? accumulate(gradients.get(formal)!) : undefined));
}

/** Carries through which a change of a wanted formal can reach a later step, or that are wanted themselves. */
function activeCarry({ carry, nextCarry }: Body, wanted: readonly Tensor[]): Tensor[] {
  const order = topologicalOrder(nextCarry);
  let active = carry.filter((formal) => wanted.includes(formal));
  for (;;) {
    const reached = dependents(order, [...wanted, ...active]);
    const more = carry.filter(
      (formal, i) => isFloat(formal.dtype) && (active.includes(formal) || reached.has(nextCarry[i]!)),
    );
    if (more.length === active.length) return active;
    active = more;
  }
}

/**
 * xᵀ dy with rows of a batch between: the gradient of a weight. The sum of such products over all steps is one product over the
 * rows of all steps, which costs neither a weight-sized addition a step nor many thin products.
 */
function isWeightGradient({ node }: Tensor): boolean {
  const { operation, attributes, inputs } = node;
  return (
    operation.name === "matmul" &&
    attributes.transposeA === true &&
    attributes.transposeB === false &&
    inputs.every(({ rank }) => rank === 2)
  );
}
