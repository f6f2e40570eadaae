// Finding a job among many, on the page that is there.
import { changed } from "./live.js";

function fits(pill, text, tone) {
  return (tone === "" || pill.classList.contains(tone)) && (text === "" || pill.querySelector(".n").textContent.toLowerCase().includes(text));
}

function look(pills) {
  const text = document.getElementById("find").value.toLowerCase();
  const tone = document.getElementById("only").value;
  for (const pill of pills) pill.hidden = !fits(pill, text, tone);
  const all = document.querySelectorAll(".pill").length;
  const left = document.querySelectorAll(".pill:not([hidden])").length;
  document.getElementById("found").textContent = text || tone ? `${left} of ${all} jobs` : "";
}

function show() {
  const bar = document.querySelector(".find");
  if (!bar) return;
  bar.hidden = document.querySelectorAll(".pill").length < 12;
  bar.addEventListener("input", () => look(document.querySelectorAll(".pill")));
}

export function start() {
  show();
  changed((ids) => {
    if (ids === null) return show();
    if (!document.querySelector(".find")) return;
    if (document.getElementById("find").value || document.getElementById("only").value) {
      look(ids.map((id) => document.getElementById(id)).filter((one) => one?.classList.contains("pill")));
    }
  });
}
