// Which days and which ways of writing are taught, and which are the test's alone.
import { mix32, randomKey, RandomStream } from "../base/index.ts";
import { allDateForms, anyLocale, dayFromNumber, dayNumberOf, type DateForm, type Day } from "./date-styles.ts";

export type DateSplit = "train" | "validation" | "test";

/** Which split a day belongs to, whatever the seed: of twenty days two are the test's and one is the validation's. */
export function splitOfDay(dayNumber: number): DateSplit {
  const slot = mix32(mix32(dayNumber >>> 0) ^ 0x64617465) % 20;
  return slot < 2 ? "test" : slot === 2 ? "validation" : "train";
}

const leadingZero = /(?<!\p{Nd})[0٠०๐０](?=\p{Nd})/gu;

/** What stays of a text when all is ignored that `disturb` may change: case, accents, punctuation, spaces; and leading zeros. */
function bareText(text: string): string {
  return text
    .normalize("NFD")
    .toLowerCase()
    .replace(leadingZero, "")
    .replace(/[\u0300-\u036f]|[^\p{L}\p{M}\p{N}]/gu, "");
}

const startsWithYear = /^\P{Nd}*\p{Nd}{4}/u;

/** Whether day and month in figures come before the year, in an order that is the locale's. */
export function endsInYear({ isNumeric }: DateForm, text: string): boolean {
  return isNumeric && !startsWithYear.test(text);
}

/** A form kept for the test. */
export interface KeptForm {
  form: DateForm;
  /** Whether no taught form writes such a day in the same way, by `slotOf`. */
  isNew: readonly boolean[];
}

export interface FormTable {
  /** By locale. */
  taught: readonly (readonly DateForm[])[];
  /** By locale; a locale without any is left out. */
  kept: readonly (readonly KeptForm[])[];
}

/** Days on which two forms must differ to count as two: each month, each weekday, each figure, days of one and of two figures. */
const probeDays: readonly Day[] = Array.from({ length: 12 }, (_, i) =>
  [1, 2 + (i % 8), 13 + i, 26].map((day) => dayFromNumber(dayNumberOf(2003, i + 1, day))),
).flat();

/** One day for each month and weekday: but for the figures, all days of a slot are written alike. */
const slotDays: readonly Day[] = Array.from({ length: 84 }, (_, slot) => {
  const month = 1 + Math.floor(slot / 7);
  const offset = (7 + (slot % 7) - dayFromNumber(dayNumberOf(2003, month, 13)).weekday) % 7;
  return dayFromNumber(dayNumberOf(2003, month, 13 + offset));
});

/** Style and order of the figures: month-first 5/26/2003 and day-first 26/5/2003 are two arrangements of one style. */
function arrangement(form: DateForm): string {
  const figures =
    form
      .write(dayFromNumber(dayNumberOf(2003, 5, 26)))
      .replace(leadingZero, "")
      .match(/\p{Nd}+/gu) ?? [];
  return `${form.style} ${figures.map(({ length }) => length).join(" ")}`;
}

/** The place in `isNew` of a day. */
export const slotOf = ({ month, weekday }: Day) => (month - 1) * 7 + weekday;

/** Of a locale's forms at most this share is kept for the test. */
const heldOutShare = 0.2;
/** A form may be kept for the test only when every word in it is taught by so many other forms of its locale. */
const lessonsPerWord = 3;
/** Its arrangement must be taught in so many other locales. */
const localesPerArrangement = 2;

interface Candidate {
  form: DateForm;
  /** What it writes on each of `slotDays`, bare. */
  texts: readonly string[];
  /** Names of months and weekdays, and the figures: what training must teach before the test may ask for it. */
  words: ReadonlySet<string>;
}

/** The forms of one locale; those that write alike, but for what `disturb` changes anyway, are one. */
function candidatesOf(list: readonly DateForm[]): Candidate[] {
  const distinct = new Map<string, Candidate>();
  for (const form of list) {
    const written = probeDays.map((day) => form.write(day));
    const alike = written.map(bareText).join("|");
    if (distinct.has(alike)) continue;
    const words = new Set(written.join(" ").match(/\p{L}[\p{L}\p{M}.׳॰]*|\p{N}/gu));
    distinct.set(alike, { form, words, texts: slotDays.map((day) => comparable(form, day)) });
  }
  return [...distinct.values()];
}

/** A form's text for a day, bare; where figures end in the year, the order is the locale's and its tag belongs to the text. */
function comparable(form: DateForm, day: Day): string {
  const text = form.write(day);
  return bareText(endsInYear(form, text) ? `<${form.locale}> ${text}` : text);
}

/** How often each key occurs. */
class Tally extends Map<string, number> {
  add(key: string, by = 1): void {
    this.set(key, this.of(key) + by);
  }
  of(key: string): number {
    return this.get(key) ?? 0;
  }
}

/**
 * Divides locale × style into taught and kept ways of writing. A form is kept only if each of its words also stands in
 * three taught forms of its locale, and its arrangement is taught in two other locales: then the test asks for known
 * words in an order that is new there, and not for words never heard. Two locales may write a day alike ("5 mars 2021"
 * is French and Swedish): what another locale teaches is no test.
 */
function divideForms(): FormTable {
  const byLocale = [...allDateForms()].map(([locale, list]) => ({ locale, candidates: candidatesOf(list) }));
  const all = byLocale.flatMap(({ candidates }) => candidates);
  const arrangements = new Tally();
  for (const { form } of all) arrangements.add(arrangement(form));
  const writers = new Tally();
  for (const { texts } of all) texts.forEach((text, slot) => writers.add(`${slot} ${text}`));

  const taught: Candidate[][] = [];
  const kept: Candidate[][] = [];
  for (const { locale, candidates } of byLocale) {
    const lessons = new Tally();
    for (const { words } of candidates) for (const word of words) lessons.add(word);

    const keptHere = new Set<Candidate>();
    for (const candidate of new RandomStream(randomKey(0x64617465, taught.length)).shuffle([...candidates])) {
      const { form, texts, words } = candidate;
      const mayBeKept =
        locale !== anyLocale &&
        keptHere.size + 1 <= heldOutShare * candidates.length &&
        arrangements.of(arrangement(form)) > localesPerArrangement &&
        [...words].every((word) => lessons.of(word) > lessonsPerWord) &&
        texts.some((text, slot) => writers.of(`${slot} ${text}`) === 1);
      if (!mayBeKept) continue;
      keptHere.add(candidate);
      arrangements.add(arrangement(form), -1);
      for (const word of words) lessons.add(word, -1);
    }
    taught.push(candidates.filter((candidate) => !keptHere.has(candidate)));
    kept.push([...keptHere]);
  }

  const known = slotDays.map((_, slot) => new Set(taught.flat().map(({ texts }) => texts[slot]!)));
  return {
    taught: taught.map((list) => list.map(({ form }) => form)),
    kept: kept
      .filter((list) => list.length > 0)
      .map((list) =>
        list.map(({ form, texts }) => ({ form, isNew: texts.map((text, slot) => !known[slot]!.has(text)) })),
      ),
  };
}

let formTable: FormTable | undefined;
/** Making the formatters takes part of a second, so it is done once, when first asked for. */
export function dateForms(): FormTable {
  return (formTable ??= divideForms());
}

/** The ways of writing, "locale: style", that are taught and those that only the test has. */
export function dateCombinations(): { taught: string[]; kept: string[] } {
  const name = ({ locale, style }: DateForm) => `${locale}: ${style}`;
  return {
    taught: dateForms().taught.flat().map(name),
    kept: dateForms()
      .kept.flat()
      .map(({ form }) => name(form)),
  };
}
