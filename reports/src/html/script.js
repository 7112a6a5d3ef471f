// Read-outs, zooming and unpacked downloads. Everything that it shows stands in the page already: a read-out is a row of the chart's table.
(() => {
  "use strict";
  const WIDTH = 1000, HEIGHT = 240, DRAG_MIN = 6, LABELS = 5;
  const SVG = "http://www.w3.org/2000/svg";
  const known = new WeakMap();
  let figures = [];
  const collect = () => {
    figures = [...document.querySelectorAll("figure.chart")].map(figure => {
      if (!known.has(figure)) known.set(figure, setUp(figure));
      return known.get(figure);
    });
  };
  collect();
  // A live page puts in charts anew.
  document.addEventListener("drawn", collect);

  function setUp(figure) {
    const plot = figure.querySelector(".plot"), frame = plot.querySelector(".frame"), box = frame.querySelector(".box");
    const cursor = frame.querySelector(".cursor"), readout = plot.querySelector(".readout");
    const across = frame.querySelector(".across"), isAcross = figure.dataset.along === "x", linked = figure.dataset.linked;
    // Rows that are stretches are read out at their middle, and named after their start.
    const half = +(figure.dataset.half ?? 0);
    const heads = [...figure.querySelectorAll("thead th")].map(th => th.textContent);
    const stops = [...figure.querySelectorAll("tr[data-at]")].map(row => ({ at: +row.dataset.at, row }));
    stops.sort((a, b) => a.at - b.at);
    const view = { from: 0, to: WIDTH };
    let current = null, dragFrom = null, selection = null, unzoom = null;

    const group = () => linked ? figures.filter(other => other.linked === linked) : [self];
    const percent = at => `${(at - view.from) / (view.to - view.from) * 100}%`;
    const place = event => {
      const rect = frame.getBoundingClientRect();
      return isAcross
        ? view.from + Math.min(1, Math.max(0, (event.clientX - rect.left) / rect.width)) * (view.to - view.from)
        : (1 - Math.min(1, Math.max(0, (event.clientY - rect.top) / rect.height))) * WIDTH;
    };
    // What was zoomed away is not pointed at; of the warm-up and the drain there are no rows.
    const inside = () => stops.filter(stop => stop.at >= view.from && stop.at <= view.to);
    const nearest = at => inside().reduce((best, stop) => best && Math.abs(best.at - at) <= Math.abs(stop.at - at) ? best : stop, null);

    function setCursor(at) {
      cursor.toggleAttribute("hidden", at === null);
      if (at === null) return;
      const line = isAcross
        ? { x1: percent(at), x2: percent(at), y1: 0, y2: HEIGHT }
        : { x1: "0%", x2: "100%", y1: (1 - at / WIDTH) * HEIGHT, y2: (1 - at / WIDTH) * HEIGHT };
      for (const [name, value] of Object.entries(line)) cursor.setAttribute(name, value);
    }

    function show(stop) {
      if (!stop) return hide();
      current = stop;
      const { at, row } = stop, cells = [...row.children].map(cell => cell.textContent);
      const list = document.createElement("dl"), name = document.createElement("b");
      name.textContent = cells[0];
      cells.slice(1).forEach((cell, i) => {
        const term = document.createElement("dt"), value = document.createElement("dd");
        term.textContent = heads[i + 1];
        value.textContent = cell;
        list.append(term, value);
      });
      readout.replaceChildren(name, list);
      readout.hidden = false;
      const rect = frame.getBoundingClientRect(), share = isAcross ? (at - view.from) / (view.to - view.from) : 0.5;
      const left = rect.left - plot.getBoundingClientRect().left + share * rect.width;
      const width = readout.offsetWidth, before = left - width - 14;
      readout.style.left = `${Math.max(0, left + width + 14 > plot.clientWidth && before > 0 ? before : Math.min(left + 14, plot.clientWidth - width))}px`;
      group().forEach(other => other.setCursor(at));
    }

    function hide() {
      current = null;
      readout.hidden = true;
      group().forEach(other => other.setCursor(null));
    }

    function zoom(from, to) {
      view.from = from;
      view.to = to;
      box.setAttribute("viewBox", `${from} 0 ${to - from} ${HEIGHT}`);
      const isWhole = from === 0 && to === WIDTH;
      for (const text of frame.querySelectorAll("[data-u]")) {
        const at = +text.dataset.u;
        text.setAttribute("x", percent(at));
        text.toggleAttribute("hidden", at < from || at > to || (!isWhole && text.parentNode === across));
      }
      across.querySelectorAll(".of-zoom").forEach(text => text.remove());
      if (!isWhole) labels();
      if (isWhole) {
        unzoom?.remove();
        unzoom = null;
      } else if (!unzoom) {
        unzoom = document.createElement("button");
        unzoom.className = "unzoom";
        unzoom.textContent = "show all";
        unzoom.addEventListener("click", () => { group().forEach(other => other.zoom(0, WIDTH)); plot.focus(); });
        plot.append(unzoom);
      }
    }

    // The labels of a part are the names of its rows.
    function labels() {
      const inside = stops.filter(stop => stop.at - half >= view.from && stop.at - half <= view.to);
      const step = Math.max(1, Math.ceil(inside.length / LABELS));
      inside.filter((_, index) => index % step === 0).forEach(stop => {
        const text = document.createElementNS(SVG, "text");
        text.setAttribute("class", "of-zoom");
        text.setAttribute("x", percent(stop.at - half));
        text.setAttribute("y", HEIGHT);
        text.setAttribute("dy", "1.5em");
        text.setAttribute("text-anchor", "middle");
        text.textContent = stop.row.firstElementChild.textContent;
        across.append(text);
      });
    }

    function select(at) {
      if (!selection) {
        selection = document.createElementNS(SVG, "rect");
        selection.setAttribute("class", "selection");
        selection.setAttribute("height", HEIGHT);
        box.append(selection);
      }
      selection.setAttribute("x", Math.min(dragFrom.at, at));
      selection.setAttribute("width", Math.abs(at - dragFrom.at));
    }

    function endDrag(event) {
      const start = dragFrom;
      dragFrom = null;
      selection?.remove();
      selection = null;
      if (start && event.type === "pointerup" && Math.abs(event.clientX - start.clientX) >= DRAG_MIN) {
        const [from, to] = [start.at, place(event)].sort((a, b) => a - b);
        hide();
        group().forEach(other => other.zoom(from, to));
      }
    }

    frame.addEventListener("pointermove", event => {
      if (dragFrom) select(place(event));
      show(nearest(place(event)));
    });
    frame.addEventListener("pointerdown", event => {
      if (!isAcross || event.button !== 0 || event.pointerType !== "mouse" || event.target.closest("a")) return;
      frame.setPointerCapture(event.pointerId);
      dragFrom = { at: place(event), clientX: event.clientX };
    });
    frame.addEventListener("pointerup", endDrag);
    frame.addEventListener("pointercancel", endDrag);
    frame.addEventListener("pointerleave", hide);
    frame.addEventListener("dblclick", () => group().forEach(other => other.zoom(0, WIDTH)));
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (step && stops.length) {
        const among = inside(), index = among.indexOf(current);
        show(index < 0 ? among.at(step > 0 ? 0 : -1) : among[index + step] ?? current);
      } else if (event.key === "Escape") {
        hide();
        group().forEach(other => other.zoom(0, WIDTH));
      } else {
        return;
      }
      event.preventDefault();
    });

    const self = { linked, setCursor, zoom };
    return self;
  }

  // Print has no folds to open: the parts of a page are all there, whatever was read on the screen.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details.part:not([open])")];
    folded.forEach(part => { part.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach(part => { part.open = false; }));

  // A packed file is unpacked where the browser can; else the link gives it packed.
  for (const link of document.querySelectorAll("a[data-name]")) {
    link.addEventListener("click", async event => {
      if (!("DecompressionStream" in window)) return;
      event.preventDefault();
      const packed = Uint8Array.from(atob(link.href.slice(link.href.indexOf(",") + 1)), c => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const url = URL.createObjectURL(await new Response(stream).blob());
      const plain = document.createElement("a");
      plain.href = url;
      plain.download = link.dataset.name;
      plain.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    });
  }
})();
