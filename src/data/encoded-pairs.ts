// A corpus as token ids in memory: what batches are cut from. Pairs that cannot be trained on are dropped here, and counted.
import { DataError, silent, type Listener } from "../base/index.ts";
import type { Corpus } from "./corpus.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { Respelling, type BpeDropout } from "./respelling.ts";
import { GrowingInts, RowsBuilder, type Encoder, type TokenRows } from "./token-rows.ts";

export interface EncodePairsOptions {
  source: Encoder;
  target: Encoder;
  /** Most tokens of a source, its END counted; longer pairs are dropped. */
  maxSourceTokens?: number;
  /** Most tokens of a target, its END counted (START is not: it takes the place that END leaves in the decoder's input). */
  maxTargetTokens?: number;
  /** Spells words anew in every epoch; see `EncodedPairs.inEpoch`. */
  bpeDropout?: BpeDropout | undefined;
  /** Hears one warning with the figures where pairs were dropped, and the progress. */
  listener?: Listener;
}

/** How many pairs were dropped for one reason, and where the first of them stood ("train.en, line 12"). */
export interface Dropped {
  readonly count: number;
  readonly first: string | undefined;
}

export interface EncodingReport {
  readonly read: number;
  readonly kept: number;
  /** Pairs with a side of nothing but white space. */
  readonly empty: Dropped;
  /** Pairs with a side of more tokens than allowed. */
  readonly overlong: Dropped;
}

/** All that encoded pairs hold. */
export interface EncodedPairsContents {
  source: TokenRows;
  target: TokenRows;
  lines: Int32Array;
  files: readonly string[];
  fileOf: Int32Array;
  sourcePad: number;
  targetPad: number;
  targetStart: number;
  report: EncodingReport;
  respelling?: Respelling | undefined;
}

/** Pairs as ids: `source` = x…, END; `target` = y…, END. START and padding come in when a batch is made. */
export class EncodedPairs {
  readonly source: TokenRows;
  readonly target: TokenRows;
  /** Line of each pair in its file, from 1. */
  readonly lines: Int32Array;
  readonly sourcePad: number;
  readonly targetPad: number;
  readonly targetStart: number;
  readonly report: EncodingReport;
  readonly #contents: EncodedPairsContents;
  #fingerprint: string | undefined;

  constructor(contents: EncodedPairsContents) {
    this.source = contents.source;
    this.target = contents.target;
    this.lines = contents.lines;
    this.sourcePad = contents.sourcePad;
    this.targetPad = contents.targetPad;
    this.targetStart = contents.targetStart;
    this.report = contents.report;
    this.#contents = contents;
  }

  /** The same pairs as an epoch spells them: a pure function of the seed and the epoch. Without respelling always these. */
  inEpoch(epoch: number): EncodedPairs {
    const { respelling, ...rest } = this.#contents;
    return respelling === undefined ? this : new EncodedPairs({ ...rest, ...respelling.inEpoch(epoch, this) });
  }

  get count(): number {
    return this.source.count;
  }

  /** File and line of pair i. */
  placeOf(i: number): { file: string; line: number } {
    const { files, fileOf } = this.#contents;
    return { file: files[fileOf[i]!]!, line: this.lines[i]! };
  }

  /** 64 bits that change with any token or length; a saved position is worth nothing on other data. */
  get fingerprint(): string {
    const { respelling } = this.#contents;
    this.#fingerprint ??= fingerprintOf([
      ...(respelling === undefined ? [] : [new TextEncoder().encode(respelling.name)]),
      [this.sourcePad, this.targetPad, this.targetStart],
      this.source.offsets,
      this.source.tokens,
      this.target.offsets,
      this.target.tokens,
    ]);
    return this.#fingerprint;
  }
}

/**
 * Reads a corpus once and keeps it as ids. Pairs with an empty or an overlong side are left out; the report, and one warning to
 * the listener, say how many and where the first stood.
 *
 * Throws DataError where no pair is left, RangeError where an encoder gives something that is no token id.
 *
 * @example
 * const bytes = { encode: (text: string) => new TextEncoder().encode(text), special: { pad: 256, start: 257, end: 258 } };
 * const pairs = await encodePairs(corpusOf([["one", "eins"]]), { source: bytes, target: bytes, maxTargetTokens: 128 });
 */
export async function encodePairs(
  corpus: Corpus,
  {
    source,
    target,
    maxSourceTokens = Infinity,
    maxTargetTokens = Infinity,
    bpeDropout,
    listener = silent,
  }: EncodePairsOptions,
): Promise<EncodedPairs> {
  const sourceRows = new RowsBuilder(source);
  const targetRows = new RowsBuilder(target);
  const respelling = bpeDropout && new Respelling(bpeDropout, { source, target, maxSourceTokens, maxTargetTokens });
  const lines = new GrowingInts();
  const fileOf = new GrowingInts();
  const files: string[] = [];
  const empty = new DropCount();
  const overlong = new DropCount();
  let read = 0;

  for await (const record of corpus) {
    read++;
    if (read % progressEvery === 0)
      listener({ type: "progress", task: `encoding ${corpus.name}`, done: read, total: undefined });
    if (record.source.trim() === "" || record.target.trim() === "") {
      empty.add(record);
      continue;
    }
    const x = source.encode(record.source);
    const y = target.encode(record.target);
    if (x.length + 1 > maxSourceTokens || y.length + 1 > maxTargetTokens) {
      overlong.add(record);
      continue;
    }
    sourceRows.add(x);
    targetRows.add(y);
    lines.push(record.line);
    if (files.at(-1) !== record.file) files.push(record.file);
    fileOf.push(files.length - 1);
    respelling?.add(record);
  }

  const report: EncodingReport = { read, kept: lines.length, empty: empty.figures, overlong: overlong.figures };
  if (report.kept === 0) throw new DataError(corpus.name, undefined, `no pair is left: ${describe(report)}. ${remedy}`);
  if (report.kept < read)
    listener({ type: "log", level: "warning", message: `${corpus.name}: left out ${describe(report)}. ${remedy}` });
  return new EncodedPairs({
    source: sourceRows.rows(),
    target: targetRows.rows(),
    respelling,
    lines: lines.toArray(),
    files,
    fileOf: fileOf.toArray(),
    sourcePad: source.special.pad,
    targetPad: target.special.pad,
    targetStart: target.special.start,
    report,
  });
}

const progressEvery = 10_000;
const remedy = "Mend the lines, or raise maxSourceTokens and maxTargetTokens.";

function describe({ read, empty, overlong }: EncodingReport): string {
  const parts = [];
  if (empty.count > 0) parts.push(`${empty.count} with an empty side (the first: ${empty.first})`);
  if (overlong.count > 0) parts.push(`${overlong.count} overlong (the first: ${overlong.first})`);
  return `of ${read} pairs ${parts.length > 0 ? parts.join(" and ") : "none"}`;
}

class DropCount {
  #count = 0;
  #first: string | undefined;

  add({ file, line }: { file: string; line: number }): void {
    this.#count++;
    this.#first ??= `${file}, line ${line}`;
  }

  get figures(): Dropped {
    return { count: this.#count, first: this.#first };
  }
}
