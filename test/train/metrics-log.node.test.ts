import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { MetricsLog } from "../../src/train/metrics-log.node.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const line = (step: number): string => `{"kind":"training","step":${step},"loss":1}\n`;

it.each([
  ["", 5, ""],
  [line(1) + line(2) + line(3), 2, line(1) + line(2)],
  [line(1) + line(2), 2, line(1) + line(2)],
  [line(1) + line(2), 0, ""],
  [`${line(1)}{"kind":"tr`, 9, line(1)], // a line that a kill tore
  [line(1) + line(2).trimEnd(), 9, line(1)], // whole but for its end: it may have been longer
  [`${line(1)}a note of mine\nnull\n${line(2)}`, 1, `${line(1)}a note of mine\nnull\n`],
])("%j resumed after step %i keeps %j", async (content, resumedAfterStep, kept) => {
  const path = join(await temporaryFolder(), "metrics.jsonl");
  await writeFile(path, content);
  using log = new MetricsLog(path, { resumedAfterStep });
  log.append({ kind: "validation", step: 10, figures: { bleu: 30.5, loss: Infinity } });
  log.flush();
  expect(await readFile(path, "utf8")).toBe(`${kept}{"kind":"validation","step":10,"bleu":30.5,"loss":null}\n`);
});
