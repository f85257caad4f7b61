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

/** What stays of a text when all is ignored that `disturb` may change: case, accents, punctuation, spaces; and leading zeros. */
function bareText(text: string): string {
  return text
    .normalize("NFD")
    .toLowerCase()
    .replace(/(?<!\p{N})0(?=\p{N})/gu, "")
    .replace(/[\u0300-\u036f]|[^\p{L}\p{M}\p{N}]/gu, "");
}

const startsWithYear = /^\P{Nd}*\p{Nd}{4}/u;

function endsInYear({ isNumeric }: DateForm, text: string): boolean {
  return isNumeric && !startsWithYear.test(text);
}

/** Whether another locale could read another day from it: day and month in figures, the year last, no dots between them. */
function needsTag(form: DateForm, text: string, { day, month }: Day): boolean {
  return endsInYear(form, text) && day <= 12 && day !== month && !/\p{Nd}\./u.test(text);
}

/** A form kept for the test. */
interface KeptForm {
  form: DateForm;
  /** Whether no taught form writes such a day in the same way, by `slotOf`. */
  isNew: readonly boolean[];
}

interface FormTable {
  /** By locale. */
  taught: readonly (readonly DateForm[])[];
  /** By locale; a locale without any is left out. */
  kept: readonly (readonly KeptForm[])[];
}

/** Days on which two forms must differ to count as two: each month, each weekday, days of one and of two figures. */
const probeDays: readonly Day[] = Array.from({ length: 12 }, (_, month) => [1, 7, 14, 26].map((day) => dayFromNumber(dayNumberOf(2003, month + 1, day)))).flat();

/** One day for each month and weekday: but for the figures, all days of a slot are written alike. */
const slotDays: readonly Day[] = Array.from({ length: 84 }, (_, slot) => {
  const month = 1 + Math.floor(slot / 7);
  const offset = (7 + (slot % 7) - dayFromNumber(dayNumberOf(2003, month, 13)).weekday) % 7;
  return dayFromNumber(dayNumberOf(2003, month, 13 + offset));
});

const slotOf = ({ month, weekday }: Day) => (month - 1) * 7 + weekday;

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
  const taught: DateForm[][] = [];
  const kept: DateForm[][] = [];
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

    const taughtHere: DateForm[] = [];
    const keptHere: DateForm[] = [];
    const shuffled = new RandomStream(randomKey(0x64617465, taught.length)).shuffle([...distinct.values()]);
    for (const { form, words } of shuffled) {
      const isTaughtElsewhere = (taughtStyles.get(form.style) ?? 0) > 2;
      const isKnown = [...words].every((word) => lessons.get(word)! > lessonsPerWord);
      if (locale !== anyLocale && isTaughtElsewhere && isKnown && keptHere.length + 1 <= heldOutShare * distinct.size) {
        keptHere.push(form);
        for (const word of words) lessons.set(word, lessons.get(word)! - 1);
        taughtStyles.set(form.style, taughtStyles.get(form.style)! - 1);
      } else taughtHere.push(form);
    }
    taught.push(taughtHere);
    kept.push(keptHere);
  }
  return withoutKnownTexts(taught, kept);
}

/** Two locales may write a day alike ("5 mars 2021" is French and Swedish): what another locale teaches is no test. */
function withoutKnownTexts(taught: DateForm[][], kept: DateForm[][]): FormTable {
  const known = slotDays.map((day) => new Set(taught.flat().map((form) => comparable(form, day))));
  const keptForms = kept.map((forms, locale) =>
    forms.flatMap((form): KeptForm[] => {
      const isNew = slotDays.map((day, slot) => !known[slot]!.has(comparable(form, day)));
      if (isNew.includes(true)) return [{ form, isNew }];
      taught[locale]!.push(form);
      return [];
    }),
  );
  return { taught, kept: keptForms.filter((forms) => forms.length > 0) };
}

/** A form's text for a day, bare; where figures end in the year, the order is the locale's and its tag belongs to the text. */
function comparable(form: DateForm, day: Day): string {
  const text = form.write(day);
  return bareText(endsInYear(form, text) ? `<${form.locale}> ${text}` : text);
}

let formTable: FormTable | undefined;
/** Making the formatters takes part of a second, so it is done once, when first asked for. */
function forms(): FormTable {
  return (formTable ??= divideForms());
}

/** The ways of writing, "locale: style", that are taught and those that only the test has. */
export function dateCombinations(): { taught: string[]; kept: string[] } {
  const name = ({ locale, style }: DateForm) => `${locale}: ${style}`;
  return { taught: forms().taught.flat().map(name), kept: forms().kept.flat().map(({ form }) => name(form)) };
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
  const { taught, kept } = forms();
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
  const isTagged = mustHaveTag || (form.locale !== anyLocale && stream.uniform() < (endsInYear(form, text) ? helpfulTag : needlessTag));
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
