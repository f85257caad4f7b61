// A window for everybody, and a few places that see and are seen from everywhere.
import { less, or, slice, type Tensor } from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import { attendBlocks, wantCount, wantSelfAttention } from "./blocks.ts";
import type { AttentionKernel, AttentionResult, PatternQuestion } from "./kernel.ts";
import { attendFromLeading, leadingKeys, replaceLeading } from "./leading-places.ts";
import type { AttentionScope } from "./scope.ts";
import { isInWindow, pairsOf, windowKeys, windowLayout, type WindowOptions } from "./sliding-window.ts";

export interface LongformerOptions extends Partial<WindowOptions> {
  /** How many places at the front are global; a classifier's first token, a question before its text. */
  readonly globalTokens?: number;
}

/**
 * Query i sees key j where they are within a window of each other (as in SlidingWindowAttention), or where i or j is one of the
 * first `globalTokens`. Under causality what lies ahead is hidden from global places too, so there they are keys that everybody
 * sees. Beltagy et al. 2020, "Longformer: The Long-Document Transformer", section 3.1; unlike the paper global and local
 * attention have the same projections.
 * @example
 * const kernel = new LongformerAttention({ window: 64, globalTokens: 1 });
 * new MultiHeadAttention({ dModel: 256, heads: 4, kernel });
 */
export class LongformerAttention implements AttentionKernel {
  readonly name = "longformer";
  readonly window: number;
  readonly dilation: number;
  readonly globalTokens: number;

  constructor({ window = 128, globalTokens = 1, dilation = 1 }: LongformerOptions = {}) {
    wantCount("window", window, 1);
    wantCount("globalTokens", globalTokens, 1);
    wantCount("dilation", dilation, 1);
    this.window = window;
    this.dilation = dilation;
    this.globalTokens = globalTokens;
  }

  get reach(): { readonly sinks: number; readonly window: number } {
    return { sinks: this.globalTokens, window: this.window * this.dilation };
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    wantSelfAttention(this.name, scope);
    const places = this.globalTokens;
    const layout = windowLayout(this, scope.queryTime);
    const isElsewhere = (queries: Tensor, keys: Tensor): Tensor => isInWindow(this, queries, keys);
    const parts = [windowKeys(this, layout, scope.isCausal), leadingKeys(layout, scope, { places, isElsewhere })];
    const local = attendBlocks({ query, key, value, scope, layout, parts, dropout });
    const context = scope.isCausal
      ? local
      : replaceLeading(
          local,
          attendFromLeading({ query, key, value, scope, layout, places, dropout }),
          layout.leastTime,
        );
    return { context: slice(context, { axis: 2, end: scope.queryTime }) };
  }

  keeps({ queryPositions, keyPositions }: PatternQuestion): Tensor {
    const [queries, keys] = pairsOf(queryPositions, keyPositions);
    const places = this.globalTokens;
    return or(isInWindow(this, queries, keys), or(less(queries, places), less(keys, places)));
  }
}
