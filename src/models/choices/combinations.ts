// Which choices exclude each other, and why: what the mathematics does not allow is refused when a model is made.
import { ConfigError } from "../../base/index.ts";
import { inStack, kindOf, type PerStack, type StackName } from "./choice.ts";
import type { FeedForwardChoice } from "./feed-forwards.ts";
import type { MixerChoice } from "./mixers.ts";
import type { NormChoice } from "./norms.ts";
import type { PositionChoice } from "./positions.ts";

/** The choices that can get in each other's way. */
export interface CombinedChoices {
  readonly attention: PerStack<MixerChoice>;
  readonly positions: PerStack<PositionChoice>;
  readonly normKind: PerStack<NormChoice>;
  readonly feedForward: PerStack<FeedForwardChoice>;
  readonly positionJoin: "add" | "concatenate";
  readonly keyValueHeads?: PerStack<number> | undefined;
  readonly attentionDropout: number;
}

/** One pair of choices that cannot be had together; the table in the docs is made of these. */
export interface Exclusion {
  /** The key that is named in the error. */
  readonly key: "attention" | "positions" | "normKind" | "positionJoin" | "keyValueHeads" | "attentionDropout";
  readonly stacks: readonly StackName[];
  /** Whether it holds for these choices of one stack. */
  readonly excludes: (chosen: ChosenInStack) => boolean;
  readonly reason: string;
  readonly remedy: string;
}

/** What one stack was told, by kind; a part of the user's own is "own". */
export interface ChosenInStack {
  readonly attention: string;
  readonly positions: string;
  readonly normKind: string;
  readonly positionJoin: string;
  readonly sharesKeys: boolean;
  readonly dropsWeights: boolean;
}

const bothStacks = ["encoder", "decoder"] as const;
/** Kinds that are no attention: they have no scores and no keys to share. */
const withoutScores: readonly string[] = ["linear", "retention", "mamba"];
const scoreBiases: readonly string[] = ["alibi", "relative"];
const tables: readonly string[] = ["sinusoidal", "learned"];

export const exclusions: readonly Exclusion[] = [
  {
    key: "positions",
    stacks: ["encoder"],
    excludes: ({ positions }) => positions === "xpos",
    reason: "xPos shrinks scores with the distance back; towards later positions they would grow without bound",
    remedy: "Take rotary in the encoder: {encoder: rotary, decoder: xpos}",
  },
  {
    key: "normKind",
    stacks: ["decoder"],
    excludes: ({ normKind }) => normKind === "batch",
    reason: "the means of a batch norm run over all positions, so a position would see later ones",
    remedy: "Take layer or rms in the decoder: {encoder: batch, decoder: layer}",
  },
  {
    key: "attention",
    stacks: ["encoder"],
    excludes: ({ attention }) => ["retention", "mamba", "causal-blocks"].includes(attention),
    reason: "it only looks back, and this stack reads in both directions",
    remedy: "Take it in a decoder that writes token after token: {encoder: full, decoder: …}",
  },
  {
    key: "positions",
    stacks: bothStacks,
    excludes: ({ attention, positions }) => withoutScores.includes(attention) && scoreBiases.includes(positions),
    reason: "these positions are a bias on attention scores, and this mixer has no scores",
    remedy: "Take sinusoidal, learned or none",
  },
  {
    key: "positions",
    stacks: bothStacks,
    excludes: ({ attention, positions }) =>
      (attention === "linear" && positions === "xpos") ||
      (["retention", "mamba"].includes(attention) && ["rotary", "xpos"].includes(positions)),
    reason: "these positions turn queries against keys, which this mixer does in its own way or not at all",
    remedy: "Take sinusoidal, learned or none",
  },
  {
    key: "keyValueHeads",
    stacks: bothStacks,
    excludes: ({ attention, sharesKeys }) => sharesKeys && withoutScores.includes(attention),
    reason: "this mixer keeps a state in place of keys, so there is nothing to share",
    remedy: "Leave keyValueHeads out, or give it for the other stack alone",
  },
  {
    key: "attentionDropout",
    stacks: bothStacks,
    excludes: ({ attention, dropsWeights }) => dropsWeights && [...withoutScores, "tiled"].includes(attention),
    reason: "it drops attention weights, and here they never exist",
    remedy: "Set it to 0; dropout and activationDropout still apply",
  },
  {
    key: "positionJoin",
    stacks: bothStacks,
    excludes: ({ positions, positionJoin }) =>
      positionJoin === "concatenate" && ![...tables, "own"].includes(positions),
    reason: "only a table of position vectors can be put in front of embeddings",
    remedy: "Take sinusoidal or learned positions, or leave positionJoin out",
  },
];

export interface ExclusionOptions {
  /** The stacks that there are. */
  stacks?: readonly StackName[];
  /** Those whose positions see what follows them: what holds for encoders holds for these. */
  readBothWays?: readonly StackName[];
}

/** The first combination that cannot be had: at which key, and in words. */
export function impossible(
  choices: CombinedChoices,
  { stacks: stacksOf = bothStacks, readBothWays = ["encoder"] }: ExclusionOptions = {},
): { key: Exclusion["key"]; problem: string } | undefined {
  for (const stack of stacksOf) {
    const chosen = chosenIn(choices, stack);
    const rules = readBothWays.includes(stack) ? "encoder" : "decoder";
    const found = exclusions.find(({ stacks, excludes }) => stacks.includes(rules) && excludes(chosen));
    if (found === undefined) continue;
    const { key, reason, remedy } = found;
    const { attention, positions, normKind } = chosen;
    return {
      key,
      problem: `does not go with the rest: in the ${stack}, ${reason} (got attention ${attention}, positions ${positions}, norm ${normKind}). ${remedy}`,
    };
  }
  return undefined;
}

/** Refuses a combination that cannot be had: ConfigError with the key, the reason and what to do. */
export function refuseImpossible(choices: CombinedChoices, options?: ExclusionOptions): void {
  const found = impossible(choices, options);
  if (found !== undefined) throw new ConfigError(`model.${found.key}`, `${found.problem}.`);
}

/** Whether one stack may be told this. */
export function isPossible(stack: StackName, chosen: ChosenInStack): boolean {
  return !exclusions.some(({ stacks, excludes }) => stacks.includes(stack) && excludes(chosen));
}

function chosenIn(choices: CombinedChoices, stack: StackName): ChosenInStack {
  const keyValueHeads = choices.keyValueHeads === undefined ? undefined : inStack(choices.keyValueHeads, stack);
  return {
    attention: kindOf(inStack(choices.attention, stack)),
    positions: kindOf(inStack(choices.positions, stack)),
    normKind: kindOf(inStack(choices.normKind, stack)),
    positionJoin: choices.positionJoin,
    sharesKeys: keyValueHeads !== undefined,
    dropsWeights: choices.attentionDropout > 0,
  };
}

/** Why glancing teaches nothing to a decoder that gets its length and reads its canvas so; undefined where it does. */
export function noGlancing({ length, decoderInput }: { length: string; decoderInput: string }): string | undefined {
  if (length === "ctc") return "model.length ctc, whose places stand for no token beforehand. Set it to 0";
  if (decoderInput === "masked") return "model.decoderInput masked, which is shown tokens already. Set it to 0";
  return undefined;
}
