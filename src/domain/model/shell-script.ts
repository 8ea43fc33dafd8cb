export type ShellScript = { commands: string[]; parallel: boolean };

const FENCE_OPEN = /^\s{0,3}(`{3,}|~{3,})\s*([A-Za-z]*)\s*$/;
const SHELL_LANGUAGES = new Set(["sh", "bash", "shell"]);
const PARALLEL = /\bin parallel\b/i;

/**
 * The commands of a message in their order: one per fenced block marked sh, bash or shell, and one per line that
 * starts with `$ ` outside of any block. An unclosed block reaches to the end. `parallel` when the prose asks for it.
 */
export function shellScript(text: string): ShellScript {
  const commands: string[] = [];
  const prose: string[] = [];
  let block: { fence: string; isShell: boolean; lines: string[] } | null = null;
  const close = () => {
    const command = block?.isShell ? block.lines.join("\n").trim() : "";
    if (command) commands.push(command);
    block = null;
  };
  for (const line of text.split(/\r?\n/)) {
    if (block) {
      if (closes(line, block.fence)) close();
      else block.lines.push(line);
      continue;
    }
    const open = FENCE_OPEN.exec(line);
    if (open) {
      block = { fence: open[1] ?? "", isShell: SHELL_LANGUAGES.has((open[2] ?? "").toLowerCase()), lines: [] };
    } else if (line.startsWith("$ ") && line.slice(2).trim()) {
      commands.push(line.slice(2).trim());
    } else {
      prose.push(line);
    }
  }
  close();
  return { commands, parallel: PARALLEL.test(prose.join("\n")) };
}

/** A closing fence is at least as long as the opening one, of the same character, and alone on its line. */
function closes(line: string, fence: string): boolean {
  const text = line.trim();
  return text.length >= fence.length && text === (fence[0] ?? "").repeat(text.length);
}
