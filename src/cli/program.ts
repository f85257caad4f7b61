// The program `heddle`: its commands, each loaded when it is named, so that `heddle score` starts without ONNX Runtime.
import { Command } from "commander";
import { version } from "../base/index.ts";
import { report } from "./errors.ts";

export interface CommandEntry {
  /** The line in `heddle --help`. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const everyCommand: Readonly<Record<string, CommandEntry>> = {
  train: {
    summary: "train a model from a recipe; the same command resumes",
    load: async () => (await import("./commands/train.ts")).trainCommand(),
  },
  generate: {
    summary: "translate lines of standard input, go on with them, or fill their masks",
    load: async () => (await import("./commands/generate.ts")).generateCommand(),
  },
  evaluate: {
    summary: "translate a file and score it, or score how a language model foretells it",
    load: async () => (await import("./commands/evaluate.ts")).evaluateCommand(),
  },
  distill: {
    summary: "write training sources with a teacher's translations",
    load: async () => (await import("./commands/distill.ts")).distillCommand(),
  },
  shortlist: {
    summary: "learn which tokens a source may become, for faster decoding",
    load: async () => (await import("./commands/shortlist.ts")).shortlistCommand(),
  },
  average: {
    summary: "write the mean of several checkpoints' weights",
    load: async () => (await import("./commands/average.ts")).averageCommand(),
  },
  inspect: {
    summary: "show what a model is made of and costs, or what its decoder asks at a step",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand(),
  },
  adapter: {
    summary: "save a run's adapter by itself, or merge one into its base",
    load: async () => (await import("./commands/adapter.ts")).adapterCommand(),
  },
  neighbours: {
    summary: "list the tokens whose embeddings are nearest to a word's",
    load: async () => (await import("./commands/neighbours.ts")).neighboursCommand(),
  },
  bench: {
    summary: "time a trained model on this machine",
    load: async () => (await import("./commands/bench.ts")).benchCommand(),
  },
  demo: {
    summary: "train on written dates for a few minutes and show the result",
    load: async () => (await import("./commands/demo.ts")).demoCommand(),
  },
  lab: {
    summary: "put a claim about Transformers to the test: table, plot, verdict",
    load: async () => (await import("./commands/lab.ts")).labCommand(),
  },
  score: {
    summary: "compare lines with references: BLEU, chrF, TER",
    load: async () => (await import("./commands/score.ts")).scoreCommand(),
  },
  tokenizer: {
    summary: "learn a vocabulary from text; encode and decode lines",
    load: async () => (await import("./commands/tokenizer.ts")).tokenizerCommand(),
  },
};

export interface RunOptions {
  commands?: Readonly<Record<string, CommandEntry>>;
  writeOut?: (text: string) => void;
  writeError?: (text: string) => void;
}

/** Runs one command line, the words after `heddle`, and gives the exit code. */
export async function run(
  words: readonly string[],
  {
    commands = everyCommand,
    writeOut = (text) => process.stdout.write(text),
    writeError = (text) => process.stderr.write(text),
  }: RunOptions = {},
): Promise<number> {
  try {
    const program = new Command("heddle")
      .description("Train, judge and use Transformers: models in TypeScript, run by ONNX Runtime.")
      .version(version)
      .showHelpAfterError("(heddle --help lists the commands and options)")
      .configureOutput({ writeOut, writeErr: writeError })
      .exitOverride();
    // Only the named command is loaded; the others stand in the help with their name and summary.
    const named = words.filter((word) => !word.startsWith("-")).slice(0, 2);
    for (const [name, { summary, load }] of Object.entries(commands)) {
      const command =
        named[0] === name || (named[0] === "help" && named[1] === name) ? await load() : new Command(name);
      if (command.description() === "") command.description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);
      inherit(command.summary(summary), program, "heddle");
      program.addCommand(command);
    }
    await program.parseAsync([...words], { from: "user" });
    return 0;
  } catch (error) {
    return report(error, writeError);
  }
}

/** A command made on its own takes the program's way of writing and of leaving, and so do its own commands. */
function inherit(command: Command, parent: Command, path: string): void {
  command.copyInheritedSettings(parent).showHelpAfterError(`(${path} ${command.name()} --help explains)`);
  for (const child of command.commands) inherit(child, command, `${path} ${command.name()}`);
}
