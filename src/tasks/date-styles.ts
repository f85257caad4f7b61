// How people write a date: every locale in every style, each made into one function from a day to its text.
// The words come from Intl (the CLDR behind it), so spelling may differ a little between versions of the runtime.

/** A day of the Gregorian calendar. */
export interface Day {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  /** 0 is Sunday. */
  weekday: number;
  /** Midnight UTC, as Date counts it. */
  milliseconds: number;
}

const dayMs = 86_400_000;

/** The day that lies so many days after 1970-01-01 (before it when negative). */
export function dayFromNumber(dayNumber: number): Day {
  const date = new Date(dayNumber * dayMs);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    milliseconds: dayNumber * dayMs,
  };
}

/** The number of days from 1970-01-01 to this day. */
export function dayNumberOf(year: number, month: number, day: number): number {
  return Date.UTC(year, month - 1, day) / dayMs;
}

const twoDigits = (n: number) => String(n).padStart(2, "0");

/** YYYY-MM-DD. */
export function isoDate({ year, month, day }: Day): string {
  return `${year}-${twoDigits(month)}-${twoDigits(day)}`;
}

/** The locales whose ways of writing are taught: 28 of them, in nine scripts; en-US and fil-PH write the month first. */
export const dateLocales: readonly string[] = (
  "en-US en-GB de-DE nl-NL sv-SE da-DK fr-FR es-ES it-IT pt-BR fi-FI hu-HU pl-PL cs-CZ tr-TR id-ID fil-PH vi-VN " +
  "ru-RU uk-UA el-GR he-IL ar-EG hi-IN th-TH ja-JP zh-CN ko-KR"
).split(" ");

/** What belongs to no language: 2021-09-05 and its like. Never a tag. */
export const anyLocale = "und";

/** One locale's way of writing in one style. */
export interface DateForm {
  locale: string;
  style: string;
  /** Whether month, day and year are all figures with nothing but punctuation between them. */
  isNumeric: boolean;
  write(day: Day): string;
}

/**
 * What a person would type: the invisible direction marks that Intl puts into Arabic and Hebrew are dropped, its
 * no-break and narrow spaces become plain ones. A date typed by hand goes through this too before a model sees it.
 *
 * @example
 * plainText("5\u200f/9\u200f/2021"); // "5/9/2021"
 */
