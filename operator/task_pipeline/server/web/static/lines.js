// A log that arrives in pieces, as lines: what a piece costs does not grow with the line that it belongs to.
const MOST = 65536; // characters of a line; what follows is another one

export class Lines {
  #rest = "";

  /** The lines that are complete with `text`. */
  feed(text) {
    const found = [];
    text.split("\n").forEach((part, number) => {
      if (number) {
        found.push(this.#rest);
        this.#rest = "";
      }
      this.#take(part, found);
    });
    return found;
  }

  /** The line that has no end, if there is one. */
  end() {
    const found = this.#rest ? [this.#rest] : [];
    this.#rest = "";
    return found;
  }

  /** A terminal goes back to the beginning of the line at `\r`: only what follows the last one counts. */
  #take(part, found) {
    if (!part) return;
    const back = part.slice(0, -1).lastIndexOf("\r"); // one at the very end may belong to "\r\n"
    if (back >= 0) this.#rest = part.slice(back + 1);
    else this.#rest = this.#rest.endsWith("\r") ? part : this.#rest + part;
    while (this.#rest.length > MOST) {
      found.push(this.#rest.slice(0, MOST));
      this.#rest = this.#rest.slice(MOST);
    }
  }
}
