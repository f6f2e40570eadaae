// What grows with time: durations and ages, by the server's clock.
const skew = Number(document.body.dataset.now) - Date.now();
const two = (number) => String(number).padStart(2, "0");

/** A span in at most two units, as the server writes it. */
export function length(milliseconds) {
  const all = Math.max(0, Math.floor(milliseconds / 1000));
  if (all < 60) return `${all}s`;
  if (all < 3600) return `${Math.floor(all / 60)}m ${two(all % 60)}s`;
  if (all < 86400) return `${Math.floor(all / 3600)}h ${two(Math.floor(all / 60) % 60)}m`;
  return `${Math.floor(all / 86400)}d ${Math.floor(all / 3600) % 24}h`;
}

/** Bring what grows below `root` up to date. */
export function tick(root = document) {
  const now = Date.now() + skew;
  for (const one of root.querySelectorAll("[data-from]")) set(one, length(now - Number(one.dataset.from)));
  for (const one of root.querySelectorAll("[data-ago]")) set(one, `${length(now - Number(one.dataset.ago))} ago`);
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function start() {
  tick();
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
}
