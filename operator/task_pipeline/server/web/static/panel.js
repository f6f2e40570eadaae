// The side panel: opened, changed and closed without leaving the page; its place is in the URL.
import { elements, toast } from "./markup.js";
import { tick } from "./clock.js";
import { changed } from "./live.js";
import * as log from "./log.js";

const EVERY = 5000; // milliseconds after which a waiting job's place in the queue is asked for again
let from = null;
let asked = 0;

const panel = () => document.getElementById("panel");
const base = () => document.getElementById("main").dataset.base;
const link = (job) => [...document.querySelectorAll(".pill > a")].find((one) => one.dataset.job === job);

async function get(job, tab, attempt) {
  const query = new URLSearchParams({ tab });
  if (attempt) query.set("attempt", attempt);
  const answer = await fetch(`${base()}/jobs/${encodeURIComponent(job)}?${query}`);
  if (!answer.ok) throw new Error(await answer.text());
  return elements(await answer.text())[0];
}

function choose(job) {
  document.querySelectorAll(".pill.chosen").forEach((one) => { one.classList.remove("chosen"); one.firstElementChild.removeAttribute("aria-current"); });
  const found = job && link(job);
  found?.parentElement.classList.add("chosen");
  found?.setAttribute("aria-current", "true");
}

async function open(job, tab, attempt, push) {
  const mine = ++asked;
  try {
    const fresh = await get(job, tab, attempt);
    if (mine !== asked) return;
    const old = panel();
    const same = !old.hidden && old.dataset.job === job;
    old.replaceWith(fresh);
    tick(fresh);
    document.querySelector(".split").classList.add("open");
    choose(job);
    if (push) {
      const query = new URLSearchParams({ job });
      if (tab !== "why") query.set("tab", tab);
      if (attempt) query.set("attempt", attempt);
      history.pushState(null, "", `${base()}?${query}`);
    }
    if (same) document.getElementById(`tab-${tab}`)?.focus();
    else { document.getElementById("panel-title").focus(); fresh.scrollIntoView({ block: "nearest" }); }
    log.mount();
  } catch (error) {
    toast(error.message);
  }
}

function close(push) {
  asked += 1;
  const old = panel();
  if (!old || old.hidden) return;
  const job = old.dataset.job;
  old.replaceWith(Object.assign(document.createElement("section"), { id: "panel", hidden: true }));
  document.querySelector(".split").classList.remove("open");
  choose(null);
  log.mount();
  if (push) history.pushState(null, "", base());
  (from?.isConnected ? from : link(job))?.focus();
}

/** Bring the open job up to date; its log and its texts are left alone. */
export async function refresh() {
  const old = panel();
  if (!old || old.hidden) return;
  const mine = ++asked;
  const { job, tab } = old.dataset;
  try {
    const fresh = await get(job, tab === "why" ? "why" : "params");
    if (mine !== asked || panel() !== old) return;
    for (const name of ["final", "attempt", "ended"]) old.dataset[name] = fresh.dataset[name];
    for (const id of tab === "why" ? ["panel-head", "panel-body"] : ["panel-head"]) swap(old.querySelector(`#${id}`), fresh.querySelector(`#${id}`));
  } catch { /* the stream tells when the server is away */ }
}

function swap(old, fresh) {
  if (old.innerHTML === fresh.innerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const opened = [...old.querySelectorAll("details")].map((one) => one.open);
  [...fresh.querySelectorAll("details")].forEach((one, number) => { one.open = opened[number] ?? false; });
  tick(fresh);
  old.replaceWith(fresh);
  if (focused) ((focused.id && document.getElementById(focused.id)) || fresh.querySelector(focused.tagName))?.focus({ preventScroll: true });
}

function click(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const target = event.target.closest("a[data-job], a[data-close]");
  if (!target || !base()) return;
  event.preventDefault();
  if ("close" in target.dataset) return close(true);
  if (!target.closest("#panel")) from = target;
  const tab = target.dataset.tab ?? (panel().hidden ? "why" : panel().dataset.tab);
  open(target.dataset.job, tab, target.dataset.attempt, true);
}

function keys(event) {
  if (event.key === "Escape" && base() && !panel()?.hidden) return close(true);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const pill = step && event.target.closest?.(".pill > a");
  if (!pill) return;
  const all = [...document.querySelectorAll(".pill:not([hidden]) > a")];
  const next = all[all.indexOf(pill) + step];
  if (next) { event.preventDefault(); next.focus(); }
}

function travel() {
  if (!base()) return;
  const query = new URLSearchParams(location.search);
  if (query.get("job")) open(query.get("job"), query.get("tab") ?? "why", query.get("attempt"), false);
  else close(false);
}

export function start() {
  if (!base()) return;
  document.addEventListener("click", click);
  document.addEventListener("keydown", keys);
  addEventListener("popstate", travel);
  choose(panel().hidden ? null : panel().dataset.job);
  log.mount();
  changed((ids) => {
    if (ids === null) { choose(panel()?.hidden ? null : panel()?.dataset.job); log.mount(); return; }
    const mine = panel() && !panel().hidden && link(panel().dataset.job)?.parentElement.id;
    if (mine && ids.includes(mine)) { choose(panel().dataset.job); refresh(); }
  });
  setInterval(() => {
    if (!document.hidden && panel() && !panel().hidden && panel().dataset.tab === "why" && panel().dataset.final === "false") refresh();
  }, EVERY);
}
