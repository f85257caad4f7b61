// Choosing by index, each beside its adjoint: gather with scatterAdd, pick with scatterElementsAdd, and the k largest.
import { hostTensor } from "../../base/index.ts";
import { equalDims, equalShapes, sizeOf, type Shape } from "../dim.ts";
import { constant, operation, shapeError, type Tensor, type TensorType } from "../graph.ts";
import { cast } from "./elementwise.ts";
import { expand, reshape, resolveAxis } from "./layout.ts";

const isIndex = ({ dtype }: TensorType): boolean => dtype === "int32" || dtype === "int64";

/** Zeros of any shape. */
export function zeros(type: TensorType): Tensor {
  return expand(constant(hostTensor(type.dtype, [], [0])), type.shape);
}

const applyGather = operation({
  name: "gather",
  type: (inputs) => {
    const [table, ids] = inputs as readonly [TensorType, TensorType];
    if (!isIndex(ids)) throw shapeError("gather", inputs, "ids must be int32 or int64");
    return { dtype: table.dtype, shape: [...ids.shape, ...table.shape.slice(1)] };
  },
  gradient: ({ dy, inputs: [table, ids] }) => [
    scatterAdd(zeros(table!), reshape(ids!, [sizeOf(ids!.shape)]), reshape(dy, [sizeOf(ids!.shape), ...table!.shape.slice(1)])),
    undefined,
  ],
  onnx: (emitter, inputs) => emitter.one("Gather", inputs, { attributes: { axis: { int: 0 } } }),
  samples: [{ inputs: [{ shape: [5, 3] }, { shape: [2, 4], dtype: "int32", range: [0, 5] }] }],
});

/** Rows of a table by id: table [rows, ..] and ids [..ids] → [..ids, ..]. The lookup of every embedding. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  return applyGather([table, ids], {})[0]!;
}

const applyScatterAdd = operation({
  name: "scatterAdd",
  type: (inputs) => {
    const [base, ids, updates] = inputs as readonly [TensorType, TensorType, TensorType];
    const wanted: Shape = [ids.shape[0] ?? 1, ...base.shape.slice(1)];
    if (!isIndex(ids) || ids.shape.length !== 1 || !equalShapes(updates.shape, wanted)) {
      throw shapeError("scatterAdd", inputs, "base [rows, ..], ids [n] and updates [n, ..] are wanted");
    }
    return base;
  },
  gradient: ({ dy, inputs: [, ids] }) => [dy, undefined, gather(dy, ids!)],
  onnx: (emitter, [base, ids, updates], node) => {
    const wide = emitter.cast(ids!, "int64");
    const size = node.inputs[1]!.shape;
    return emitter.one("ScatterND", [base!, emitter.reshape(wide, size, [...size, 1]), updates!], {
      attributes: { reduction: { string: "add" } },
    });
  },
  samples: [{ inputs: [{ shape: [3, 2] }, { shape: [5], dtype: "int32", range: [0, 3] }, { shape: [5, 2] }] }],
});

/** base with updates [n, ..] added to its rows ids [n]; a row named twice gets both. */
export function scatterAdd(base: Tensor, ids: Tensor, updates: Tensor): Tensor {
  return applyScatterAdd([base, ids, updates], {})[0]!;
}

const pickType = (name: string, inputs: readonly TensorType[], axis: number): TensorType => {
  const [x, ids] = inputs as readonly [TensorType, TensorType];
  const meets = ids.shape.length === x.shape.length && ids.shape.every((size, i) => i === axis || equalDims(size, x.shape[i]!));
  if (!isIndex(ids) || !meets) throw shapeError(name, inputs, `whole-number ids that differ in shape only on axis ${axis} are wanted`);
  return { dtype: x.dtype, shape: ids.shape };
};

const applyPick = operation<{ readonly axis: number }>({
  name: "pick",
  type: (inputs, { axis }) => pickType("pick", inputs, axis),
  gradient: ({ dy, inputs: [x, ids], attributes: { axis } }) => [scatterElementsAdd(zeros(x!), ids!, dy, axis), undefined],
  onnx: (emitter, inputs, _, { axis }) => emitter.one("GatherElements", inputs, { attributes: { axis: { int: axis } } }),
  samples: [{ inputs: [{ shape: [3, 5] }, { shape: [3, 2], dtype: "int32", range: [0, 5] }], attributes: { axis: 1 } }],
});

