import { beforeAll, describe, expect, test } from "vitest";
import { RandomStream, randomKey } from "../../src/base/index.ts";
import { disturb } from "../../src/tasks/date-noise.ts";
import { allDateForms, anyLocale, dayFromNumber, dayNumberOf, isoDate } from "../../src/tasks/date-styles.ts";
import {
  dateCombinations,
  dateExamples,
  dateLocales,
  dateTags,
  datesWithoutEnd,
  plainText,
  splitOfDay,
  type DateExample,
} from "../../src/tasks/dates.ts";

const tagged = /^<([\w-]+)> /;
const dayNumber = ({ target }: DateExample) => {
  const [year, month, day] = target.split("-").map(Number);
  return dayNumberOf(year!, month!, day!);
};

let train: DateExample[];
let validation: DateExample[];
let held: DateExample[];
beforeAll(() => {
  train = dateExamples({ seed: 1, count: 100_000, split: "train" });
  validation = dateExamples({ seed: 1, count: 2000, split: "validation" });
  held = dateExamples({ seed: 1, count: 2000, split: "test" });
}, 60_000);

describe("the splits", () => {
  test("every example's day belongs to its own split", () => {
    expect(train.every((example) => splitOfDay(dayNumber(example)) === "train")).toBe(true);
    expect(validation.every((example) => splitOfDay(dayNumber(example)) === "validation")).toBe(true);
    expect(held.every((example) => splitOfDay(dayNumber(example)) === "test")).toBe(true);
  });

  test("about one day in ten is the test's and one in twenty the validation's, in every decade", () => {
    for (let year = 1900; year < 2100; year += 10) {
      const first = dayNumberOf(year, 1, 1);
      const days = Array.from({ length: dayNumberOf(year + 10, 1, 1) - first }, (_, i) => splitOfDay(first + i));
      const share = (split: string) => days.filter((one) => one === split).length / days.length;
      expect(share("test")).toBeGreaterThan(0.08);
      expect(share("test")).toBeLessThan(0.12);
      expect(share("validation")).toBeGreaterThan(0.035);
      expect(share("validation")).toBeLessThan(0.065);
    }
  });

  test("no way of writing is both taught and kept for the test", () => {
    const { taught, kept } = dateCombinations();
    expect(kept.length).toBeGreaterThanOrEqual(50);
    expect(taught.length).toBeGreaterThan(2.5 * kept.length);
    expect(kept.filter((name) => taught.includes(name))).toEqual([]);
  });

  test("a kept way of writing has a locale taught in other styles, in all but a few of the 28 locales", () => {
    const { taught, kept } = dateCombinations();
    const locales = (names: string[]) => new Set(names.map((name) => name.split(": ")[0]!));
    expect([...locales(kept)].filter((locale) => !locales(taught).has(locale))).toEqual([]);
    expect(locales(kept).size).toBeGreaterThanOrEqual(24);
    expect(locales(taught)).toEqual(new Set([...dateLocales, anyLocale]));
  });

  test("no text of the test is one that a taught form writes, even with case, punctuation and zeros aside", () => {
    const taughtNames = new Set(dateCombinations().taught);
    const taughtForms = [...allDateForms().values()]
      .flat()
      .filter(({ locale, style }) => taughtNames.has(`${locale}: ${style}`));
    const bare = (text: string) =>
      text
        .normalize("NFD")
        .toLowerCase()
        .replace(/\p{Mn}|(?<!\p{Nd})0|[^\p{L}\p{N}]/gu, "");
    const known: DateExample[] = [];
    for (const example of held.slice(0, 300)) {
      const day = dayFromNumber(dayNumber(example));
      const tag = tagged.exec(example.source)?.[0] ?? "";
      const isNumeric =
        !/\p{L}+\P{Nd}*\p{Nd}+\P{Nd}*$/u.test(example.source.replace(tag, "")) && /\p{Nd}+[/.-]/u.test(example.source);
      for (const form of taughtForms) {
        if (isNumeric && tag !== "" && tag !== `<${form.locale}> `) continue;
        if (bare(form.write(day)) === bare(example.source.replace(tag, ""))) known.push(example);
      }
    }
    expect(known).toEqual([]);
  });

  test("no source of the test or the validation is trained on", () => {
    const sources = new Set(train.map(({ source }) => source));
    expect([...held, ...validation].filter(({ source }) => sources.has(source))).toEqual([]);
  });

  test("no source of the test occurs twice", () => {
    expect(new Set(held.map(({ source }) => source)).size).toBe(held.length);
  });

  test("training shows every character and tag of the test", () => {
    const pieces = (examples: DateExample[]) =>
      new Set(examples.flatMap(({ source }) => source.match(/<[\w-]+>|./gu)!));
    const known = pieces(train);
    expect([...pieces(held)].filter((piece) => !known.has(piece))).toEqual([]);
    expect(dateTags.filter((tag) => !known.has(tag))).toEqual([]);
  });
});

