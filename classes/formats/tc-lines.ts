/**
 * Splits a script into tc commands: continuations, quotes, comments, separators and redirections, as far as a shell script of
 * plain tc lines has them. A `tc -batch` script is the same without the leading `tc`.
 */

export interface TcCommand {
  /** Without the leading tc. */
  readonly words: readonly string[];
  /** The line on which the command starts, from 1. */
  readonly line: number;
}

export interface TcLines {
  readonly commands: readonly TcCommand[];
  /** Lines that are neither empty, nor a comment, nor a tc command. */
  readonly others: readonly { readonly line: number; readonly text: string }[];
  /** Ids that weir's own comments give to classes: by the line of the comment. */
  readonly notes: readonly TcNote[];
}

/** `# weir class 1:a "u42" unlimited`: what tc has no word for. It is about the next class command of that classid. */
export interface TcNote {
  readonly line: number;
  readonly classid: string;
  readonly id: string;
  readonly words: readonly string[];
}

const OBJECTS: ReadonlySet<string> = new Set(['qdisc', 'class', 'filter']);
const SEPARATORS: ReadonlySet<string> = new Set([';', '&&', '||', '&']);
/** A quoted string, a redirection, a separator, a comment, or a bare word. */
const TOKEN =
  /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\d?>>?&?\s*[^\s;&|]+)|(&&|\|\||[;&|])|(#.*)|([^\s;&|"'>]+))/y;
const NOTE = /^#\s*weir class (\S+) ("(?:[^"\\]|\\.)*")(.*)$/;

/** Never throws. */
export function splitTc(text: string): TcLines {
  const commands: TcCommand[] = [];
  const others: { line: number; text: string }[] = [];
  const notes: TcNote[] = [];
  const lines = (text.charCodeAt(0) === 0xfeff ? text.slice(1) : text).split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    let whole = lines[index]!;
    const note = noteOf(whole.trim(), line);
    if (note !== null) notes.push(note);
    if (/^\s*(#|$)/.test(whole)) continue;
    while (/\\\s*$/.test(whole) && index + 1 < lines.length) {
      index++;
      whole = `${whole.replace(/\\\s*$/, ' ')}${lines[index]!}`;
    }
    for (const words of commandsOf(whole)) {
      const bare = withoutTc(words);
      if (bare !== null) commands.push({ words: bare, line });
      else others.push({ line, text: words.join(' ') });
    }
  }
  return { commands, others, notes };
}

function noteOf(text: string, line: number): TcNote | null {
  const parts = NOTE.exec(text);
  if (parts === null) return null;
  try {
    const words = parts[3]!.split(/\s+/).filter((word) => word !== '');
    return { line, classid: parts[1]!, id: JSON.parse(parts[2]!) as string, words };
  } catch {
    return null; // somebody's own comment that looks like ours
  }
}

/** What `||` guards, as in `tc qdisc del … || true`, runs only after a failure and is left out. */
function commandsOf(line: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  let skips = false;
  const end = (): void => {
    if (words.length > 0 && !skips) commands.push(words);
    words = [];
  };
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(line); token !== null; token = TOKEN.exec(line)) {
    const [, double, single, redirection, separator, comment, bare] = token;
    if (comment !== undefined) break;
    if (redirection !== undefined) continue;
    if (separator !== undefined && SEPARATORS.has(separator)) {
      end();
      skips = separator === '||';
    } else words.push(double?.replace(/\\(.)/g, '$1') ?? single ?? bare ?? separator!);
  }
  end();
  return commands;
}

/** The words of a tc command from its object on; null for another command. */
function withoutTc(words: readonly string[]): readonly string[] | null {
  let at = words[0] === 'sudo' ? 1 : 0;
  if (/(^|\/)tc$/.test(words[at] ?? '')) at++;
  return OBJECTS.has(words[at] ?? '') ? words.slice(at) : null;
}
