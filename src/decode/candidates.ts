// The best next tokens of every row after the processors have spoken, by the cheapest way that gives them: the model's own
// top candidates where nothing or only rules apply, whole rows of scores where a processor changes numbers.
import { ConfigError } from "../base/index.ts";
import { CandidateList } from "./candidate-list.ts";
import { logSumExp } from "./log-sum-exp.ts";
import { checkToken, refuseScores, type Scale } from "./search.ts";
import type { Rules, ScoreProcessor } from "./processors/score-processor.ts";
import type { Candidates, Step, Stepper } from "./stepper.ts";
import type { Prefix, PrefixOf } from "./trellis.ts";

/** More bans than this a row, and fetching whole rows is the simpler way. */
const MOST_EXTRA_CANDIDATES = 64;
/** Extra candidates are asked for in such lots, so that the count, which a model may compile for, seldom changes. */
const EXTRA_CANDIDATES_LOT = 8;

const UNFORCED = -1;
const DEAD = -2;

/**
 * Asks a stepper for candidates and applies processors. Rows of the answer that have fewer than `count` candidates left
 * end in entries of −Infinity. The answer is valid until the next call.
 */
export class CandidateSource {
  readonly #stepper: Stepper;
  readonly #processors: readonly ScoreProcessor[];
  readonly #onlyRules: boolean;
  readonly #scale: Scale;
  readonly #rules: RowRestrictions;
  readonly #list = new CandidateList();
  #extra = 0;

  constructor(stepper: Stepper, processors: readonly ScoreProcessor[], scale: Scale = "logProbabilities") {
    if (scale === "logits" && stepper.logits === undefined) {
      throw new ConfigError(
        "scale",
        'this model shows its log-probabilities but not its logits. Use scale "logProbabilities".',
      );
    }
    this.#stepper = stepper;
    this.#processors = processors;
    this.#onlyRules = processors.every(({ restrict }) => restrict !== undefined);
    this.#scale = scale;
    this.#rules = new RowRestrictions(stepper.vocabularySize);
  }

