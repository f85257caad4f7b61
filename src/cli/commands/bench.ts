// heddle bench: time and memory of a run's model on this machine. (How Heddle compares with others is measured in bench/.)
import { Command } from "commander";
import { ConfigError, silent } from "../../base/index.ts";
import { table } from "../table.ts";
import { decodingOf, openEnsemble, wholeNumber, withDecodingOptions, type DecodingFlags } from "./decoding-options.ts";

interface BenchFlags extends DecodingFlags {
  lines: number;
  words: number;
  repeat: number;
  json?: boolean;
}

export function benchCommand(): Command {
  return withDecodingOptions(new Command("bench"), { except: ["nbest"] })
    .option("--lines <n>", "lines translated at a time", wholeNumber, 64)
    .option("--words <n>", "tokens of each line, drawn from the vocabulary", wholeNumber, 16)
    .option("--repeat <n>", "how often; the median counts", wholeNumber, 5)
    .option("--json", "print the figures as JSON")
    .action(async (flags: BenchFlags) => {
      const { lines, words, repeat, json } = flags;
      if (lines < 1 || words < 1 || repeat < 1)
        throw new ConfigError("bench", "lines, words and repeat must be at least 1");
      const translation = await openEnsemble(flags, decodingOf(flags), silent);
      try {
        const { vocabularySize, special } = translation.source;
        const first = Math.max(...Object.values(special)) + 1;
        const texts = Array.from({ length: lines }, (_, line) =>
          translation.source.decode(
            Array.from({ length: words }, (_, i) => first + ((line * 7919 + i * 104_729) % (vocabularySize - first))),
          ),
        );
        await translation.generate(texts);
        const rounds: { seconds: number; tokens: number }[] = [];
        for (let round = 0; round < repeat; round++) {
          const startMs = performance.now();
          const results = await translation.generate(texts);
          const seconds = (performance.now() - startMs) / 1000;
          rounds.push({
            seconds,
            tokens: results.reduce((sum, [best]) => sum + translation.target.encode(best!.text).length + 1, 0),
          });
        }
        const { seconds, tokens } = rounds.toSorted((a, b) => a.seconds - b.seconds)[Math.floor(repeat / 2)]!;
        const figures = {
          beams: translation.decoding.beams,
          lines,
          seconds,
          linesPerSecond: lines / seconds,
          tokensPerSecond: tokens / seconds,
          residentBytes: process.memoryUsage().rss,
        };
        if (json === true) process.stdout.write(`${JSON.stringify(figures)}\n`);
        else {
          const row = [
            `${figures.beams}`,
            `${lines}`,
            seconds.toFixed(3),
            figures.linesPerSecond.toFixed(1),
            figures.tokensPerSecond.toFixed(0),
            (figures.residentBytes / 2 ** 20).toFixed(0),
          ];
          process.stdout.write(table(["beams", "lines", "seconds", "lines/s", "tokens/s", "resident MiB"], [row]));
        }
      } finally {
        await translation.dispose();
      }
    });
}
