// The figures of several updates as one line of metrics: means over tokens, and the speed.

/** Sums over the updates since the last line of metrics; plain data, saved with a checkpoint. */
export interface MetricsWindow {
  readonly tokens: number;
  /** Time of the updates alone: without validations and saving. */
  readonly seconds: number;
  /** Σ tokens × value of each figure; the loss is one of them. */
  readonly weighted: Readonly<Record<string, number>>;
}

export const emptyWindow: MetricsWindow = { tokens: 0, seconds: 0, weighted: {} };

/** What one update adds. */
export interface UpdateFigures {
  readonly tokens: number;
  readonly seconds: number;
  /** Means over the tokens of the update, for example { loss: 3.2, negativeLogLikelihood: 2.9 }. */
  readonly means: Readonly<Record<string, number>>;
}

/** The window with one more update in it. */
export function extendWindow(window: MetricsWindow, { tokens, seconds, means }: UpdateFigures): MetricsWindow {
  const weighted = { ...window.weighted };
  for (const [name, mean] of Object.entries(means)) weighted[name] = (weighted[name] ?? 0) + tokens * mean;
  return { tokens: window.tokens + tokens, seconds: window.seconds + seconds, weighted };
}

/**
 * Means over the tokens of the window and its tokens per second; perplexity = exp(negativeLogLikelihood) where that is known,
 * which is the loss without label smoothing.
 */
export function windowFigures({ tokens, seconds, weighted }: MetricsWindow): Record<string, number> {
  const means = Object.fromEntries(Object.entries(weighted).map(([name, sum]) => [name, sum / tokens]));
  const { negativeLogLikelihood } = means;
  return {
    ...means,
    ...(negativeLogLikelihood === undefined ? {} : { perplexity: Math.exp(negativeLogLikelihood) }),
    tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
  };
}
