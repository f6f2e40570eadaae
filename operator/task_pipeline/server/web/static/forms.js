// Actions without leaving the page: the stream then shows what comes of them. Without scripts they are plain forms.
import { toast } from "./markup.js";
import { refresh } from "./panel.js";

async function act(event) {
  const form = event.target.closest("form[data-act]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter;
  const url = form.getAttribute("action"); // its property is hidden by the buttons of that name
  const body = new URLSearchParams(new FormData(form, button));
  button.disabled = true;
  try {
    const answer = await fetch(url, { method: "POST", body, headers: { Accept: "text/plain" }, redirect: "error" });
    if (answer.status === 401) {
      location.assign(`/ui/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    } else if (answer.ok) {
      form.querySelectorAll("details[open]").forEach((one) => one.removeAttribute("open"));
      toast(`Sent: ${button.textContent.trim()}`);
      refresh();
    } else {
      toast((await answer.text()) || "That did not work");
    }
  } catch {
    toast("The server cannot be reached: try again");
  } finally {
    button.disabled = false;
  }
}

export function start() {
  document.addEventListener("submit", act);
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (!menu) return;
    event.stopImmediatePropagation();
    menu.removeAttribute("open");
    menu.querySelector("summary").focus();
  });
}
