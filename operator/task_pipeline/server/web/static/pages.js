// What is live on a page. Without it every page and every action works as plain HTML.
import * as clock from "./clock.js";
import * as find from "./find.js";
import * as forms from "./forms.js";
import * as live from "./live.js";
import * as panel from "./panel.js";

const empty = () => {
  const note = document.querySelector("main > .empty");
  if (note && document.getElementById("rows")) note.hidden = document.getElementById("rows").childElementCount > 0;
};

clock.start();
forms.start();
panel.start();
find.start();
live.changed(empty);
live.start();
