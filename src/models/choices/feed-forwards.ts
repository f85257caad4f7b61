// What a block does to every position by itself.
import {
  activations,
  ExpertsFeedForward,
  FeedForward,
  GatedFeedForward,
  type ActivationName,
  type ExpertsFeedForwardOptions,
  type FeedForwardLayer,
} from "../../nn/index.ts";
import { makePart, type Makers } from "./choice.ts";

/** Two layers with a nonlinearity between them, or with a gate. */
export type DenseFeedForwardName = ActivationName | "swiglu" | "geglu";

export type ExpertsOptions = { readonly kind: "experts"; readonly expert?: DenseFeedForwardName } & Omit<
  ExpertsFeedForwardOptions,
  "expert" | "dModel"
>;

export type FeedForwardOptionsByKind = { readonly kind: DenseFeedForwardName } | ExpertsOptions;

export interface FeedForwardSizes {
  readonly dModel: number;
  readonly dFeedForward: number;
  /** Chance to drop a hidden value. */
  readonly dropout: number;
  /** Multiplies the first weights; below 1 in very deep models (DeepNorm). */
  readonly gain: number;
}

/** A layer by kind, or a function that makes one of these sizes. */
export type FeedForwardChoice =
  | DenseFeedForwardName
  | FeedForwardOptionsByKind
  | ((sizes: FeedForwardSizes) => FeedForwardLayer);

const dense: Makers<{ kind: DenseFeedForwardName }, FeedForwardSizes, FeedForwardLayer> = {
  relu: (_, sizes) => new FeedForward({ ...sizes, activation: activations.relu }),
  gelu: (_, sizes) => new FeedForward({ ...sizes, activation: activations.gelu }),
  "gelu-tanh": (_, sizes) => new FeedForward({ ...sizes, activation: activations["gelu-tanh"] }),
  silu: (_, sizes) => new FeedForward({ ...sizes, activation: activations.silu }),
  tanh: (_, sizes) => new FeedForward({ ...sizes, activation: activations.tanh }),
  swiglu: (_, sizes) => new GatedFeedForward({ ...sizes, activation: activations.silu }),
  geglu: (_, sizes) => new GatedFeedForward({ ...sizes, activation: activations.gelu }),
};

const feedForwards: Makers<FeedForwardOptionsByKind, FeedForwardSizes, FeedForwardLayer> = {
  ...dense,
  experts: ({ expert = "relu", ...options }, sizes) =>
    new ExpertsFeedForward({
      ...options,
      dModel: sizes.dModel,
      expert: () => makePart("feedForward.expert", dense, expert, sizes),
    }),
};

export function feedForwardPart(choice: FeedForwardChoice, sizes: FeedForwardSizes): FeedForwardLayer {
  return typeof choice === "function" ? choice(sizes) : makePart("feedForward", feedForwards, choice, sizes);
}