  async next(step: Step, stepIndex: number, prefixOf: PrefixOf, count: number): Promise<Candidates> {
    const wanted = Math.min(count, this.#stepper.vocabularySize);
    const rows = step.sentences.length * step.beams;
    if (this.#onlyRules) {
      const extra = this.#collectRules(rows, prefixOf);
      if (extra <= MOST_EXTRA_CANDIDATES) {
        this.#extra = Math.max(this.#extra, Math.ceil(extra / EXTRA_CANDIDATES_LOT) * EXTRA_CANDIDATES_LOT);
        const asked = Math.min(wanted + this.#extra, this.#stepper.vocabularySize);
        const candidates = await this.#stepper.topCandidates(step, asked);
        checkCandidates(candidates, step, stepIndex, rows);
        return this.#processors.length === 0 ? candidates : this.#restricted(candidates, rows, wanted);
      }
    }
    const scores = await this.scores(step);
    const { vocabularySize } = this.#stepper;
    const shortlist = this.shortlist(rows, wanted);
    for (let row = 0; row < rows; row++) {
      const scoresOfRow = scores.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      const prefix = prefixOf(row);
      if (prefix === undefined) shortlist.logProbabilities.fill(-Infinity, row * wanted, (row + 1) * wanted);
      else this.pick(scoresOfRow, prefix, shortlist, row, step, stepIndex);
    }
    return shortlist;
  }

  /** Whole rows [rows, vocabularySize], on the scale the processors are to see. */
  scores(step: Step): Promise<Float32Array> {
    // Called on the stepper: a detached method would lose `this`.
    return this.#scale === "logits" ? this.#stepper.logits!(step) : this.#stepper.logProbabilities(step);
  }

  /** Room for `rows` × `count` candidates, to be filled by `pick`. */
  shortlist(rows: number, count: number): Candidates {
    return this.#list.room(rows, count);
  }

  /** Applies the processors to one row of scores, in place. */
  process(scores: Float32Array, prefix: Prefix, row: number, step: Step, stepIndex: number): void {
    // A softmax that meets one bad number spoils its whole row, so one look before a processor can hide it is enough.
    if (Number.isNaN(scores[0])) refuseScores(step, stepIndex, row, NaN);
    for (const processor of this.#processors) processor.process(prefix, scores);
  }

  /** Likewise, and puts the best of the row into that row of the list. */
  pick(scores: Float32Array, prefix: Prefix, into: Candidates, row: number, step: Step, stepIndex: number): void {
    this.process(scores, prefix, row, step, stepIndex);
    const bad = this.#list.fill(row, scores);
    if (bad !== undefined) refuseScores(step, stepIndex, row, bad);
    if (this.#scale === "logits") {
      const total = logSumExp(scores);
      if (total === -Infinity) return;
      for (let i = row * into.count; i < (row + 1) * into.count; i++) into.logProbabilities[i]! -= total;
    }
  }

  /** What the rules say of every row; the most tokens banned in one. */
  #collectRules(rows: number, prefixOf: PrefixOf): number {
    if (this.#processors.length === 0) return 0;
    const rules = this.#rules;
    rules.begin(rows);
    let most = 0;
    for (let row = 0; row < rows; row++) {
      rules.beginRow(row);
      const prefix = prefixOf(row);
      if (prefix !== undefined) for (const processor of this.#processors) processor.restrict!(prefix, rules);
      most = Math.max(most, rules.endRow());
    }
    return most;
  }

  #restricted(offered: Candidates, rows: number, count: number): Candidates {
    const shortlist = this.shortlist(rows, count);
    const { tokens, logProbabilities } = shortlist;
    for (let row = 0; row < rows; row++) {
      const forced = this.#rules.forcedIn(row);
      let to = row * count;
      const end = to + count;
      if (forced >= 0) {
        tokens[to] = forced;
        logProbabilities[to++] = 0;
      } else if (forced === UNFORCED) {
        for (let from = row * offered.count; from < (row + 1) * offered.count && to < end; from++) {
          const token = offered.tokens[from]!;
          if (this.#rules.bans(row, token)) continue;
          tokens[to] = token;
          logProbabilities[to++] = offered.logProbabilities[from]!;
        }
      }
      logProbabilities.fill(-Infinity, to, end);
    }
    return shortlist;
  }
}

/** Rules of all rows, flat: row r bans `#banned[#ends[r − 1]…#ends[r])`. */
class RowRestrictions implements Rules {
  readonly #vocabularySize: number;
  #banned = new Int32Array(64);
  #ends = new Int32Array(0);
  #forced = new Int32Array(0);
  #size = 0;
  #row = 0;
  #start = 0;

  constructor(vocabularySize: number) {
    this.#vocabularySize = vocabularySize;
  }

  begin(rows: number): void {
    if (this.#ends.length < rows) {
      this.#ends = new Int32Array(rows);
      this.#forced = new Int32Array(rows);
    }
    this.#size = 0;
  }

  beginRow(row: number): void {
    this.#row = row;
    this.#start = this.#size;
    this.#forced[row] = UNFORCED;
  }

  /** Number of bans in the row. */
  endRow(): number {
    this.#ends[this.#row] = this.#size;
    return this.#size - this.#start;
  }

  ban(token: number): void {
    const forced = this.#forced[this.#row]!;
    if (forced !== UNFORCED) {
      if (forced === token) this.#forced[this.#row] = DEAD;
      return;
    }
    for (let i = this.#start; i < this.#size; i++) if (this.#banned[i] === token) return;
    if (this.#size === this.#banned.length) {
      const larger = new Int32Array(this.#size * 2);
      larger.set(this.#banned);
      this.#banned = larger;
    }
    this.#banned[this.#size++] = token;
  }

  force(token: number): void {
    checkToken("forced token", token, this.#vocabularySize);
    this.#forced[this.#row] = token;
    this.#size = this.#start;
  }

  /** The row's forced token, UNFORCED, or DEAD where the token it was forced to is banned. */
  forcedIn(row: number): number {
    return this.#forced[row]!;
  }

  bans(row: number, token: number): boolean {
    const end = this.#ends[row]!;
    for (let i = row === 0 ? 0 : this.#ends[row - 1]!; i < end; i++) if (this.#banned[i] === token) return true;
    return false;
  }
}

function checkCandidates({ count, logProbabilities }: Candidates, step: Step, stepIndex: number, rows: number): void {
  for (let row = 0; row < rows; row++) {
    // The best of a softmax is finite; the ones after it may be −Infinity where the model itself rules tokens out.
    if (!Number.isFinite(logProbabilities[row * count]))
      refuseScores(step, stepIndex, row, logProbabilities[row * count]!);
    for (let i = row * count; i < (row + 1) * count; i++) {
      if (!(logProbabilities[i]! < Infinity)) refuseScores(step, stepIndex, row, logProbabilities[i]!);
    }
  }
}
