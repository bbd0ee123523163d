// What the page does beside htmx: it says when the node does not answer, and what a slider is at.
"use strict";
(() => {
  const lost = () => document.getElementById("lost");

  function say(text) {
    const bar = lost();
    if (bar && bar.textContent !== text) bar.textContent = text;
    if (bar) bar.hidden = text === "";
  }

  const gone = "The node does not answer. This page goes on by itself when it is back.";
  const ended = "This page’s session has ended. Open a new one with: shoal ui";

  // The stream of news. hx-sse goes on with one that was cut. What never began, ended for good or
  // fell silent (a machine that slept) is begun again here: an open page always catches up.
  const silence = 40e3; // the node says something every 15 s
  let stream = null, asking = false, heard = Date.now(), blip = 0;
  const on = (name, f) => document.addEventListener(name, f);
  const ofMain = (f) => (e) => { if (e.target.id === "main") f(e); };

  on("htmx:before:request", ofMain(() => { asking = true; }));
  on("htmx:finally:request", ofMain(() => { asking = false; }));
  on("htmx:error", ofMain(() => say(gone)));
  on("htmx:response:error", ofMain((e) => say(e.detail.ctx.response.status === 401 ? ended : gone)));
  on("htmx:sse:before:connection", (e) => {
    stream = e.detail.connection;
    clearTimeout(blip);
    if (stream.attempt > 0) blip = setTimeout(() => say(gone), 1500);
  });
  on("htmx:sse:after:connection", () => { heard = Date.now(); clearTimeout(blip); say(""); });
  on("htmx:sse:before:message", () => { heard = Date.now(); });
  on("htmx:sse:error", (e) => {
    if (e.detail.status !== 401) return;
    clearTimeout(blip);
    say(ended);
  });
  on("htmx:sse:close", () => { stream = null; clearTimeout(blip); });
  setInterval(() => {
    const main = document.getElementById("main");
    if (!main || !main.hasAttribute("hx-sse:connect")) return;
    if (!stream && !asking) htmx.trigger(main, "live");
    if (stream && stream.reader && Date.now() - heard > silence) stream.reader.cancel();
  }, 1000);

  // A wish that did not get through: the node is gone.
  on("htmx:error", () => {
    const notice = document.getElementById("notice");
    if (notice && lost() && !lost().hidden) notice.textContent = "Not done: the node does not answer.";
  });

  on("input", (e) => {
    const slider = e.target;
    if (slider.type !== "range") return;
    const shown = document.querySelector('output[for="' + slider.id + '"]');
    if (shown) shown.textContent = slider.value + (slider.dataset.unit || "");
  });

  // Whoever fills in a field means the choice beside it.
  on("focusin", (e) => {
    const row = e.target.closest("fieldset p");
    const choice = row && row.querySelector('input[type="radio"]');
    if (choice && e.target !== choice) choice.checked = true;
  });
})();
