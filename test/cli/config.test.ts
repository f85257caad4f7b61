import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configurationHelp, loadConfig, setOption } from "../../src/cli/config.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-config-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function configFile(text: string): Promise<string> {
  const file = join(folder, "en-de.yaml");
  await writeFile(file, text);
  return file;
}

test("relative paths start from the file's folder, and the environment fills in names", async () => {
  const file = await configFile("data: { train: { source: text/train.en, target: '${CORPUS}/train.de' } }");
  const { data } = await loadConfig(file, { environment: { CORPUS: "/corpus" } });
  const train = { format: "parallel", source: join(folder, "text/train.en"), target: "/corpus/train.de" };
  expect(data).toEqual({ train });
});

test("a name that the environment lacks is an error with its place and the remedy", async () => {
  const file = await configFile("data:\n  train:\n    source: a\n    target: ${CORPUS}/b\n");
  await expect(loadConfig(file, { environment: {} })).rejects.toThrow(
    `${file}:4:5: data.train.target needs the environment variable CORPUS, which is not set. Say: export CORPUS=…`,
  );
});

test("--set is collected as often as it is given", () => {
  const parse = setOption().parseArg;
  expect(parse?.("b=2", parse("a=1", []))).toEqual(["a=1", "b=2"]);
});

test("the help page lists keys with type, default and need", () => {
  expect(configurationHelp()).toMatch(
    /^ {2}model\.maxPositions +Longest sequence.*\n +whole number ≥ 1, default 1024$/m,
  );
  expect(configurationHelp()).toMatch(/^ {2}data\.train\.source .*\n +text \| whole number ≥ 0, required$/m);
});

test("the help page says of other tasks what they have differently", () => {
  const [, translation, language, masked] = configurationHelp().split(/\n(?=Configuration|Task)/);
  expect(translation).toMatch(/^Configuration keys:\n/);
  expect(language).toMatch(/^Task language-model .*:\n/);
  expect(language).toMatch(/^ {2}model\.norm .*\n.*, default "pre"$/m);
  expect(language).not.toContain("model.heads ");
  expect(masked).toMatch(/^ {2}model\.norm .*\n.*, default "post"$/m);
  expect(masked).not.toContain("training.contextTokens");
});

test("every recipe's configuration is one that we can honour", async () => {
  const files = (await readdir("recipes", { recursive: true })).filter((file) => file.endsWith(".yaml"));
  expect(files.length).toBeGreaterThan(0);
  const environment = { HEDDLE_SHARED: "/shared", HEDDLE_TEACHER: "/teacher" };
  for (const file of files) await loadConfig(join("recipes", file), { environment });
});
