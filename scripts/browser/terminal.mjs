// A terminal as a page: what `tmux capture-pane -e` says of its cells (Select Graphic Rendition of ECMA-48).

const COLORS = [
  "#2a3038", "#f2777a", "#7fcf8f", "#f0c674", "#7fb2f0", "#c99bf0", "#66cfd0", "#d8dee6",
  "#7d8794", "#ff9a9c", "#a5e8b0", "#ffdf94", "#a8ccff", "#e0bcff", "#94ecec", "#ffffff",
];
const INK = "#e3e8ee";
const PAPER = "#15191f";

/** An HTML document that looks like the screen; the element `pre` is its picture. */
export function terminalPage(screen) {
  return `<!doctype html><meta charset="utf-8"><style>
    pre { margin: 0; padding: 14px 18px; width: max-content; background: ${PAPER}; color: ${INK};
          font: 15px/1.25 "DejaVu Sans Mono", monospace; }
  </style><pre>${spans(screen.trimEnd())}</pre>`;
}

function spans(screen) {
  let style = {};
  let html = "";
  for (const piece of screen.split(/(\x1b\[[\d;]*m)/)) {
    const codes = /^\x1b\[([\d;]*)m$/.exec(piece);
    if (codes) style = rendered(style, codes[1].split(";").map(Number));
    else html += `<span style="${css(style)}">${escaped(piece)}</span>`;
  }
  return html;
}

function rendered(style, codes) {
  const next = { ...style };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at];
    if (code === 0) for (const name of Object.keys(next)) delete next[name];
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 7) next.reverse = true;
    else if (code === 27) next.reverse = false;
    else if (code >= 30 && code <= 37) next.ink = COLORS[code - 30];
    else if (code === 39) next.ink = undefined;
    else if (code >= 40 && code <= 47) next.paper = COLORS[code - 40];
    else if (code === 49) next.paper = undefined;
    else if (code >= 90 && code <= 97) next.ink = COLORS[code - 82];
    else if ((code === 38 || code === 48) && codes[at + 1] === 5 && codes[at + 2] < COLORS.length) {
      next[code === 38 ? "ink" : "paper"] = COLORS[codes[at + 2]]; // of the palette, by number
      at += 2;
    } else throw new Error(`no picture of rendition ${code} yet: add it to terminal.mjs`);
  }
  return next;
}

function css({ bold, dim, reverse, ink = INK, paper = PAPER }) {
  const [text, ground] = reverse ? [paper, ink] : [ink, paper];
  return `color:${text};background:${ground};font-weight:${bold ? 700 : 400};opacity:${dim ? 0.65 : 1}`;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
