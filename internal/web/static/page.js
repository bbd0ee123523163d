// What the page does beside htmx: it says when the node does not answer, and what a slider is at.
"use strict";
(() => {
  const lost = () => document.getElementById("lost");

  function say(text) {
    const bar = lost();
    if (bar && bar.textContent !== text) bar.textContent = text;
    if (bar) bar.hidden = text === "";
  }

  // hx-sse tells before it tries again, and what came of it.
  document.addEventListener("htmx:sse:before:connection", (e) => {
    if (e.detail.connection.attempt > 0) say("The node does not answer. This page goes on by itself when it is back.");
  });
  document.addEventListener("htmx:sse:after:connection", () => say(""));
  document.addEventListener("htmx:sse:error", (e) => {
    if (e.detail.status === 401) say("This page’s session has ended. Open a new one with: shoal ui");
  });

  // A wish that did not get through: the node is gone.
  document.addEventListener("htmx:error", () => {
    const notice = document.getElementById("notice");
    if (notice && lost() && !lost().hidden) notice.textContent = "Not done: the node does not answer.";
  });

  document.addEventListener("input", (e) => {
    const slider = e.target;
    if (slider.type !== "range") return;
    const shown = document.querySelector('output[for="' + slider.id + '"]');
    if (shown) shown.textContent = slider.value + (slider.dataset.unit || "");
  });

  // Whoever fills in a field means the choice beside it.
  document.addEventListener("focusin", (e) => {
    const row = e.target.closest("fieldset p");
    const choice = row && row.querySelector('input[type="radio"]');
    if (choice && e.target !== choice) choice.checked = true;
  });
})();
