// How rotary positions reach further than the model was trained: each scaling says at which speed every pair turns.
import { ConfigError } from "../../base/index.ts";
import { add, cast, constant, max, maximum, mul, pow, reshape, sub, type Tensor } from "../../tensor/index.ts";

/** What a scaling is told of the rotation it scales. */
export interface Rotation {
  /** Numbers of a head that are turned, two a pair. */
  readonly dimensions: number;
  /** The slowest pair turns by about 1/theta radians a position. */
  readonly theta: number;
}

/** Sets the speeds of a rotation. */
export interface RotaryScaling {
  /** Radians a position, one a pair: float64 [dimensions / 2]. Positions int32 [time] count where speed follows the length. */
  frequencies(rotation: Rotation, positions: Tensor): Tensor;
  /** Multiplies turned queries and keys, so that scores grow with its square. */
  readonly magnitude: number;
  /** Whether speeds grow or fall with the length of what is read. */
  readonly followsLength?: boolean;
}

/** A scaling as a configuration writes it. */
export type RotaryScalingOptions =
  | { readonly kind: "linear"; readonly factor: number }
  | { readonly kind: "ntk"; readonly factor: number }
  | { readonly kind: "dynamic-ntk"; readonly factor: number; readonly originalMaxPositions: number }
  | ({ readonly kind: "yarn" } & YarnOptions);

/** The scaling that options name. */
export function rotaryScaling(options: RotaryScalingOptions): RotaryScaling {
  if (options.kind === "linear") return new LinearScaling(options);
  if (options.kind === "ntk") return new NtkScaling(options);
  return options.kind === "yarn" ? new YarnScaling(options) : new DynamicNtkScaling(options);
}

/** θᵢ = theta^(−2i / dimensions) for i from 0. Su et al. 2021, section 3.2.2. */
export function plainFrequencies({ dimensions, theta }: Rotation): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: dimensions / 2 }, (_, i) => theta ** ((-2 * i) / dimensions));
}

/** Speeds that are known before the program runs. */
export function fixedFrequencies(data: Float64Array<ArrayBuffer>): Tensor {
  return constant({ dtype: "float64", dims: [data.length], data });
}

/**
 * Position interpolation: places are squeezed into the length of training, n/factor for n. All pairs slow down alike, so near
 * neighbours blur; a short fine-tuning is wanted. Chen et al. 2023, "Extending Context Window of Large Language Models via
 * Positional Interpolation".
 */
export class LinearScaling implements RotaryScaling {
  readonly magnitude = 1;
  readonly factor: number;

  constructor({ factor }: { factor: number }) {
    this.factor = checkedFactor(factor);
  }

  frequencies(rotation: Rotation): Tensor {
    return fixedFrequencies(plainFrequencies(rotation).map((frequency) => frequency / this.factor));
  }
}

/**
 * NTK-aware scaling: theta · factor^(d/(d−2)) in place of theta. The fastest pair keeps its speed and the slowest is slowed by
 * the whole factor, so neighbours stay apart, and no training is needed. bloc97 2023, "NTK-Aware Scaled RoPE"; Peng et al. 2023,
 * "YaRN", section 3.1.
 */
export class NtkScaling implements RotaryScaling {
  readonly magnitude = 1;
  readonly factor: number;

  constructor({ factor }: { factor: number }) {
    this.factor = checkedFactor(factor);
  }

  frequencies({ dimensions, theta }: Rotation): Tensor {
    const stretched = theta * this.factor ** stretchExponent(dimensions);
    return fixedFrequencies(plainFrequencies({ dimensions, theta: stretched }));
  }
}

/**
 * NTK-aware scaling that grows with what is read: with L = max(position) + 1 the base is
 * theta · (factor · L / originalMaxPositions − (factor − 1))^(d/(d−2)), and theta itself up to originalMaxPositions, so that
 * short texts are treated as in training. Peng et al. 2023, "YaRN", section 3.3, as Hugging Face's "dynamic" type counts it.
 *
 * Decoding with kept keys equals the full pass up to originalMaxPositions. Beyond, a key keeps the base of the step that turned
 * it while the query has that of its own; only keys that are kept unturned could follow.
 */
export class DynamicNtkScaling implements RotaryScaling {
  readonly followsLength = true;
  readonly magnitude = 1;
  readonly factor: number;
  readonly originalMaxPositions: number;

