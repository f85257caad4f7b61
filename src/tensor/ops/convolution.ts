// Convolution over one or more axes, its transpose, and their gradients, which are again convolutions.
import { addDims, divideDims, equalDims, floorDivideDim, mulDims, subDims, type Dim, type Shape } from "../dim.ts";
import { operation, shapeError, wantFloats, type Tensor, type TensorType } from "../graph.ts";
import { pad, reshape, slice, sum, transpose } from "./layout.ts";

/** One number for every spatial axis, or one each. */
export type PerAxis<T> = T | readonly T[];

export interface ConvolutionOptions {
  /** Added to each output channel: [to]. */
  bias?: Tensor | undefined;
  /** Distance between two places of the kernel. */
  stride?: PerAxis<number>;
  /** Zeros at both ends; a pair where the ends differ, as a causal convolution wants: [[2, 0]]. */
  padding?: number | readonly (number | readonly [before: number, after: number])[];
  /** Distance between two taps of the kernel. */
  dilation?: PerAxis<number>;
  /** Channels are cut into this many groups that do not see one another; as many as channels makes it depthwise. */
  groups?: number;
}

/** A sliding window, one number for each spatial axis. */
export interface Window {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros in front of and behind each axis. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

interface Geometry extends Window {
  readonly [key: string]: unknown;
  readonly groups: number;
}

interface TransposedGeometry {
  readonly [key: string]: unknown;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
}

/** Options spelled out for every spatial axis of x. */
function perAxis<T>(
  name: string,
  x: Tensor,
  what: string,
  given: T | readonly T[],
  isValid: (value: T) => boolean,
): readonly T[] {
  const axes = x.rank - 2;
  const values = Array.isArray(given) ? (given as readonly T[]) : new Array<T>(Math.max(0, axes)).fill(given as T);
  if (axes < 1 || values.length !== axes || !values.every(isValid)) {
    throw shapeError(
      name,
      [x],
      `${what} ${JSON.stringify(given)} does not suit [batch, channels, ..] with ${axes} spatial axes`,
    );
  }
  return values;
}

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;
const isAmount = (value: number): boolean => Number.isInteger(value) && value >= 0;

/** Stride, padding and dilation of a sliding window, spelled out for every spatial axis of x. */
export function windowOf(
  name: string,
  x: Tensor,
  { stride = 1, padding = 0, dilation = 1 }: Pick<ConvolutionOptions, "stride" | "padding" | "dilation">,
): Window {
  const pairs = (
    typeof padding === "number" ? padding : padding.map((ends) => (typeof ends === "number" ? [ends, ends] : ends))
  ) as PerAxis<readonly number[] | number>;
  const ends = perAxis(name, x, "padding", pairs, (value) =>
    typeof value === "number" ? isAmount(value) : value.length === 2 && value.every(isAmount),
  );
  return {
    strides: perAxis(name, x, "stride", stride, isCount),
    dilations: perAxis(name, x, "dilation", dilation, isCount),
    before: ends.map((value) => (typeof value === "number" ? value : value[0]!)),
    after: ends.map((value) => (typeof value === "number" ? value : value[1]!)),
  };
}

/** Places of a window of `size` taps along an axis: ⌊(length + padding − dilation (size − 1) − 1) / stride⌋ + 1. */
export function windowPlaces(length: Dim, size: Dim, axis: number, { strides, dilations, before, after }: Window): Dim {
  const reach = addDims(mulDims(subDims(size, 1), dilations[axis]!), 1);
  return addDims(floorDivideDim(subDims(addDims(length, before[axis]! + after[axis]!), reach), strides[axis]!), 1);
}

function convolutionType(inputs: readonly TensorType[], geometry: Geometry): TensorType {
  const [x, kernel, bias] = inputs as readonly [TensorType, TensorType, TensorType?];
  wantFloats("convolution", inputs);
  if (kernel.dtype !== x.dtype) throw shapeError("convolution", inputs, "dtypes differ; cast one of them");
  if (x.shape.length < 3 || kernel.shape.length !== x.shape.length) {
    throw shapeError(
      "convolution",
      inputs,
      "x [batch, from, ..] and a kernel [to, from / groups, ..] with as many spatial axes are wanted",
    );
  }
  const [from, to] = [x.shape[1]!, kernel.shape[0]!];
  if (!equalDims(from, mulDims(kernel.shape[1]!, geometry.groups))) {
    throw shapeError(
      "convolution",
      inputs,
      `axis 1 does not meet: ${from} channels and ${geometry.groups} groups of ${kernel.shape[1]}`,
    );
  }
  if (divideDims(to, geometry.groups) === undefined)
    throw shapeError(
      "convolution",
      inputs,
      `axis 0 of the kernel, ${to}, is not a multiple of ${geometry.groups} groups`,
    );
  if (bias !== undefined && (bias.shape.length !== 1 || !equalDims(bias.shape[0]!, to) || bias.dtype !== x.dtype)) {
    throw shapeError("convolution", inputs, `a bias of ${x.dtype} [${to}] is wanted`);
  }
  const places = x.shape.slice(2).map((length, axis) => windowPlaces(length, kernel.shape[axis + 2]!, axis, geometry));
  const short = places.findIndex((count) => typeof count === "number" && count < 1);
  if (short >= 0) throw shapeError("convolution", inputs, `axis ${short + 2} is shorter than the kernel`);
  return { dtype: x.dtype, shape: [x.shape[0]!, to, ...places] };
}

const applyConvolution = operation<Geometry>({
  name: "convolution",
  type: convolutionType,
  gradient: ({ dy, inputs: [x, kernel], attributes, wants }) => [
    wants(0) ? inputGradient(dy, kernel!, x!.shape, attributes) : undefined,
    wants(1) ? kernelGradient(x!, dy, kernel!.shape, attributes) : undefined,
    wants(2) ? sum(dy, { axes: dy.shape.map((_, axis) => axis).filter((axis) => axis !== 1) }) : undefined,
  ],
  onnx: (emitter, inputs, _, { strides, dilations, before, after, groups }) =>
    emitter.one("Conv", inputs, {
      attributes: {
        strides: { ints: strides },
        dilations: { ints: dilations },
        pads: { ints: [...before, ...after] },
        group: { int: groups },
      },
    }),
  samples: [
    { x: [2, 3, 7], kernel: [4, 3, 3], strides: [1], dilations: [1], before: [1], after: [1], groups: 1 },
    { x: [2, 3, 8], kernel: [4, 3, 3], strides: [2], dilations: [1], before: [1], after: [1], groups: 1 },
    { x: [1, 4, 9], kernel: [6, 2, 2], strides: [3], dilations: [2], before: [2], after: [0], groups: 2 },
    { x: [2, 3, 6], kernel: [3, 1, 3], strides: [1], dilations: [1], before: [2], after: [0], groups: 3 },
    {
      x: [2, 2, 5, 6],
      kernel: [3, 2, 3, 2],
      strides: [2, 1],
      dilations: [1, 2],
      before: [1, 0],
      after: [0, 1],
      groups: 1,
    },
  ].map(({ x, kernel, ...attributes }) => ({
    inputs: [{ shape: x }, { shape: kernel }, { shape: [kernel[0]!] }],
    attributes,
    float32: true, // the runtime has no kernel for float64
    tolerance: 1e-2,
  })),
});

/**
 * Cross-correlation of x [batch, from, ..] with a kernel [to, from / groups, ..]: [batch, to, ..]. The axes after the channels
 * are the spatial ones: one for sound, two for images.
 * @example
 * const halved = convolution(frames, kernel, { bias, stride: 2, padding: 1 }); // [batch, dModel, ⌊(time + 1)/2⌋] with 3 taps
 */
export function convolution(
  x: Tensor,
  kernel: Tensor,
  { bias, groups = 1, ...window }: ConvolutionOptions = {},
): Tensor {
  if (!isCount(groups))
    throw shapeError("convolution", [x, kernel], `groups must be a whole number of at least 1, got ${groups}`);
  const attributes: Geometry = { ...windowOf("convolution", x, window), groups };
  return applyConvolution(bias === undefined ? [x, kernel] : [x, kernel, bias], attributes)[0]!;
}

const applyTransposed = operation<TransposedGeometry>({
  name: "convolutionTranspose",
  type: (inputs, { strides, dilations, groups }) => {
    const [x, kernel] = inputs as readonly [TensorType, TensorType];
    wantFloats("convolutionTranspose", inputs);
    if (kernel.dtype !== x.dtype) throw shapeError("convolutionTranspose", inputs, "dtypes differ; cast one of them");
    if (x.shape.length < 3 || kernel.shape.length !== x.shape.length) {
      throw shapeError(
        "convolutionTranspose",
        inputs,
        "x [batch, from, ..] and a kernel [from, to / groups, ..] with as many spatial axes are wanted",
      );
    }
    if (!equalDims(x.shape[1]!, kernel.shape[0]!) || divideDims(x.shape[1]!, groups) === undefined) {
      throw shapeError(
        "convolutionTranspose",
        inputs,
        `axis 1 of x and axis 0 of the kernel do not meet in ${groups} groups: ${x.shape[1]} and ${kernel.shape[0]}`,
      );
    }
    const lengths = x.shape.slice(2).map((length, axis) => {
      const reach = addDims(mulDims(subDims(kernel.shape[axis + 2]!, 1), dilations[axis]!), 1);
      return addDims(mulDims(subDims(length, 1), strides[axis]!), reach);
    });
    return { dtype: x.dtype, shape: [x.shape[0]!, mulDims(kernel.shape[1]!, groups), ...lengths] };
  },
  gradient: ({ dy, inputs: [x, kernel], attributes, wants }) => {
    const none = attributes.strides.map(() => 0);
    const geometry: Geometry = { ...attributes, before: none, after: none };
    return [
      wants(0) ? applyConvolution([dy, kernel!], geometry)[0] : undefined,
      wants(1) ? kernelGradient(dy, x!, kernel!.shape, geometry) : undefined,
    ];
  },
  onnx: (emitter, inputs, _, { strides, dilations, groups }) =>
    emitter.one("ConvTranspose", inputs, {
      attributes: { strides: { ints: strides }, dilations: { ints: dilations }, group: { int: groups } },
    }),
  samples: [
    { x: [2, 3, 4], kernel: [3, 2, 3], strides: [2], dilations: [1], groups: 1 },
    { x: [1, 4, 3], kernel: [4, 3, 2], strides: [1], dilations: [2], groups: 2 },
    { x: [1, 2, 3, 2], kernel: [2, 3, 2, 2], strides: [1, 3], dilations: [1, 1], groups: 1 },
  ].map(({ x, kernel, ...attributes }) => ({
    inputs: [{ shape: x }, { shape: kernel }],
    attributes,
    float32: true,
    tolerance: 1e-2,
  })),
});

/**
 * The adjoint of `convolution`, also called fractionally strided: x [batch, from, ..] and a kernel [from, to / groups, ..] →
 * [batch, to, ..], each spatial axis of length (length − 1) stride + dilation (taps − 1) + 1.
 */
export function convolutionTranspose(
  x: Tensor,
  kernel: Tensor,
  { stride = 1, dilation = 1, groups = 1 }: Pick<ConvolutionOptions, "stride" | "dilation" | "groups"> = {},
): Tensor {
  if (!isCount(groups))
    throw shapeError("convolutionTranspose", [x, kernel], `groups must be a whole number of at least 1, got ${groups}`);
  const { strides, dilations } = windowOf("convolutionTranspose", x, { stride, dilation });
  return applyTransposed([x, kernel], { strides, dilations, groups })[0]!;
}

/** How a change of the output reaches x: spread by the transpose, then cut to where x lies between its padding. */
export function inputGradient(
  dy: Tensor,
  kernel: Tensor,
  shape: Shape,
  { strides, dilations, before, after, groups }: Geometry,
): Tensor {
  let spread = applyTransposed([dy, kernel], { strides, dilations, groups })[0]!;
  for (const [i, first] of before.entries()) {
    const [axis, length] = [i + 2, shape[i + 2]!];
    // Places at the end that no stride reached get nothing back.
    const missed = subDims(addDims(length, first + after[i]!), spread.shape[axis]!);
    spread = slice(pad(spread, { axis, after: missed }), { axis, start: first, end: addDims(first, length) });
  }
  return spread;
}

/**
 * How it reaches the kernel: tap k gets Σ x[stride · place + dilation · k] dy[place], which is a convolution again, with batch and
 * channels exchanged, dy as the kernel, and stride and dilation in each other's place.
 */
function kernelGradient(
  x: Tensor,
  dy: Tensor,
  kernelShape: Shape,
  { strides, dilations, before, after, groups }: Geometry,
): Tensor {
  const [batch, from] = [x.shape[0]!, x.shape[1]!];
  const spatial = x.shape.slice(2).map((_, i) => i + 2);
  const exchanged = (tensor: Tensor): Tensor => transpose(tensor, [1, 0, ...spatial]);
  let images = exchanged(x); // [from, batch, ..]
  if (groups > 1) {
    const perGroup = divideDims(from, groups)!;
    const grouped = reshape(images, [groups, perGroup, batch, ...x.shape.slice(2)]);
    images = reshape(transpose(grouped, [1, 0, 2, ...spatial.map((axis) => axis + 1)]), [
      perGroup,
      mulDims(groups, batch),
      ...x.shape.slice(2),
    ]);
  }
  const attributes: Geometry = { strides: dilations, dilations: strides, before, after, groups };
  let taps = applyConvolution([images, exchanged(dy)], attributes)[0]!; // [from / groups, to, ..]
  // Where the stride left a rest, taps beyond the kernel's come out too.
  for (const axis of spatial) taps = slice(taps, { axis, end: kernelShape[axis]! });
  return exchanged(taps);
}
