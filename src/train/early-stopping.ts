// Which validation was the best, and how long ago that was.
import { ConfigError } from "../base/index.ts";
import type { Best } from "./training-state.ts";

/** What validations are compared by. */
export interface Criterion {
  /** One of the figures that `validate` gives, for example "loss" or "bleu". */
  readonly metric: string;
  /** Whether a smaller or a larger value is better. */
  readonly better: "smaller" | "larger";
}

/** The part of a training state that validations change. */
export interface Standing {
  readonly best: Best | undefined;
  readonly validationsSinceBest: number;
}

/**
 * The standing after one more validation. Equal is not better, and a value that is not finite never is.
 * Throws ConfigError where the figures lack the metric.
 *
 * @example
 * judge({ best: undefined, validationsSinceBest: 0 }, { step: 100, figures: { loss: 2.5 }, criterion: { metric: "loss", better: "smaller" } });
 */
export function judge(
  { best, validationsSinceBest }: Standing,
  { step, figures, criterion }: { step: number; figures: Readonly<Record<string, number>>; criterion: Criterion },
): Standing {
  const { metric, better } = criterion;
  const value = figures[metric];
  if (value === undefined) {
    const given = Object.keys(figures).join(", ");
    throw new ConfigError(
      "criterion.metric",
      `validation gives no "${metric}". It gives ${given || "nothing"}: choose one of these.`,
    );
  }
  const isBetter =
    Number.isFinite(value) && (best === undefined || (better === "smaller" ? value < best.value : value > best.value));
  return isBetter
    ? { best: { step, value }, validationsSinceBest: 0 }
    : { best, validationsSinceBest: validationsSinceBest + 1 };
}
