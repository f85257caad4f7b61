// Written dates of many languages → ISO 8601: examples drawn by seed, with days and ways of writing kept for the test.
import { ConfigError, mix32, randomKey, RandomStream } from "../base/index.ts";
import { disturb } from "./date-noise.ts";
import { allDateForms, anyLocale, dateLocales, dayFromNumber, dayNumberOf, isoDate, type DateForm, type Day } from "./date-styles.ts";

export { dateLocales, plainText } from "./date-styles.ts";

export type DateSplit = "train" | "validation" | "test";

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

/** Which split a day belongs to, whatever the seed: of twenty days two are the test's and one is the validation's. */
export function splitOfDay(dayNumber: number): DateSplit {
  const slot = mix32(mix32(dayNumber >>> 0) ^ 0x64617465) % 20;
  return slot < 2 ? "test" : slot === 2 ? "validation" : "train";
}

/** What stays of a text when case, accents, punctuation, spaces and leading zeros are ignored, as `disturb` may change them. */
function bareText(text: string): string {
  return text
    .normalize("NFD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/(?<!\p{N})0(?=\p{N})/gu, "")
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, " ")
    .trim();
}

const startsWithYear = /^\P{Nd}*\p{Nd}{4}/u;

/** Whether another locale could read another day from it: day and month in figures, the year last, no dots between them. */
function needsTag(text: string, form: DateForm, { day, month }: Day): boolean {
  return form.isNumeric && day <= 12 && day !== month && !startsWithYear.test(text) && !/\p{Nd}\./u.test(text);
}

interface FormTable {
  /** By locale; taught. */
  train: readonly (readonly DateForm[])[];
  /** By locale; kept for the test. */
  test: readonly (readonly DateForm[])[];
}

/** Days on which two forms must differ to count as two: each month, each weekday, days of one and of two figures. */
const probeDays: readonly Day[] = Array.from({ length: 12 }, (_, month) => [1, 7, 14, 26].map((day) => dayFromNumber(dayNumberOf(2003, month + 1, day)))).flat();

/** Of a locale's forms at most this share is kept for the test. */
const heldOutShare = 0.25;
/** A form may be kept for the test only when every word in it is taught by so many other forms of its locale. */
const lessonsPerWord = 2;

/**
 * Divides locale × style into taught and kept ways of writing. Forms of one locale that write alike, but for what
 * `disturb` changes anyway, are one form. A form is kept only if each of its words (names of months and weekdays, its
 * digits) also stands in two taught forms of the locale and its style is taught in two other locales: then the test asks
 * for known words in an unknown arrangement, and not for words never heard.
 */
function divideForms(): FormTable {
  const train: DateForm[][] = [];
  const test: DateForm[][] = [];
  const taughtStyles = new Map<string, number>();
  const forms = [...allDateForms()];
  for (const [, list] of forms) for (const { style } of list) taughtStyles.set(style, (taughtStyles.get(style) ?? 0) + 1);

  for (const [locale, list] of forms) {
    const distinct = new Map<string, { form: DateForm; words: Set<string> }>();
    for (const form of list) {
      const texts = probeDays.map((day) => form.write(day));
      const alike = texts.map(bareText).join("|");
      if (distinct.has(alike)) continue;
      distinct.set(alike, { form, words: new Set(texts.join(" ").match(/\p{L}[\p{L}\p{M}.׳॰]*|\p{N}/gu)) });
    }
    const lessons = new Map<string, number>();
    for (const { words } of distinct.values()) for (const word of words) lessons.set(word, (lessons.get(word) ?? 0) + 1);

    const taught: DateForm[] = [];
    const kept: DateForm[] = [];
    const shuffled = new RandomStream(randomKey(0x64617465, train.length)).shuffle([...distinct.values()]);
    for (const { form, words } of shuffled) {
      const isTaughtElsewhere = (taughtStyles.get(form.style) ?? 0) > 2;
      const isKnown = [...words].every((word) => lessons.get(word)! > lessonsPerWord);
      if (locale !== anyLocale && isTaughtElsewhere && isKnown && kept.length + 1 <= heldOutShare * distinct.size) {
        kept.push(form);
        for (const word of words) lessons.set(word, lessons.get(word)! - 1);
        taughtStyles.set(form.style, taughtStyles.get(form.style)! - 1);
      } else taught.push(form);
    }
    train.push(taught);
    test.push(kept);
  }
  return { train, test: test.filter((kept) => kept.length > 0) };
}

let formTable: FormTable | undefined;
/** Making the formatters takes about a second, so it is done once, when first asked for. */
function forms(): FormTable {
  return (formTable ??= divideForms());
}

/** The ways of writing, "locale: style", that are taught and those that only the test has. */
export function dateCombinations(): { train: string[]; test: string[] } {
  const names = (lists: readonly (readonly DateForm[])[]) => lists.flat().map(({ locale, style }) => `${locale}: ${style}`);
  return { train: names(forms().train), test: names(forms().test) };
}

/** Everything the taught forms write for one day, bare, a tag in front where one is needed. */
function taughtTexts(day: Day): Set<string> {
  const texts = new Set<string>();
  for (const form of forms().train.flat()) {
    const text = form.write(day);
    texts.add(bareText(needsTag(text, form, day) ? `<${form.locale}> ${text}` : text));
  }
  return texts;
}

/** Chance of a tag where none is needed; where the day is beyond 12 but the order is still worth a hint, one half. */
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

/** Example number i of a split is a function of (seed, split, i) alone. */
function drawExample(stream: RandomStream, split: DateSplit): DateExample {
  for (;;) {
    const form = pick(pick(split === "test" ? forms().test : forms().train, stream), stream);
    const day = drawDay(stream, split);
    const text = form.write(day);
    const isTagged = needsTag(text, form, day) || stream.uniform() < (form.isNumeric && !startsWithYear.test(text) ? helpfulTag : needlessTag);
    const noisy = disturb(text, { isNumeric: form.isNumeric, locale: form.locale, stream });
    const tag = isTagged && form.locale !== anyLocale ? `<${form.locale}> ` : "";
    if (split === "test") {
      // Two locales may write a day alike: such a text is no new way of writing.
      const taught = taughtTexts(day);
      const candidates = [text, noisy].map((written) => bareText((form.isNumeric ? tag : "") + written));
      if (candidates.some((candidate) => taught.has(candidate))) continue;
    }
    return { source: tag + noisy, target: isoDate(day) };
  }
}

const splitNumber: Readonly<Record<DateSplit, number>> = { train: 0, validation: 1, test: 2 };

/**
 * Examples without end, in the order that the seed gives. The validation's are days never trained on; the test's are
 * such days in ways of writing never trained on. No test source occurs twice.
 *
 * @example
 * const [first] = datesWithoutEnd({ seed: 1, split: "train" });
 */
export function* datesWithoutEnd({ seed, split, from = 0 }: { seed: number; split: DateSplit; from?: number }): Generator<DateExample, never> {
  for (let i = from; ; i++) yield drawExample(new RandomStream(randomKey(seed, splitNumber[split], i)), split);
}

/**
 * The first `count` examples of a split; in validation and test no source occurs twice.
 *
 * @example
 * dateExamples({ seed: 1, count: 2000, split: "test" }).length; // 2000
 */
export function dateExamples({ seed, count, split }: { seed: number; count: number; split: DateSplit }): DateExample[] {
  if (!Number.isInteger(count) || count < 0) throw new ConfigError("dateExamples: count", `wanted a whole number of examples, got ${count}`);
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
