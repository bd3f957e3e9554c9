"use strict";
(() => {
  let figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (role) => css(isNaN(role) ? `--${role}` : `--c${role % 8}`);
  const translucent = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };
  const dashes = ["dash", "dot", "dashdot"];

  // One curve becomes up to three Plotly traces that its legend entry shows and hides together.
  function traces(figure) {
    let references = 0;
    return figure.traces.flatMap((curve, index) => {
      const made = [], line = colour(curve.role), group = `g${index}`;
      const hidden = { legendgroup: group, showlegend: false, hoverinfo: "skip", type: "scatter", mode: "lines" };
      if (curve.low) {
        made.push({ ...hidden, x: [...curve.x, ...[...curve.x].reverse()], y: [...curve.high, ...[...curve.low].reverse()],
          fill: "toself", fillcolor: translucent(line, 0.18), line: { width: 0 } });
      }
      if (curve.faint) {
        made.push({ ...hidden, x: curve.faint.x, y: curve.faint.y, line: { width: 1, color: translucent(line, 0.35) } });
      }
      const dash = curve.role === "reference" ? dashes[references++ % dashes.length] : "solid";
      made.push({ x: curve.x, y: curve.y, name: curve.name, legendgroup: group, type: "scatter",
        mode: curve.marked && dash === "solid" ? "lines+markers" : "lines", marker: { size: 5 },
        line: { color: line, width: dash === "solid" ? 2 : 1.5, dash } });
      return made;
    });
  }

  function layout(figure) {
    const axis = { gridcolor: css("--grid"), zeroline: false, linecolor: css("--line"), automargin: true, tickfont: { size: 11 } };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--soft"), size: 12, family: "inherit" },
      margin: { l: 8, r: 8, t: 8, b: 8 }, hovermode: "x unified",
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } },
      xaxis: { ...axis, title: { text: figure.xTitle, font: { size: 11 }, standoff: 6 } }, yaxis: { ...axis, exponentformat: "power" },
      showlegend: figure.traces.length > 1, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    };
  }

  const settings = { responsive: true, displaylogo: false, displayModeBar: false };
  const draw = (figure) => Plotly.react(figure.key, traces(figure), layout(figure), settings);

  const element = (figure) => document.getElementById(figure.key);
  const isDrawn = (figure) => element(figure).classList.contains("js-plotly-plot");

  // A page with many curves opens at once: each is drawn when it comes near the window, and again in another theme.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      const figure = figures.find((one) => one.key === entry.target.id);
      if (figure) draw(figure);
    }
  }, { rootMargin: "600px" });

  // Also for newer figures of a page that is live.
  window.showFigures = (newer) => {
    figures = newer;
    for (const figure of figures) isDrawn(figure) ? draw(figure) : watcher.observe(element(figure));
  };
  showFigures(figures);
  dark.addEventListener("change", () => figures.filter(isDrawn).forEach(draw));
  addEventListener("beforeprint", () => figures.forEach(draw));
})();
