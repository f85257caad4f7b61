// Dates as they come out of hurried hands: case, punctuation, spaces and accents go astray, the day meant does not.
import type { RandomStream } from "../base/index.ts";

/** Chance of each kind of mess, in every example anew. */
const chance = {
  lowerCase: 0.1,
  upperCase: 0.08,
  capitals: 0.04,
  noAccents: 0.06,
  noPunctuation: 0.12,
  strayComma: 0.03,
  wideSpace: 0.1,
  noSpace: 0.04,
  otherSeparator: 0.15,
};

const punctuation = /[.,،()׳॰]/gu;

/** Between a number and a letter a space may go; between two numbers it holds the date together. */
const removableSpace = /(?<=\p{L}\p{M}*) (?=\p{Nd})|(?<=\p{Nd}) (?=\p{L})/gu;

/**
 * Only what cannot make another date of it:
 * - a date in figures keeps every separator where it is; slashes may turn into hyphens and back, whose order is the
 *   same in each locale, but never into dots or spaces, whose order is not;
 * - beside the name of a month, punctuation may be dropped or added, since day and year are told apart by their size.
 */
export function disturb(
  text: string,
  { isNumeric, locale, stream }: { isNumeric: boolean; locale: string; stream: RandomStream },
): string {
  const happens = (probability: number) => stream.uniform() < probability;

  const letters = stream.uniform();
  if (letters < chance.lowerCase) text = text.toLocaleLowerCase(locale);
  else if (letters < chance.lowerCase + chance.upperCase) text = text.toLocaleUpperCase(locale);
  else if (letters < chance.lowerCase + chance.upperCase + chance.capitals) {
    text = text.replace(/(?<![\p{L}\p{M}\p{N}])\p{Ll}/gu, (letter) => letter.toLocaleUpperCase(locale));
  }
  // Of Latin and Greek letters only: й without its breve, or a Hindi letter without its sign, is another letter.
  if (happens(chance.noAccents)) {
    text = text
      .normalize("NFD")
      .replace(/([\p{Script=Latin}\p{Script=Greek}])[\u0300-\u036f]+/gu, "$1")
      .normalize("NFC");
  }

  if (isNumeric) {
    if (happens(chance.otherSeparator)) {
      if (text.includes("/")) text = text.replaceAll("/", "-");
      else if (text.includes("-")) text = text.replaceAll("-", "/");
      else text = text.replace(/(?<=\p{Nd}\.) (?=\p{Nd})/gu, "");
    }
  } else {
    if (happens(chance.noPunctuation)) text = text.replace(punctuation, "");
    else if (happens(chance.strayComma)) text = text.replace(/(?<=[\p{L}\p{M}]) (?=\p{Nd}{4})/u, ", ");
    if (happens(chance.noSpace)) text = text.replace(removableSpace, "");
  }
  if (happens(chance.wideSpace)) text = widenOneSpace(text, stream);
  return text.trim();
}

function widenOneSpace(text: string, stream: RandomStream): string {
  const words = text.split(" ");
  if (words.length === 1) return text;
  const i = 1 + stream.integer(words.length - 1);
  return words.slice(0, i).join(" ") + " ".repeat(2 + stream.integer(3)) + words.slice(i).join(" ");
}
