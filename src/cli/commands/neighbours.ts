// heddle neighbours: which tokens a model's embedding holds for alike.
import { Command, Option } from "commander";
import { ConfigError } from "../../base/index.ts";
import { nearestNeighbours } from "../../nn/index.ts";
import { openRun } from "../../tasks/index.node.ts";
import { wordOfToken, type Tokenizer } from "../../text/index.ts";
import { table } from "../table.ts";
import { wholeNumber } from "./decoding-options.ts";

interface NeighboursFlags {
  model: string;
  checkpoint?: string;
  count: number;
  side: "source" | "target";
  json?: boolean;
}

export function neighboursCommand(): Command {
  return new Command("neighbours")
    .argument("<word...>", "words, or tokens as the tokenizer writes them")
    .requiredOption("--model <folder>", "the folder of a run")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .option("--count <n>", "neighbours a word", wholeNumber, 10)
    .addOption(new Option("--side <side>", "whose embedding").choices(["source", "target"]).default("source"))
    .option("--json", "print everything as JSON")
    .addHelpText("after", "\nExample: heddle neighbours --model runs/en-de --count 5 red running")
    .action(async (words: string[], { model: directory, checkpoint, count, side, json }: NeighboursFlags) => {
      const { task, run } = await openRun(directory, checkpoint === undefined ? {} : { checkpoint });
      const { weights } = run;
      const tokenizer = task === "translation" ? run[side] : run.tokenizer;
      // A table that both languages share bears the name of the source's; of one stack there is one, or the encoder's.
      const names =
        task === "translation"
          ? [`${side}.embedding.table`, "source.embedding.table"]
          : ["input.embedding.table", "encoder.input.embedding.table"];
      const embedding = names.map((name) => weights.get(name)).find((found) => found !== undefined);
      if (embedding === undefined)
        throw new ConfigError(directory, `its model has no ${names[0]}, so there are no vectors to compare`);
      const specials = new Set(Object.values(tokenizer.special));
      const ids = words.map((word) => idOfWord(word, tokenizer, side));
      const found = words.map((word, i) => ({
        word,
        token: tokenizer.tokenOf(ids[i]!)!,
        neighbours: nearestNeighbours(embedding, { of: ids[i]!, count, among: (id) => !specials.has(id) }).map(
          ({ row, similarity }) => ({ token: tokenizer.tokenOf(row)!, similarity }),
        ),
      }));
      if (json === true) {
        process.stdout.write(`${JSON.stringify(found)}\n`);
        return;
      }
      const tables = found.map(({ token, neighbours }) =>
        table(
          [`near ${token}`, "cosine"],
          neighbours.map((near) => [near.token, near.similarity.toFixed(3)]),
        ),
      );
      process.stdout.write(tables.join("\n"));
    });
}

/** The entry for a word, or for a token named as such. */
function idOfWord(word: string, tokenizer: Tokenizer, side: string): number {
  const wordOf = wordOfToken(tokenizer);
  for (let id = 0; id < tokenizer.vocabularySize; id++) if (wordOf(id) === word) return id;
  const id = tokenizer.idOf(word);
  if (id !== undefined) return id;
  const pieces = tokenizer.tokens(word);
  throw new ConfigError(
    JSON.stringify(word),
    `is no entry of the ${side} vocabulary: the tokenizer makes ${pieces.join(" ")} of it. Ask for ${pieces.length === 1 ? "another word" : "one of these"}, or for the other --side.`,
  );
}
