// The one stream of the page. It is closed while nobody looks, and goes on from its last place afterwards.
import { elements, page, replace, say } from "./markup.js";
import { tick } from "./clock.js";

const SILENCE = 25000; // milliseconds without a word after which the connection counts as broken
const mark = document.getElementById("live");
const listeners = [];
let source = null;
let place = "";
let heard = 0;
let retry = 0;
let hiding = 0;
let stopped = false;

/** Call `listener(ids)` after parts of the page were replaced; `null` for all of it. */
export function changed(listener) {
  listeners.push(listener);
}

function show(state, text) {
  mark.hidden = false;
  if (mark.className !== `live ${state}`) mark.className = `live ${state}`;
  if (mark.textContent !== text) mark.textContent = text;
}

function take(event) {
  heard = Date.now();
  retry = 0;
  show("on", "Live");
  if (event.lastEventId) place = event.lastEventId;
}

function parts(event) {
  take(event);
  const ids = [];
  for (const text of JSON.parse(event.data)) {
    for (const fresh of elements(text)) {
      tick(fresh);
      if (fresh.id === "head") announce(fresh);
      if (replace(fresh)) ids.push(fresh.id);
    }
  }
  if (ids.length) for (const listener of listeners) listener(ids);
}

function announce(fresh) {
  const old = document.getElementById("head");
  if (old && old.dataset.says !== fresh.dataset.says) say(fresh.dataset.says);
}

/** Read the page anew, in place. */
export async function again() {
  close();
  show("off", "Reconnecting…");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/ui/login") return ended();
    const fresh = page(await answer.text()).getElementById("main");
    if (!answer.ok && answer.status >= 500) throw new Error("later");
    place = "";
    document.getElementById("main").replaceWith(document.adoptNode(fresh));
    tick();
    for (const listener of listeners) listener(null);
    open();
    if (!source) show("off", stopped ? "Not live: you may not follow this" : "Ended");
  } catch {
    later(again);
  }
}

function ended() {
  show("off", "Logged out: reload the page");
}

function later(what) {
  close();
  show("off", "Reconnecting…");
  retry = Math.min(30000, Math.max(1000, retry * 2));
  setTimeout(what, retry * (0.7 + 0.3 * Math.random()));
}

function close() {
  source?.close();
  source = null;
}

function open() {
  close();
  const main = document.getElementById("main");
  if (stopped || !main.dataset.stream || document.hidden) return;
  const url = new URL(main.dataset.stream, location.origin);
  if (place && url.searchParams.has("place")) url.searchParams.set("place", place);
  const mine = new EventSource(url);
  source = mine;
  heard = Date.now();
  mine.addEventListener("beat", take);
  mine.addEventListener("parts", parts);
  mine.addEventListener("again", again);
  mine.addEventListener("error", async () => {
    if (source !== mine) return;
    show("off", "Reconnecting…");
    if (mine.readyState !== EventSource.CLOSED) return;
    close();
    const answer = await fetch(url, { method: "GET", headers: { Accept: "text/plain" }, signal: AbortSignal.timeout(5000) })
      .then((one) => { one.body?.cancel(); return one.status; }, () => 0);
    if (answer === 401) return ended();
    stopped = answer === 403; // to ask again at once would be refused again
    if (answer === 404 || answer === 403) return again();
    later(open);
  });
}

export function start() {
  if (!mark || !document.getElementById("main").dataset.stream) return;
  show("off", "Connecting…");
  open();
  setInterval(() => { if (source && !document.hidden && Date.now() - heard > SILENCE) later(open); }, 2000);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden && !stopped) hiding = setTimeout(() => { close(); show("off", "Paused"); }, 10000);
    else if (!document.hidden && !source) open();
  });
}
