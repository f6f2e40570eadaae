// The log of the open job: read as it grows, shown as text and never as markup.
import { Ansi } from "./ansi.js";
import { Lines } from "./lines.js";

const MOST = 10000; // lines that are kept
const PAUSE = 2000;
let reading = null;

/** Begin to read the log that the page shows, if it shows one; end what was read before. */
export function mount() {
  const box = document.getElementById("log");
  if (reading && reading.box === box) return;
  reading?.stop();
  reading = box ? new Reading(box) : null;
}

class Reading {
  constructor(box) {
    this.box = box;
    this.state = document.getElementById("log-state");
    this.follow = document.getElementById("log-follow");
    this.search = document.getElementById("log-search");
    this.hits = document.getElementById("log-hits");
    this.abort = new AbortController();
    this.at = -1;
    this.attempt = Number(this.box.dataset.attempt);
    const options = { signal: this.abort.signal };
    this.follow.addEventListener("change", () => this.end(), options);
    document.getElementById("log-wrap").addEventListener("change", (event) => box.classList.toggle("wrap", event.target.checked), options);
    this.search.addEventListener("input", () => this.find(), options);
    this.search.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); this.go(event.shiftKey ? -1 : 1); } }, options);
    box.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.follow.checked = false; }, { ...options, passive: true });
    box.addEventListener("keydown", (event) => { if (["ArrowUp", "PageUp", "Home"].includes(event.key)) this.follow.checked = false; }, options);
    this.read();
  }

  stop() {
    this.abort.abort();
  }

  /** Whether nothing can be added: the job is over, or the attempt, whatever others do. */
  get final() {
    const { final, ended } = document.getElementById("panel")?.dataset ?? {};
    return final === "true" || (this.attempt > 0 && this.attempt <= Number(ended));
  }

  get url() {
    return this.attempt ? `${this.box.dataset.url}attempt=${this.attempt}&` : this.box.dataset.url;
  }

  async read() {
    while (!this.abort.signal.aborted) {
      this.attempt ||= Number(document.getElementById("panel")?.dataset.attempt);
      const wasFinal = this.final;
      try {
        const answer = await fetch(`${this.url}tail=1000&follow=${!wasFinal}`, { signal: this.abort.signal });
        if (answer.ok) {
          this.clear();
          this.state.textContent = wasFinal ? "" : "Following…";
          await this.take(answer.body.pipeThrough(new TextDecoderStream()).getReader());
        } else {
          this.state.textContent = await answer.text();
        }
        if (wasFinal || answer.status === 403) { if (answer.ok) this.state.textContent = "End of the log."; return; }
      } catch {
        if (this.abort.signal.aborted) return;
        this.state.textContent = "The connection was lost; it is opened again…";
      }
      await new Promise((done) => { setTimeout(done, PAUSE); });
    }
  }

  clear() {
    this.box.replaceChildren();
    this.ansi = new Ansi();
    this.lines = new Lines();
    this.dropped = 0;
  }

  async take(reader) {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      this.add(this.lines.feed(value));
    }
    this.add(this.lines.end());
  }

  add(lines) {
    if (!lines.length) return;
    const fresh = document.createDocumentFragment();
    for (const line of lines.slice(-MOST)) fresh.append(this.line(line));
    this.box.append(fresh);
    while (this.box.childElementCount > MOST) { this.box.firstElementChild.remove(); this.dropped += 1; }
    if (this.dropped) this.state.textContent = `The last ${MOST} lines. Download gives the newest 1 MiB.`;
    if (this.search.value) this.find();
    this.end();
  }

  line(text) {
    const row = document.createElement("div");
    for (const [part, names] of this.ansi.runs(text)) {
      if (!names) { row.append(part); continue; }
      const span = document.createElement("span");
      span.className = names;
      span.textContent = part;
      row.append(span);
    }
    return row;
  }

  end() {
    if (this.follow.checked) this.box.scrollTop = this.box.scrollHeight;
  }

  find() {
    const wanted = this.search.value.toLowerCase();
    this.found = [];
    for (const row of this.box.children) {
      const fits = wanted !== "" && row.textContent.toLowerCase().includes(wanted);
      row.classList.toggle("hit", fits);
      row.classList.remove("at");
      if (fits) this.found.push(row);
    }
    this.at = -1;
    this.hits.textContent = wanted === "" ? "" : `${this.found.length} lines`;
  }

  go(step) {
    if (!this.found?.length) return;
    this.found[this.at]?.classList.remove("at");
    this.at = (this.at + step + this.found.length) % this.found.length;
    this.follow.checked = false;
    this.found[this.at].classList.add("at");
    this.found[this.at].scrollIntoView({ block: "center" });
    this.hits.textContent = `${this.at + 1} of ${this.found.length} lines`;
  }
}
