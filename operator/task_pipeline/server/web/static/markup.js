// The one place where text becomes markup. It comes from our own server's templates, which escape every value; the
// content security policy (Trusted Types) refuses any other way.
const policy = globalThis.trustedTypes?.createPolicy("pages", { createHTML: (text) => text }) ?? { createHTML: (text) => text };

/** The elements of `text`, not yet in the page. */
export function elements(text) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(text);
  return [...template.content.children];
}

/** A whole document. */
export function page(text) {
  return new DOMParser().parseFromString(policy.createHTML(text), "text/html");
}

/** Put `fresh` in the place of the element of the same id, and keep focus and open details; false without one. */
export function replace(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) return false;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  for (const one of old.querySelectorAll("details[id][open]")) fresh.querySelector(`#${one.id}`)?.setAttribute("open", "");
  for (const name of ["hidden"]) if (old.hasAttribute(name)) fresh.setAttribute(name, "");
  if (old.classList.contains("chosen")) fresh.classList.add("chosen");
  old.replaceWith(fresh);
  if (focused) {
    const again = (focused.id && document.getElementById(focused.id)) || fresh.querySelector(":scope > a");
    (again ?? document.getElementById("main")).focus({ preventScroll: true });
  }
  return true;
}

/** Tell a screen reader. */
export function say(text) {
  const place = document.getElementById("said");
  if (place.textContent !== text) place.textContent = text;
}

/** Tell everybody, for a while. */
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 8000);
}
