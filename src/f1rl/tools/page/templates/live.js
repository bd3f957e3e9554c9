"use strict";
(() => {
  // What the server sends is HTML that it has escaped; a part is replaced only when it has changed, so that a video goes
  // on playing and a selection stays.
  const shown = new Map(), lost = document.getElementById("lost");
  const wait = 1000 * Number(document.body.dataset.refresh);
  let version = "";

  async function look() {
    try {
      const answer = await fetch(`live.json?version=${version}`, { cache: "no-store" });
      const moment = await answer.json();
      for (const [key, html] of Object.entries(moment.parts)) {
        if (shown.get(key) === html) continue;
        shown.set(key, html);
        document.getElementById(key).innerHTML = html;
      }
      if (moment.figures) showFigures(moment.figures);
      version = moment.version;
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    setTimeout(look, wait);
  }
  look();
})();
