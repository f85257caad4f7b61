// Written dates of many languages → ISO 8601: examples drawn by seed, with days and ways of writing kept for the test.
import { ConfigError, randomKey, RandomStream } from "../base/index.ts";
import { disturb } from "./date-noise.ts";
import { dateForms, endsInYear, slotOf, splitOfDay, type DateSplit } from "./date-splits.ts";
import { anyLocale, dateLocales, dayFromNumber, dayNumberOf, isoDate, type DateForm, type Day } from "./date-styles.ts";

export { dateCombinations, splitOfDay, type DateSplit } from "./date-splits.ts";
export { dateLocales, plainText } from "./date-styles.ts";

export interface DateExample {
  /** As somebody wrote it, for example "<en-GB> Sun, 05/09/2021" or "5. září 2021". */
  source: string;
  /** YYYY-MM-DD. */
  target: string;
}

/** Tags that may open a source, `<en-US>` and so on: one token each. */
export const dateTags: readonly string[] = dateLocales.map((locale) => `<${locale}>`);

const firstYear = 1900;
const lastYear = 2100;
const firstDayNumber = dayNumberOf(firstYear, 1, 1);
const dayCount = dayNumberOf(lastYear + 1, 1, 1) - firstDayNumber;

/** Whether another locale could read another day from it: day and month in figures, the year last, no dots between them. */
function needsTag(form: DateForm, text: string, { day, month }: Day): boolean {
  return endsInYear(form, text) && day <= 12 && day !== month && !/\p{Nd}\./u.test(text);
}

/** Chance of a tag where none is needed, and where figures end in the year but can be read in one way only. */
const needlessTag = 0.06;
const helpfulTag = 0.5;

function pick<T>(items: readonly T[], stream: RandomStream): T {
  return items[stream.integer(items.length)]!;
}

function drawDay(stream: RandomStream, split: DateSplit): Day {
  for (;;) {
    const dayNumber = firstDayNumber + stream.integer(dayCount);
    if (splitOfDay(dayNumber) === split) return dayFromNumber(dayNumber);
  }
}

/** A form and a day of the split; in the test, together a text that no taught form writes. */
function drawFormAndDay(stream: RandomStream, split: DateSplit): { form: DateForm; day: Day } {
  const { taught, kept } = dateForms();
  if (split !== "test") return { form: pick(pick(taught, stream), stream), day: drawDay(stream, split) };
  for (;;) {
    const { form, isNew } = pick(pick(kept, stream), stream);
    const day = drawDay(stream, split);
    if (isNew[slotOf(day)]) return { form, day };
  }
}

function drawExample(stream: RandomStream, split: DateSplit): DateExample {
  const { form, day } = drawFormAndDay(stream, split);
  const text = form.write(day);
  // Without its tag a date in figures would, in the test, be no new text: another locale's form may be the same.
  const mustHaveTag = needsTag(form, text, day) || (split === "test" && endsInYear(form, text));
  const isTagged =
    mustHaveTag ||
    (form.locale !== anyLocale && stream.uniform() < (endsInYear(form, text) ? helpfulTag : needlessTag));
  const written = disturb(text, { isNumeric: form.isNumeric, locale: form.locale, stream });
  return { source: isTagged ? `<${form.locale}> ${written}` : written, target: isoDate(day) };
}

const splitNumber: Readonly<Record<DateSplit, number>> = { train: 0, validation: 1, test: 2 };

/**
 * Examples without end; number i is a function of (seed, split, i) alone. The validation's are days never trained on,
 * the test's are such days in ways of writing never trained on.
 *
 * @example
 * const [first] = datesWithoutEnd({ seed: 1, split: "train" });
 */
export function* datesWithoutEnd({
  seed,
  split,
  from = 0,
}: {
  seed: number;
  split: DateSplit;
  from?: number;
}): Generator<DateExample, never> {
  for (let i = from; ; i++) yield drawExample(new RandomStream(randomKey(seed, splitNumber[split], i)), split);
}

/**
 * The first `count` examples of a split; in validation and test no source occurs twice.
 *
 * @example
 * dateExamples({ seed: 1, count: 2000, split: "test" }).length; // 2000
 */
export function dateExamples({ seed, count, split }: { seed: number; count: number; split: DateSplit }): DateExample[] {
  if (!Number.isInteger(count) || count < 0)
    throw new ConfigError("dateExamples: count", `wanted a whole number of examples, got ${count}`);
  const examples: DateExample[] = [];
  const seen = new Set<string>();
  for (const example of datesWithoutEnd({ seed, split })) {
    if (examples.length === count) break;
    if (split !== "train" && seen.has(example.source)) continue;
    seen.add(example.source);
    examples.push(example);
  }
  return examples;
}
