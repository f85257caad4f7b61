// Plain text files as documents: a line each, or a whole file.
import { ConfigError, silent } from "../base/index.ts";
import { checkFile, fileLines, warnOnce, type FileOptions } from "./file-lines.node.ts";
import { TextCorpus } from "./text-corpus.ts";

export interface TextFilesOptions extends FileOptions {
  /** What a document is: a line that is not empty, or a whole file. */
  format?: "lines" | "file";
  /** Read no more than this many characters (code points), line ends counted. */
  maxCharacters?: number;
}

/**
 * A corpus of text files, one after the other; `.gz` is unpacked. The files are looked for at once and read at each iteration.
 *
 * Throws ConfigError for no file at all; DataError for what `fileLines` refuses.
 *
 * @example
 * const corpus = await textFiles(["emma.txt.gz", "moby-dick.txt.gz"], { format: "file" });
 */
export async function textFiles(
  files: string | readonly string[],
  { format = "lines", maxCharacters = Infinity, listener = silent }: TextFilesOptions = {},
): Promise<TextCorpus> {
  const paths = [files].flat();
  if (paths.length === 0) throw new ConfigError("textFiles", "names no file. Give at least one.");
  for (const path of paths) await checkFile(path);
  const once = warnOnce(listener);
  return new TextCorpus(paths.join(", "), async function* () {
    let left = maxCharacters;
    for (const path of paths) {
      if (left <= 0) return;
      const lines: string[] = [];
      let line = 0;
      for await (const read of fileLines(path, { listener: once })) {
        line++;
        const text = left === Infinity ? read : [...read].slice(0, left).join("");
        left -= left === Infinity ? 0 : [...text].length + 1;
        if (format === "file") lines.push(text);
        else if (text.trim() !== "") yield { text, closedBy: "\n", file: path, line };
        if (left <= 0) break;
      }
      if (format === "file") {
        const text = lines.join("\n") + (left >= 0 ? "\n" : "");
        yield { text, closedBy: "", file: path, line: 1 };
      }
    }
  });
}
