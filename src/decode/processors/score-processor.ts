// A part that changes next-token scores before a search chooses.
import type { Prefix } from "../trellis.ts";

/**
 * Sees one hypothesis and its row of scores, and changes the row in place; −Infinity bans a token. Scores are
 * log-probabilities, or logits where a search was told so. Nothing is normalised again afterwards, unless a processor
 * does it.
 */
export interface ScoreProcessor {
  process(prefix: Prefix, scores: Float32Array): void;
  /**
   * Where all a processor does is ban tokens or force one, the same said as rules. A search whose processors all have
   * this asks the model for a few more candidates than it needs instead of for whole rows.
   */
  restrict?(prefix: Prefix, rules: Rules): void;
}

/** What a restriction may say of the next token. */
export interface Rules {
  /** This token may not follow. */
  ban(token: number): void;
  /** This token follows, at a log-probability of 0 and whatever was banned before; bans said afterwards still hold. */
  force(token: number): void;
}

/** A processor out of rules alone. */
export function restriction(restrict: (prefix: Prefix, rules: Rules) => void): ScoreProcessor {
  const onRow = new RowRules();
  return {
    restrict,
    process(prefix, scores) {
      onRow.scores = scores;
      restrict(prefix, onRow);
    },
  };
}

class RowRules implements Rules {
  scores: Float32Array = new Float32Array(0);

  ban(token: number): void {
    this.scores[token] = -Infinity;
  }

  force(token: number): void {
    this.scores.fill(-Infinity);
    this.scores[token] = 0;
  }
}
