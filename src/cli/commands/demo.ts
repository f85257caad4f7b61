// heddle demo: train the dates recipe, say how well it does on dates it never saw, and show where it looked.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { ConfigError } from "../../base/index.ts";
import { corporaOf, openTranslation, plainText, trainTranslation, type Translation } from "../../tasks/index.node.ts";
import type { TranslationConfig } from "../../tasks/translation-config.ts";
import { drawAttention } from "../attention-map.ts";
import { loadConfig, setOption } from "../config.ts";
import { ProgressLine } from "../progress.ts";

const recipe = fileURLToPath(new URL("../../../recipes/dates/dates.yaml", import.meta.url));

const typedByHand = [
  "the 5th of September, 2021",
  "Donnerstag, 24. Dezember 2048",
  "le 14 juillet 1989",
  "<en-US> 3/4/1999",
  "<de-DE> 3.4.1999",
  "二〇二四年十月三日",
  "29 февраля 2016 г.",
  "15 ağustos 1974",
];

export function demoCommand(): Command {
  return new Command("demo")
    .option("--run <folder>", "where the trained model is kept", "runs/dates")
    .addOption(setOption())
    .action(async ({ run: directory, set }: { run: string; set: readonly string[] }) => {
      const config = await loadConfig(recipe, { set });
      if (config.task !== "translation")
        throw new ConfigError("--set task", "the demo translates dates, and no other task. Leave it out.");
      const isTrained = existsSync(join(directory, "model.safetensors"));
      process.stdout.write(
        isTrained
          ? `Using the model in ${directory}; remove the folder to train it again.\n`
          : `Training a small Transformer to read written dates; the run is kept in ${directory}.\n`,
      );
      const progress = new ProgressLine();
      let translation: Translation;
      if (isTrained) translation = await openTranslation(directory, { listener: progress.listener });
      else {
        const stop = new AbortController();
        const onInterrupt = (): void => stop.abort();
        process.once("SIGINT", onInterrupt);
        const { translation: trained, result } = await trainTranslation(config, {
          directory,
          stop: stop.signal,
          listener: progress.listener,
        });
        process.off("SIGINT", onInterrupt);
        progress.end();
        translation = trained;
        if (result.reason === "stopped") {
          process.stdout.write("Stopped and saved; the same command goes on.\n");
          process.exitCode = 130;
          return translation.dispose();
        }
      }
      try {
        await show(translation, config);
      } finally {
        await translation.dispose();
      }
    });
}

async function show(translation: Translation, config: TranslationConfig): Promise<void> {
  const width = Math.max(...typedByHand.map((text) => text.length));
  process.stdout.write("\nDates typed by hand\n");
  const read = await translation.translate(typedByHand.map((text) => plainText(text)));
  typedByHand.forEach((text, i) => process.stdout.write(`  ${text.padEnd(width)}  →  ${read[i]}\n`));

  const source = typedByHand[1]!;
  const { sourceTokens, targetTokens, weights } = await translation.attention(
    source,
    await translation.translate(source),
  );
  const last = weights.at(-1)!;
  const mean = targetTokens.map((_, row) =>
    Float32Array.from(
      sourceTokens,
      (_, column) => last.reduce((sum, head) => sum + head[row]![column]!, 0) / last.length,
    ),
  );
  process.stdout.write(
    `\nWhere the last decoder layer looked, mean of its ${last.length} heads; each row is a character it wrote\n`,
  );
  process.stdout.write(drawAttention({ rows: targetTokens, columns: sourceTokens, weights: mean }));

  const { test } = await corporaOf(config);
  const cases = await test!.collect();
  const found = await translation.translate(cases.map(({ source }) => source));
  const wrong = cases.flatMap(({ source, target }, i) =>
    found[i] === target ? [] : [{ source, target, found: found[i]! }],
  );
  if (wrong.length > 0)
    process.stdout.write(`\nSome of the ${wrong.length} misses among ${cases.length} unseen dates\n`);
  for (const miss of wrong.slice(0, 5)) process.stdout.write(`  ${miss.source}  →  ${miss.found} (${miss.target})\n`);
  process.stdout.write(`\nexact match ${((100 * (cases.length - wrong.length)) / cases.length).toFixed(2)} %\n`);
}
