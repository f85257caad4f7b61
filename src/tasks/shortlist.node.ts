// The shortlist of a translation run: learnt from its training pairs, kept in its folder.
import { silent, type Listener } from "../base/index.ts";
import { encodePairs, saveShortlist, Shortlist, type Corpus } from "../data/index.node.ts";
import { readRunConfigOf, shortlistFile } from "./run-folder.node.ts";
import { corporaOf, tokenizersOf } from "./translation-run.node.ts";

export interface MakeShortlistOptions {
  /** Pairs to learn from; the run's training pairs if not said. */
  corpus?: Corpus;
  /** Target tokens that go with each source token. */
  perToken?: number;
  /** The most frequent target tokens, which are in every list. */
  common?: number;
  listener?: Listener;
}

export interface MadeShortlist {
  readonly path: string;
  readonly pairs: number;
  /** Tokens on the list of one of these sources, in the mean. */
  readonly meanTokens: number;
  /** Share of the targets' tokens that are on the lists of their sources. */
  readonly coverage: number;
}

/**
 * Learns the shortlist of a run and writes it into the run's folder.
 * @example
 * const { coverage } = await makeShortlist("runs/en-de", { perToken: 20, common: 1000 });
 */
export async function makeShortlist(
  directory: string,
  { corpus, listener = silent, ...options }: MakeShortlistOptions = {},
): Promise<MadeShortlist> {
  const config = await readRunConfigOf(directory, "translation");
  const tokenizers = await tokenizersOf(config, directory, undefined);
  const { source, target } = tokenizers;
  const pairs = await encodePairs(corpus ?? (await corporaOf(config, { listener })).train, {
    source,
    target,
    listener,
  });
  const shortlist = Shortlist.learn({
    source: pairs.source,
    target: pairs.target,
    vocabularies: tokenizers,
    always: Object.values(target.special),
    ...options,
  });
  const path = shortlistFile(directory);
  await saveShortlist(path, shortlist);
  let [listed, covered] = [0, 0];
  for (let i = 0; i < pairs.count; i++) {
    const list = new Set(shortlist.of([...pairs.source.row(i)]));
    listed += list.size;
    for (const token of pairs.target.row(i)) if (list.has(token)) covered++;
  }
  return {
    path,
    pairs: pairs.count,
    meanTokens: listed / pairs.count,
    coverage: covered / pairs.target.tokens.length,
  };
}
