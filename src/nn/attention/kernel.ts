import { maskBias } from "./mask.ts";
import { add, type Dim, type Tensor } from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { scaledDotProduct } from "./scaled-dot-product.ts";
import type { AttentionScope } from "./scope.ts";

/** What came of the values, and who looked where if all weights stood side by side at some moment. */
export interface AttentionResult {
  /** [batch, heads, queryTime, dHead] */
  readonly context: Tensor;
  /** How much each query looked at each key: [batch, heads, queryTime, keyTime], rows sum to 1. */
  readonly weights?: Tensor;
}

/** Of which keys an attention pattern is asked: int32 [.., queryTime] and [.., keyTime], leading axes broadcast. */
export interface PatternQuestion {
  readonly queryPositions: Tensor;
  readonly keyPositions: Tensor;
  readonly isCausal: boolean;
  /** Keys in all; a causal pattern may not depend on it. */
  readonly keyTime: Dim;
}

/** How heads look at keys: at all of them, or at those that a pattern keeps, computing only these. It has no weights of its own. */
export interface AttentionKernel {
  /** What configurations call it. */
  readonly name: string;
  /**
   * query [batch, heads, queryTime, dHead], key and value [batch, heads, keyTime, dHead], turned already; the scores are scaled
   * by 1/√dHead here.
   */
  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult;
  /**
   * The pattern by itself, before causality and padding: bool [.., queryTime, keyTime], true where the pair is kept. Absent
   * where every pair is. Decoding steps and the dense twin in the tests go by it.
   */
  keeps?(question: PatternQuestion): Tensor;
  /** Whether `keeps` goes by distances alone, so that places may be counted from anywhere. */
  readonly isRelative?: boolean;
  /** What a decoding step can still see: the first `sinks` places and the last `window`; absent: everything. */
  readonly reach?: { readonly sinks: number; readonly window: number };
}

/** Every query against every key: the definition that all other kernels are measured by. */
export class FullAttention implements AttentionKernel {
  readonly name = "full";

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    return scaledDotProduct(query, key, value, { bias: scope.bias, ...(dropout && { dropout }) });
  }
}

/** A pattern computed the long way: all scores, those that it does not keep masked. What its fast form must equal. */
export class MaskedAttention implements AttentionKernel {
  readonly name: string;
  readonly #pattern: AttentionKernel;

  constructor(pattern: AttentionKernel) {
    this.name = `${pattern.name}, masked`;
    this.#pattern = pattern;
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    const { queryPositions, keyPositions, isCausal, keyTime } = scope;
    const kept = this.#pattern.keeps?.({ queryPositions, keyPositions, isCausal, keyTime });
    const hidden = kept === undefined ? undefined : maskBias(kept); // [queryTime, keyTime]
    const bias = hidden === undefined || scope.bias === undefined ? (hidden ?? scope.bias) : add(scope.bias, hidden);
    return scaledDotProduct(query, key, value, { bias, ...(dropout && { dropout }) });
  }
}