/** One value an index along an axis: pick(x, ids, 1)[i, j] = x[i, ids[i, j]]. */
export function pick(x: Tensor, ids: Tensor, axis: number): Tensor {
  return applyPick([x, ids], { axis: resolveAxis("pick", x, axis) })[0]!;
}

const applyScatterElementsAdd = operation<{ readonly axis: number }>({
  name: "scatterElementsAdd",
  type: (inputs, { axis }) => {
    const [base, ids, updates] = inputs as readonly [TensorType, TensorType, TensorType];
    if (!equalShapes(pickType("scatterElementsAdd", [base, ids], axis).shape, updates.shape)) {
      throw shapeError("scatterElementsAdd", inputs, "updates must have the shape of ids");
    }
    return base;
  },
  gradient: ({ dy, inputs: [, ids], attributes: { axis } }) => [dy, undefined, pick(dy, ids!, axis)],
  onnx: (emitter, inputs, _, { axis }) =>
    emitter.one("ScatterElements", inputs, { attributes: { axis: { int: axis }, reduction: { string: "add" } } }),
  samples: [
    { inputs: [{ shape: [3, 4] }, { shape: [3, 5], dtype: "int32", range: [0, 4] }, { shape: [3, 5] }], attributes: { axis: 1 } },
  ],
});

/** base with updates added at the places that `pick` would read. */
export function scatterElementsAdd(base: Tensor, ids: Tensor, updates: Tensor, axis: number): Tensor {
  return applyScatterElementsAdd([base, ids, updates], { axis: resolveAxis("scatterElementsAdd", base, axis) })[0]!;
}

const applyTopK = operation<{ readonly count: number }>({
  name: "topK",
  type: ([x], { count }) => {
    const last = x!.shape.at(-1);
    if (last === undefined || (typeof last === "number" && count > last)) throw shapeError("topK", [x!], `the last axis has no ${count} values`);
    const shape = [...x!.shape.slice(0, -1), count];
    return [
      { dtype: x!.dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  gradient: ({ dy, inputs: [x], outputs: [, ids] }) => [scatterElementsAdd(zeros(x!), ids!, dy, x!.rank - 1)],
  onnx: (emitter, [x], _, { count }) => emitter.all("TopK", [x!, emitter.int64s([count])], { attributes: { axis: { int: -1 } }, outputs: 2 }),
  samples: [{ inputs: [{ shape: [3, 7] }], attributes: { count: 2 } }],
});

/** The largest values of the last axis, largest first, and where they are (int64); among equals the first comes first. */
export function topK(x: Tensor, count: number): { values: Tensor; ids: Tensor } {
  const [values, ids] = applyTopK([x], { count });
  return { values: values!, ids: ids! };
}

const applyArgmax = operation<{ readonly axis: number }>({
  name: "argmax",
  type: ([x], { axis }) => ({ dtype: "int64", shape: x!.shape.filter((_, i) => i !== axis) }),
  onnx: (emitter, [x], _, { axis }) => emitter.one("ArgMax", [x!], { attributes: { axis: { int: axis }, keepdims: { int: 0 } } }),
  samples: [{ inputs: [{ shape: [2, 5] }], attributes: { axis: 1 } }],
});

/** Where the largest value of an axis is, as int32; the first of equals. */
export function argmax(x: Tensor, axis = -1): Tensor {
  return cast(applyArgmax([x], { axis: resolveAxis("argmax", x, axis) })[0]!, "int32");
}

const applyRange = operation<{ readonly size: Shape[number] }>({
  name: "range",
  type: (_, { size }) => ({ dtype: "int32", shape: [size] }),
  onnx: (emitter, _, __, { size }) => {
    const limit = emitter.one("Squeeze", [emitter.size(size)]);
    return emitter.cast(emitter.one("Range", [emitter.scalar(0, "int64"), limit, emitter.scalar(1, "int64")]), "int32");
  },
  samples: [{ inputs: [], attributes: { size: 4 } }],
});

/** 0, 1, … size − 1 as int32; positions of an axis. */
export function range(size: Shape[number]): Tensor {
  return applyRange([], { size })[0]!;
}
