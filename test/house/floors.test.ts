// A file imports only from its own room or from rooms on lower floors. The linter looks for cycles; this reads every import.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { expect, test } from "vitest";

const source = resolve("src");
const floors = [
  ["base"],
  ["formats"],
  ["tensor", "text", "audio", "image", "decode", "metrics"],
  ["engine"],
  ["nn", "data"],
  ["models"],
  ["train", "hub"],
  ["tasks"],
  ["cli", "server"],
  ["the package's index"],
];
/** Files that another room imports by their own name, because they load more than the rest of their room, or less. */
const ownDoors = [
  "base/config.ts",
  "base/config-text.ts",
  "models/block-places.ts",
  "models/choices/choice.ts",
  "models/choices/combinations.ts",
  "models/presets.ts",
  "tasks/completion-config.ts",
  "tasks/decoding-config.ts",
  "tasks/task-config.ts",
  "tasks/translation-config.ts",
];

const roomOf = (file: string): string =>
  file.includes("/") ? file.slice(0, file.indexOf("/")) : "the package's index";
const floorOf = (file: string): number => floors.findIndex((rooms) => rooms.includes(roomOf(file)));

const files = readdirSync(source, { recursive: true, encoding: "utf8" })
  .map((file) => file.split(sep).join("/"))
  .filter((file) => file.endsWith(".ts"));
const imports = files.flatMap((file) => {
  const text = readFileSync(join(source, file), "utf8").replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, specifier = ""]) => {
    const target = relative(source, resolve(source, dirname(file), specifier))
      .split(sep)
      .join("/");
    return { file, specifier, target: specifier.startsWith(".") ? target : undefined };
  });
});

test("every file stands in a room that has a floor, and imports were read from nearly all of them", () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
  expect(files.length).toBeGreaterThan(50);
  expect(new Set(imports.map(({ file }) => file)).size).toBeGreaterThan(files.length * 0.7);
});

test("no import goes up a floor or sideways into another room, and every file it names exists", () => {
  const wrong = imports.filter(({ file, target }) => {
    if (target === undefined) return false;
    return !files.includes(target) || (roomOf(target) !== roomOf(file) && floorOf(target) >= floorOf(file));
  });
  expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
});

test("another room is entered by its index", () => {
  const wrong = imports.filter(({ file, target }) => {
    if (target === undefined || roomOf(target) === roomOf(file) || ownDoors.includes(target)) return false;
    return !/^[^/]+\/index(\.node)?\.ts$/.test(target);
  });
  expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
});

test("nothing outside engine/ imports ONNX Runtime", () => {
  const wrong = imports.filter(
    ({ file, specifier }) => /^(onnxruntime-|#session)/.test(specifier) && roomOf(file) !== "engine",
  );
  expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
});
