// What models of one stack have in common: options, their defaults, and the parts that these make.
import { deepNormScale } from "../nn/index.ts";
import { refuseUnknown } from "./choices/choice.ts";
import { refuseImpossible } from "./choices/combinations.ts";
import type { FeedForwardChoice } from "./choices/feed-forwards.ts";
import type { MixerChoice } from "./choices/mixers.ts";
import type { NormChoice, NormPlacement } from "./choices/norms.ts";
import type { PositionChoice } from "./choices/positions.ts";
import { plainStack, StackParts } from "./stack-parts.ts";

/** Options of one stack; the names and meanings are those of `TransformerOptions`. */
export interface SingleStackOptions {
  vocabularySize: number;
  dModel: number;
  heads: number;
  /** Heads of keys and values, each shared by several heads of queries; as heads if not said. */
  keyValueHeads?: number | undefined;
  layers: number;
  /** Hidden width of the feed-forward layers; 4 × dModel if not said. */
  dFeedForward?: number;
  dropout?: number;
  /** As `dropout` if not said. */
  embeddingDropout?: number;
  attentionDropout?: number;
  activationDropout?: number;
  layerDrop?: number;
  /** Whether attention's projections add an offset. */
  attentionBias?: boolean;
  attention?: MixerChoice;
  feedForward?: FeedForwardChoice;
  normKind?: NormChoice;
  norm?: NormPlacement;
  /** As the norm's own if not said. */
  normEpsilon?: number | undefined;
  positions?: PositionChoice;
  positionJoin?: "add" | "concatenate";
  maxPositions?: number;
  /** A norm on the stack's input. */
  embeddingNorm?: boolean;
  /** Id of padding; −1 where no token of the vocabulary stands for it. */
  pad?: number;
}

export type ResolvedSingleStackOptions = Required<SingleStackOptions>;

/** What has no default. */
const sizes = ["vocabularySize", "dModel", "heads", "layers"] as const;

/**
 * Fills in what was left open, `defaults` of the family first, and refuses what cannot be combined, and what is neither an option
 * of all nor one of the family's own.
 */
export function resolveSingleStack(
  options: SingleStackOptions,
  stack: "encoder" | "decoder",
  defaults: Partial<SingleStackOptions>,
  ownOptions: readonly string[] = [],
): ResolvedSingleStackOptions {
  const { dropout = defaults.dropout ?? 0.1 } = options;
  const ofAll: Omit<ResolvedSingleStackOptions, (typeof sizes)[number]> = {
    ...plainStack,
    dFeedForward: 4 * options.dModel,
    dropout,
    embeddingDropout: dropout,
    feedForward: "gelu",
    positions: "learned",
  };
  refuseUnknown(options, [...sizes, ...Object.keys(ofAll), ...ownOptions]);
  const resolved: ResolvedSingleStackOptions = { ...ofAll, ...defaults, ...options };
  refuseImpossible(resolved, { stacks: [stack] });
  return resolved;
}

export function singleStackParts(options: ResolvedSingleStackOptions, stack: "encoder" | "decoder"): StackParts {
  const { layers } = options;
  const depth = stack === "encoder" ? { encoderLayers: layers } : { decoderLayers: layers };
  return new StackParts({ ...options, stack, isCausal: stack === "decoder", deep: deepNormScale(depth)[stack] });
}