export function plainText(text: string): string {
  return text
    .normalize("NFC")
    .replace(/[\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[\s\u00a0\u202f]+/g, " ")
    .trim();
}

type FormatOptions = Intl.DateTimeFormatOptions;

const numericDay: FormatOptions = { day: "numeric", year: "numeric" };
const paddedDay: FormatOptions = { day: "2-digit", year: "numeric" };

/** Styles that Intl writes by itself. Two-digit years, which would need a century guessed, are in none of them. */
const intlStyles: Readonly<Record<string, FormatOptions>> = {
  full: { dateStyle: "full" },
  long: { dateStyle: "long" },
  medium: { dateStyle: "medium" },
  "day, month": { ...numericDay, month: "long" },
  "day, mon": { ...numericDay, month: "short" },
  "0day, month": { ...paddedDay, month: "long" },
  "0day, mon": { ...paddedDay, month: "short" },
  "weekday, day, month": { ...numericDay, month: "long", weekday: "long" },
  "weekday, day, mon": { ...numericDay, month: "short", weekday: "long" },
  "wd, day, month": { ...numericDay, month: "long", weekday: "short" },
  "wd, day, mon": { ...numericDay, month: "short", weekday: "short" },
  "wd, 0day, mon": { ...paddedDay, month: "short", weekday: "short" },
  numbers: { ...numericDay, month: "numeric" },
  "0numbers": { ...paddedDay, month: "2-digit" },
  "wd, numbers": { ...numericDay, month: "numeric", weekday: "short" },
  "weekday, numbers": { ...numericDay, month: "numeric", weekday: "long" },
  "wd, 0numbers": { ...paddedDay, month: "2-digit", weekday: "short" },
  "other digits, day, month": { ...numericDay, month: "long" },
  "other digits, numbers": { ...numericDay, month: "numeric" },
  "other digits, full": { dateStyle: "full" },
};

/** The second set of digits in use beside the one Intl takes by default. */
const otherDigits: Readonly<Record<string, string>> = {
  "ar-EG": "latn",
  "hi-IN": "deva",
  "th-TH": "thai",
  "ja-JP": "fullwide",
};

/**
 * Styles that Intl lacks, put together from its words. [wd] and [weekday] are the day of the week, [mon] and [month]
 * the month, [day] and [0day] the day. They are for languages whose months have names, and the order in them is free
 * because a name cannot be taken for a day.
 */
const composedStyles: Readonly<Record<string, string>> = {
  "day-mon-year": "[day]-[mon]-[year]",
  "0day-mon-year": "[0day]-[mon]-[year]",
  "mon day year": "[mon] [day] [year]",
  "month day, year": "[month] [day], [year]",
  "year mon day": "[year] [mon] [day]",
  "day mon year (weekday)": "[day] [mon] [year] ([weekday])",
  "day month year wd": "[day] [month] [year], [wd]",
};

/** Turns of phrase of one language. [ordinal] is that language's way of numbering a day of the month. */
const phrases: Readonly<Record<string, readonly string[]>> = {
  "en-US": [
    "[month] [ordinal], [year]",
    "[mon] [ordinal] [year]",
    "[weekday], [month] [ordinal], [year]",
    "[month] the [ordinalWord], [year]",
  ],
  "en-GB": [
    "[ordinal] [month] [year]",
    "[ordinal] of [month] [year]",
    "the [ordinal] of [month], [year]",
    "[weekday] the [ordinal] of [month] [year]",
    "the [ordinalWord] of [month] [year]",
  ],
  "de-DE": ["am [day]. [month] [year]", "[weekday], den [day]. [month] [year]"],
  "nl-NL": ["op [weekday] [day] [month] [year]"],
  "sv-SE": ["den [day] [month] [year]"],
  "da-DK": ["den [day]. [month] [year]"],
  "fr-FR": ["le [ordinal] [month] [year]", "le [weekday] [ordinal] [month] [year]"],
  "es-ES": ["el [day] de [month] del [year]"],
  "it-IT": ["il [ordinal] [month] [year]"],
  "pt-BR": ["[ordinal] de [month] de [year]"],
  "pl-PL": ["dnia [day] [month] [year] r.", "[day] [month] [year] roku"],
  "cs-CZ": ["dne [day]. [month] [year]"],
  "id-ID": ["tanggal [day] [month] [year]"],
  "vi-VN": ["ngày [day] tháng [monthNumber] năm [year]"],
  "ru-RU": ["[day] [month] [year] года", "[day]-го [month] [year] г."],
  "uk-UA": ["[day] [month] [year] року"],
  "el-GR": ["στις [day] [month] [year]"],
  "he-IL": ["ה-[day] ב[month] [year]"],
  "hi-IN": ["दिनांक [day] [month] [year]"],
  "th-TH": ["วันที่ [day] [month] [year]"],
  "ja-JP": ["[hanYear]年[hanMonth]月[hanDay]日"],
  "zh-CN": ["[hanYear]年[hanMonth]月[hanDay]日", "[year]年[monthNumber]月[day]号"],
};

const languageFree: Readonly<Record<string, string>> = {
  iso: "[year]-[0monthNumber]-[0day]",
  compact: "[year][0monthNumber][0day]",
  "year/month/day": "[year]/[0monthNumber]/[0day]",
  "year.month.day": "[year].[0monthNumber].[0day]",
};

const firstDays = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
const laterDays = [
  "eleventh",
  "twelfth",
  "thirteenth",
  "fourteenth",
  "fifteenth",
  "sixteenth",
  "seventeenth",
  "eighteenth",
  "nineteenth",
];
const ordinalWords = [
  ...firstDays,
  ...laterDays,
  "twentieth",
  ...firstDays.slice(0, 9).map((word) => `twenty-${word}`),
  "thirtieth",
  "thirty-first",
];

function ordinal(locale: string, day: number): string {
  if (locale === "fr-FR") return day === 1 ? "1er" : String(day);
  if (locale === "it-IT" || locale === "pt-BR") return day === 1 ? "1º" : String(day);
  const isTeen = day >= 11 && day <= 13;
  return `${day}${(isTeen ? undefined : ["th", "st", "nd", "rd"][day % 10]) ?? "th"}`;
}

const hanDigits = [..."〇一二三四五六七八九"];

/** 1 to 99 as they are spoken: 二十五. */
function hanNumber(n: number): string {
  const tens = Math.floor(n / 10);
  const ones = n % 10 === 0 ? "" : hanDigits[n % 10]!;
  return tens === 0 ? ones : `${tens === 1 ? "" : hanDigits[tens]!}十${ones}`;
}

type Piece = (day: Day) => string;

/** What may stand in brackets in a template, for one locale. */
function pieces(locale: string): Readonly<Record<string, Piece>> {
  // Months are taken beside a day, because Slavic, Greek and Finnish names change their ending there.
  const word = (part: "month" | "weekday", options: FormatOptions): ((milliseconds: number) => string) => {
    const format = new Intl.DateTimeFormat(`${locale}-u-ca-gregory`, { ...options, timeZone: "UTC" });
    return (milliseconds) =>
      plainText(format.formatToParts(milliseconds).find(({ type }) => type === part)?.value ?? "");
  };
  const months = (month: "long" | "short") => {
    const name = word("month", { month, day: "numeric" });
    return Array.from({ length: 12 }, (_, i) => name(Date.UTC(2003, i, 15)));
  };
  const weekdays = (weekday: "long" | "short") => {
    const name = word("weekday", { weekday });
    return Array.from({ length: 7 }, (_, i) => name(Date.UTC(2003, 5, 1 + i))); // 2003-06-01 was a Sunday.
  };
  const [longMonths, shortMonths, longWeekdays, shortWeekdays] = [
    months("long"),
    months("short"),
    weekdays("long"),
    weekdays("short"),
  ];
  return {
    month: ({ month }) => longMonths[month - 1]!,
    mon: ({ month }) => shortMonths[month - 1]!,
    weekday: ({ weekday }) => longWeekdays[weekday]!,
    wd: ({ weekday }) => shortWeekdays[weekday]!,
    year: ({ year }) => String(year),
    day: ({ day }) => String(day),
    "0day": ({ day }) => twoDigits(day),
    monthNumber: ({ month }) => String(month),
    "0monthNumber": ({ month }) => twoDigits(month),
    ordinal: ({ day }) => ordinal(locale, day),
    ordinalWord: ({ day }) => ordinalWords[day - 1]!,
    hanYear: ({ year }) => [...String(year)].map((digit) => hanDigits[Number(digit)]!).join(""),
    hanMonth: ({ month }) => hanNumber(month),
    hanDay: ({ day }) => hanNumber(day),
  };
}

function fill(template: string, parts: Readonly<Record<string, Piece>>): Piece {
  const run = template.split(/\[(\w+)\]/).map((text, i): Piece => (i % 2 === 1 ? parts[text]! : () => text));
  // An abbreviation loses its dot before a hyphen: 5-sept-2021.
  return (day) =>
    run
      .map((piece) => piece(day))
      .join("")
      .replace(/(\p{Ll})\.-/u, "$1-");
}

/** Day, month and year in figures with only punctuation between them, or nothing at all. */
const threeNumbers = /\p{Nd}+[^\p{L}\p{N}]+\p{Nd}+[^\p{L}\p{N}]+\p{Nd}+|\p{Nd}{8}/u;

const probe: Day = dayFromNumber(dayNumberOf(2003, 5, 26));

/** Every form of one locale; some styles may come out alike. */
function formsOf(locale: string): DateForm[] {
  const form = (style: string, write: Piece): DateForm => ({
    locale,
    style,
    write,
    isNumeric: threeNumbers.test(write(probe)),
  });
  const parts = pieces(locale === anyLocale ? "en-US" : locale);
  if (locale === anyLocale)
    return Object.entries(languageFree).map(([style, template]) => form(style, fill(template, parts)));

  const forms: DateForm[] = [];
  for (const [style, options] of Object.entries(intlStyles)) {
    const digits = style.startsWith("other digits") ? otherDigits[locale] : "";
    if (digits === undefined) continue;
    const tag = `${locale}-u-ca-gregory${digits && `-nu-${digits}`}`;
    const format = new Intl.DateTimeFormat(tag, { ...options, timeZone: "UTC" });
    forms.push(form(style, ({ milliseconds }) => plainText(format.format(milliseconds))));
  }
  if (!/\p{N}/u.test(parts.month!(probe))) {
    for (const [style, template] of Object.entries(composedStyles)) {
      if (template.includes("[mon]") && /\p{N}/u.test(parts.mon!(probe))) continue;
      forms.push(form(style, fill(template, parts)));
    }
  }
  for (const template of phrases[locale] ?? []) forms.push(form(template, fill(template, parts)));
  return forms;
}

/** Every form of every locale and the language-free ones, by locale. */
export function allDateForms(): ReadonlyMap<string, readonly DateForm[]> {
  return new Map([...dateLocales, anyLocale].map((locale) => [locale, formsOf(locale)]));
}