describe("one reading", () => {
  test("no text is ever written for two days", () => {
    const readings = new Map<string, string>();
    const conflicts: string[] = [];
    for (const { source, target } of [...train, ...validation, ...held]) {
      // Wide spaces and case are what a tokenizer may fold too; what stays must still mean one day.
      const folded = source.toLowerCase().replace(/ +/g, " ");
      if ((readings.get(folded) ?? target) !== target)
        conflicts.push(`${source}: ${target} and ${readings.get(folded)}`);
      readings.set(folded, target);
    }
    expect(conflicts).toEqual([]);
  });

  test("every day of one year is read as itself in each language-free or untagged form of all locales", () => {
    const readings = new Map<string, string>();
    const conflicts: string[] = [];
    for (const form of [...allDateForms().values()].flat()) {
      for (let i = 0; i < 366; i++) {
        const day = dayFromNumber(dayNumberOf(2012, 1, 1) + i);
        const text = form.write(day);
        if (form.isNumeric && /\p{Nd}[/-]/u.test(text) && !/^\P{Nd}*\p{Nd}{4}/u.test(text)) continue; // tagged, below
        const target = isoDate(day);
        if ((readings.get(text) ?? target) !== target) conflicts.push(`${text}: ${target} and ${readings.get(text)}`);
        readings.set(text, target);
      }
    }
    expect(conflicts).toEqual([]);
  });

  test("day and month in figures between slashes or hyphens carry the locale unless only one order is possible", () => {
    let withTag = 0;
    for (const { source, target } of [...train, ...held]) {
      const figures = /(?<!\p{Nd})(\p{Nd}{1,2})\s*[/-]\s*(\p{Nd}{1,2})\s*[/-]\s*\p{Nd}{4}/u.exec(source);
      if (figures === null) continue;
      const [, month, day] = target.split("-").map(Number);
      if (day! > 12 || day === month) continue;
      expect(source).toMatch(tagged);
      withTag++;
    }
    expect(withTag).toBeGreaterThan(3000);
  });

  test("a year is always four figures, so that no century is guessed", () => {
    const figures = /(?:\p{Nd}{4}|[〇一二三四五六七八九]{4})/u;
    expect([...train, ...held].filter(({ source }) => !figures.test(source))).toEqual([]);
  });
});

describe("the texts", () => {
  test("hold no invisible mark and no space but the plain one", () => {
    const odd = /[\u00a0\u061c\u200b-\u200f\u202a-\u202f\u2066-\u2069\t\n]/;
    expect([...train, ...held].filter(({ source }) => odd.test(source))).toEqual([]);
  });

  test("are at most 50 tokens long, a tag counting as one", () => {
    expect([...train, ...held].filter(({ source }) => [...source.replace(tagged, "#")].length > 50)).toEqual([]);
  });

  test("hold the scripts of all the locales", () => {
    for (const script of ["Latin", "Cyrillic", "Greek", "Hebrew", "Arabic", "Devanagari", "Thai", "Han", "Hangul"]) {
      const share =
        train.filter(({ source }) => new RegExp(`\\p{Script=${script}}`, "u").test(source.replace(tagged, ""))).length /
        train.length;
      expect(share, script).toBeGreaterThan(0.02);
    }
  });

  test("come from the same seed again, and differently from another", () => {
    const again = dateExamples({ seed: 1, count: 500, split: "train" });
    expect(again).toEqual(train.slice(0, 500));
    expect(dateExamples({ seed: 2, count: 500, split: "train" })).not.toEqual(again);
  });

  test("can be drawn from any position on", () => {
    const stream = datesWithoutEnd({ seed: 1, split: "train", from: 1234 });
    expect(Array.from({ length: 10 }, () => stream.next().value)).toEqual(train.slice(1234, 1244));
  });

  test("a date in figures keeps its figures and their order under any noise", () => {
    const figures = (text: string) => text.match(/\p{Nd}+/gu);
    for (let i = 0; i < 2000; i++) {
      const stream = new RandomStream(randomKey(7, i));
      expect(figures(disturb("Do., 05/09/2021", { isNumeric: true, locale: "de-DE", stream }))).toEqual([
        "05",
        "09",
        "2021",
      ]);
    }
  });

  test("direction marks and no-break spaces of Intl become what a keyboard writes", () => {
    expect(plainText("٥\u200f/٩\u200f/٢٠٢١")).toBe("٥/٩/٢٠٢١");
    expect(plainText(" 5\u202fsept.\u00a02021 ")).toBe("5 sept. 2021");
  });

  test("a count that is no whole number is refused", () => {
    expect(() => dateExamples({ seed: 1, count: 1.5, split: "train" })).toThrow(
      /count: wanted a whole number of examples, got 1.5/,
    );
  });
});
