// What the flags of `heddle score` make of the metrics: each metric by its name, and the printed forms of a score.
import { ConfigError, type Listener } from "../../base/index.ts";
import {
  Bleu,
  bootstrapCorpus,
  Chrf,
  fixed,
  pairedBootstrap,
  pairedRandomization,
  Ter,
  type BleuCounts,
  type BleuSmoothing,
  type BleuTokenizer,
  type ChrfCounts,
  type Metric,
  type References,
  type Score,
  type TerCounts,
  type TestedSystem,
} from "../../metrics/index.ts";

export interface ScoreFlags {
  reference?: string[];
  input?: string[];
  numRefs: number;
  metrics: string[];
  sentenceLevel?: boolean;
  tokenize: BleuTokenizer;
  lowercase?: boolean;
  smoothMethod: BleuSmoothing;
  smoothValue?: number;
  maxNgramOrder: number;
  effectiveOrder?: boolean;
  force?: boolean;
  chrfCharOrder: number;
  chrfWordOrder: number;
  chrfBeta: number;
  chrfLowercase?: boolean;
  chrfWhitespace?: boolean;
  chrfEpsSmoothing?: boolean;
  terNormalized?: boolean;
  terNoPunct?: boolean;
  terAsianSupport?: boolean;
  terCaseSensitive?: boolean;
  confidence?: boolean;
  confidenceN: number;
  pairedBs?: boolean;
  pairedBsN: number;
  pairedAr?: boolean;
  pairedArN: number;
  seed: number;
  format: "text" | "json";
  json?: boolean;
  short?: boolean;
  scoreOnly?: boolean;
  width: number;
  quiet?: boolean;
}

/** Every metric by its name on the command line: how the flags make it, and its counts under sacreBLEU's names. */
const metricEntries = {
  bleu: (flags: ScoreFlags, listener: Listener) => {
    const metric = new Bleu({
      tokenize: flags.tokenize,
      lowercase: flags.lowercase ?? false,
      smoothMethod: flags.smoothMethod,
      ...(flags.smoothValue === undefined ? {} : { smoothValue: flags.smoothValue }),
      maxNgramOrder: flags.maxNgramOrder,
      effectiveOrder: (flags.effectiveOrder ?? false) || (flags.sentenceLevel ?? false),
      force: flags.force ?? false,
      listener,
    });
    return entry(
      metric,
      ({ counts, totals, precisions, brevityPenalty, hypothesisLength, referenceLength }: BleuCounts) => ({
        counts,
        totals,
        precisions,
        bp: brevityPenalty,
        sys_len: hypothesisLength,
        ref_len: referenceLength,
      }),
    );
  },
  chrf: (flags: ScoreFlags) => {
    const metric = new Chrf({
      charOrder: flags.chrfCharOrder,
      wordOrder: flags.chrfWordOrder,
      beta: flags.chrfBeta,
      lowercase: flags.chrfLowercase ?? false,
      whitespace: flags.chrfWhitespace ?? false,
      epsSmoothing: flags.chrfEpsSmoothing ?? false,
    });
    return entry(metric, ({ matches, hypothesis, reference }: ChrfCounts) => ({
      counts: matches,
      totals: hypothesis,
      ref_totals: reference,
    }));
  },
  ter: (flags: ScoreFlags) => {
    const metric = new Ter({
      normalized: flags.terNormalized ?? false,
      noPunct: flags.terNoPunct ?? false,
      asianSupport: flags.terAsianSupport ?? false,
      caseSensitive: flags.terCaseSensitive ?? false,
    });
    return entry(metric, ({ edits, referenceLength }: TerCounts) => ({
      num_edits: edits,
      ref_length: referenceLength,
    }));
  },
} as const;

type Json = Record<string, unknown>;

/** A metric made from the flags, its counts' type hidden inside: every way of scoring gives scores with their JSON. */
export interface MetricEntry {
  readonly name: string;
  sentence(hypothesis: string, references: readonly (string | null)[]): ShownScore;
  corpus(system: readonly string[], references: References, confidence?: { trials: number; seed: number }): ShownScore;
  paired(
    systems: readonly (readonly string[])[],
    references: References,
    test: { kind: "bs" | "ar"; trials: number; seed: number },
  ): ShownScore[];
}

export interface ShownScore {
  readonly score: Score;
  readonly pValue?: number | undefined;
  readonly counts: Json;
}

function entry<Counts>(metric: Metric<Counts>, countsOf: (counts: Counts) => Json): MetricEntry {
  const shown = (score: Score<Counts>): ShownScore => ({ score, counts: countsOf(score.counts) });
  return {
    name: metric.name,
    sentence: (hypothesis, references) => shown(metric.sentence(hypothesis, references)),
    corpus: (system, references, confidence) =>
      shown(
        confidence === undefined
          ? metric.corpus(system, references)
          : bootstrapCorpus(metric, system, references, confidence),
      ),
    paired: (systems, references, { kind, trials, seed }) => {
      const test = kind === "bs" ? pairedBootstrap : pairedRandomization;
      return test(metric, systems, references, { trials, seed }).map(({ score, pValue }: TestedSystem<Counts>) => ({
        ...shown(score),
        pValue,
      }));
    },
  };
}

/** The metrics named by the flags, each once, in the order of their names. */
export function chooseMetrics(flags: ScoreFlags, listener: Listener): MetricEntry[] {
  const names = new Set(flags.metrics.flatMap((name) => name.split(",")).map((name) => name.trim().toLowerCase()));
  names.delete("");
  if (names.size === 0)
    throw new ConfigError("--metrics", `names no metric. There are ${Object.keys(metricEntries).join(", ")}.`);
  return [...names].toSorted().map((name) => {
    if (isMetric(name)) return metricEntries[name](flags, listener);
    const remedy = name.startsWith("chrf+")
      ? "chrF++ is --metrics chrf --chrf-word-order 2."
      : `There are ${Object.keys(metricEntries).join(", ")}.`;
    throw new ConfigError("--metrics", `unknown metric ${JSON.stringify(name)}. ${remedy}`);
  });
}

function isMetric(name: string): name is keyof typeof metricEntries {
  return Object.hasOwn(metricEntries, name);
}

/** The score as a line, or as the bare number with `scoreOnly`. */
export function textOf({ score, pValue }: ShownScore, { width, short, scoreOnly = false }: ScoreFlags): string {
  const text = score.format({ width, scoreOnly, signature: short ? score.signature.short : score.signature.long });
  return pValue === undefined ? text : `${text} (p = ${fixed(pValue, 4)})${pValue <= 0.05 ? "*" : ""}`;
}

/** sacreBLEU's fields, and beside them the text, the counts and the unrounded score. */
export function jsonOf({ score, pValue, counts }: ShownScore, { width, short }: ScoreFlags): Json {
  const { name, signature, confidence, details } = score;
  return {
    name,
    score: score.score,
    signature: short ? signature.short : signature.long,
    ...(pValue === undefined ? {} : { p_value: pValue }),
    ...(confidence === undefined
      ? {}
      : {
          confidence_mean: confidence.mean,
          confidence_var: confidence.halfWidth,
          confidence: `μ = ${fixed(confidence.mean, width)} ± ${fixed(confidence.halfWidth, width)}`,
        }),
    ...(details === "" ? {} : { verbose_score: details }),
    text: score.format({ width }),
    ...counts,
    ...Object.fromEntries(signature.entries.map(([key, , value]) => [key, String(value)])),
  };
}
