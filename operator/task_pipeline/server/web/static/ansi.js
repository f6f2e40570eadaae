// Colours of terminals: SGR sequences (ECMA-48 8.3.117) become classes, every other sequence is dropped.
const SEQUENCE = /\x1b(?:\[([0-9;:]*)([ -/]*[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]/g;
const PLAIN = { bold: false, dim: false, italic: false, under: false, invert: false, fore: null, back: null };

/** One of the sixteen colours that is near to one of 256. */
function near(number) {
  if (number < 16) return number;
  if (number > 231) return [0, 8, 7, 15][Math.min(3, Math.floor((number - 232) / 6))];
  const cube = number - 16;
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((one) => one * 51));
}

function nearest(rgb) {
  const top = Math.max(...rgb);
  if (top < 50) return 0;
  const bits = rgb.reduce((all, one, index) => all + (one > top / 2 ? 1 << index : 0), 0);
  return top > 170 && bits !== 7 ? bits + 8 : bits;
}

function colour(codes, index) {
  if (codes[index + 1] === 5) return [near(codes[index + 2] ?? 0), index + 2];
  if (codes[index + 1] === 2) return [nearest(codes.slice(index + 2, index + 5)), index + 4];
  return [null, index + 1];
}

function apply(style, text) {
  const codes = (text || "0").split(/[;:]/).map((one) => Number(one || 0));
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index];
    if (code === 0) Object.assign(style, PLAIN);
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.under = true;
    else if (code === 7) style.invert = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.under = false;
    else if (code === 27) style.invert = false;
    else if (code >= 30 && code <= 37) style.fore = code - 30;
    else if (code === 38) [style.fore, index] = colour(codes, index);
    else if (code === 39) style.fore = null;
    else if (code >= 40 && code <= 47) style.back = code - 40;
    else if (code === 48) [style.back, index] = colour(codes, index);
    else if (code === 49) style.back = null;
    else if (code >= 90 && code <= 97) style.fore = code - 82;
    else if (code >= 100 && code <= 107) style.back = code - 92;
  }
}

function classes(style) {
  const names = ["bold", "dim", "italic", "under", "invert"].filter((name) => style[name]);
  if (style.fore !== null) names.push(`f${style.fore}`);
  if (style.back !== null) names.push(`b${style.back}`);
  return names.join(" ");
}

/** What a terminal shows of a line that goes back to its beginning. */
function shown(line) {
  const whole = line.endsWith("\r") ? line.slice(0, -1) : line;
  return whole.slice(whole.lastIndexOf("\r") + 1);
}

/** Turns lines into runs of text; the style goes on from line to line. */
export class Ansi {
  #style = { ...PLAIN };

  /** The runs of a line: `[text, classes]` each. */
  runs(line) {
    const found = [];
    const text = shown(line);
    let start = 0;
    for (const match of text.matchAll(SEQUENCE)) {
      if (match.index > start) found.push([text.slice(start, match.index), classes(this.#style)]);
      start = match.index + match[0].length;
      if (match[2] === "m") apply(this.#style, match[1]);
    }
    if (start < text.length) found.push([text.slice(start), classes(this.#style)]);
    return found;
  }
}
