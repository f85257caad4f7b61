// Reranking: outputs of one model in the order of what a second one thinks of them, too.

export interface RerankOptions {
  /** What the second opinion counts, against 1 for the score that an output has. */
  readonly weight?: number;
}

/**
 * For every source its outputs by score + weight · opinion, best first. `scoreOf` gives a second score for pairs of a source and an
 * output: of a larger model, of one that writes from right to left, or of one that translates back (noisy channel: Yee et al.
 * 2019, "Simple and Effective Noisy Channel Modeling for Neural Machine Translation").
 *
 * @example
 * const lists = await small.generate(lines, { nbest: 5 });
 * const better = await rerank(lines, lists, async (sources, targets) =>
 *   (await large.score(sources, targets)).map(({ score }) => score),
 * );
 */
export async function rerank<Output extends { readonly text: string; readonly score: number }>(
  sources: readonly string[],
  lists: readonly (readonly Output[])[],
  scoreOf: (sources: readonly string[], outputs: readonly string[]) => Promise<readonly number[]>,
  { weight = 1 }: RerankOptions = {},
): Promise<Output[][]> {
  const pairs = lists.flatMap((list, i) => list.map((output) => [sources[i]!, output] as const));
  const opinions = await scoreOf(
    pairs.map(([source]) => source),
    pairs.map(([, { text }]) => text),
  );
  let at = 0;
  return lists.map((list) => {
    const judged = list.map((output) => ({ ...output, score: output.score + weight * opinions[at++]! }));
    return judged.sort((a, b) => b.score - a.score);
  });
}