  constructor({ factor, originalMaxPositions }: { factor: number; originalMaxPositions: number }) {
    this.factor = checkedFactor(factor);
    this.originalMaxPositions = checkedLength(originalMaxPositions);
  }

  frequencies({ dimensions, theta }: Rotation, positions: Tensor): Tensor {
    const length = maximum(add(cast(max(positions), "float64"), 1), this.originalMaxPositions);
    const stretch = sub(mul(length, this.factor / this.originalMaxPositions), this.factor - 1); // 1 up to the old length
    const base = mul(pow(stretch, stretchExponent(dimensions)), theta);
    const exponents = Float64Array.from({ length: dimensions / 2 }, (_, i) => (-2 * i) / dimensions);
    return pow(reshape(base, [1]), fixedFrequencies(exponents));
  }
}

export interface YarnOptions {
  /** Length wanted ÷ length of training. */
  readonly factor: number;
  /** Length of training. */
  readonly originalMaxPositions: number;
  /** Pairs that turn at least this often in the length of training keep their speed; the paper's β. */
  readonly fastRotations?: number;
  /** Pairs that turn less often than this are slowed by the whole factor; the paper's α. */
  readonly slowRotations?: number;
}

/**
 * YaRN: fast pairs keep their speed, slow ones are interpolated, and a ramp joins the two; queries and keys grow by
 * 0.1 ln(factor) + 1, which sharpens attention as it spreads over more keys. Peng et al. 2023, "YaRN: Efficient Context Window
 * Extension of Large Language Models", sections 3.2 and 3.4.
 *
 * The paper writes the ramp over rotations; its authors' program, and with it every published checkpoint, has the ramp straight
 * over the pair's number i, between ⌊i at fastRotations⌋ and ⌈i at slowRotations⌉. So has this.
 */
export class YarnScaling implements RotaryScaling {
  readonly magnitude: number;
  readonly factor: number;
  readonly originalMaxPositions: number;
  readonly fastRotations: number;
  readonly slowRotations: number;

  constructor({ factor, originalMaxPositions, fastRotations = 32, slowRotations = 1 }: YarnOptions) {
    this.factor = checkedFactor(factor);
    this.originalMaxPositions = checkedLength(originalMaxPositions);
    if (!(slowRotations > 0 && slowRotations < fastRotations)) {
      throw new ConfigError(
        "positions.scaling",
        `slowRotations must be above 0 and below fastRotations (got ${slowRotations} and ${fastRotations}); the paper takes 1 and 32`,
      );
    }
    this.fastRotations = fastRotations;
    this.slowRotations = slowRotations;
    this.magnitude = 0.1 * Math.log(factor) + 1;
  }

  frequencies(rotation: Rotation): Tensor {
    const { dimensions, theta } = rotation;
    // A pair turns `rotations` times in the length of training where length · theta^(−2i/d) = 2π · rotations.
    const pairAt = (rotations: number): number =>
      (dimensions * Math.log(this.originalMaxPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
    const first = Math.max(Math.floor(pairAt(this.fastRotations)), 0);
    const last = Math.min(Math.ceil(pairAt(this.slowRotations)), dimensions - 1);
    const width = Math.max(last - first, 0.001); // a step where the ends meet
    return fixedFrequencies(
      plainFrequencies(rotation).map((frequency, i) => {
        const slowed = Math.min(Math.max((i - first) / width, 0), 1); // 0: as it was, 1: interpolated
        return frequency * (1 - slowed) + (frequency / this.factor) * slowed;
      }),
    );
  }
}

/** d/(d−2): with this power of the factor on the base, the slowest pair is slowed by the factor itself. */
function stretchExponent(dimensions: number): number {
  if (dimensions > 2) return dimensions / (dimensions - 2);
  throw new ConfigError(
    "positions.scaling",
    `NTK-aware scaling wants at least 4 turned dimensions (got ${dimensions}), for it leaves the first pair alone. Take linear scaling.`,
  );
}

function checkedFactor(factor: number): number {
  if (factor >= 1 && Number.isFinite(factor)) return factor;
  throw new ConfigError(
    "positions.scaling.factor",
    `a number of at least 1 is wanted, the length wanted over that of training (got ${factor})`,
  );
}

function checkedLength(originalMaxPositions: number): number {
  if (Number.isInteger(originalMaxPositions) && originalMaxPositions >= 1) return originalMaxPositions;
  throw new ConfigError(
    "positions.scaling.originalMaxPositions",
    `the length of training, a whole number of at least 1, is wanted (got ${originalMaxPositions})`,
  );
}
