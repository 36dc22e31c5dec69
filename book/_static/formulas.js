// Formulas that are wider than their place break into lines: at relations, then at signs, then
// anywhere between factors. Only what cannot be broken becomes a little smaller, and then scrolls.
//
// MathJax 3 sets a formula as one piece. Its parts are boxes in a row, so that a row falls into
// lines once the parts that belong together are wrapped; nothing is typeset again.
(function () {
  "use strict";

  const RELATIONS = new Set("=<>≤≥≈∼≃≅→⟶⇒⟹⟸⇔⟺↦∈∉∝≡≪≫⊆⊂≠≲≳:|");
  const ARROWS = new Set("→⟶");
  const SIGNS = new Set("+−±×⋅∓");
  const OPEN = new Set("([{⟨⌊⌈");
  const CLOSE = new Set(")]}⟩⌋⌉");
  const ROWS = "mjx-math, mjx-mrow, mjx-texatom, mjx-mstyle";
  const LEVELS = [1, 2, 3]; // relations; signs and commas; inside brackets, and between factors
  const SMALLEST = 0.7; // of the size of a formula
  const NUMBER_GAP = 16; // pixels between a formula and its number

  // What an operator shows: MathJax writes the code point into a class.
  function sign(element) {
    const shown = element.querySelector("mjx-c");
    const found = shown && /mjx-c([0-9A-F]+)/.exec(shown.className);
    return found ? String.fromCodePoint(parseInt(found[1], 16)) : "";
  }

  function operator(element) {
    const name = element.localName;
    if (name === "mjx-mo") return sign(element);
    if (name === "mjx-texatom" && element.children.length === 1) return operator(element.children[0]);
    if (!/^mjx-(mover|munder|munderover)$/.test(name)) return "";
    const arrow = [...element.querySelectorAll("mjx-mo")].map(sign).find((c) => ARROWS.has(c));
    return arrow || "";
  }

  // Where a row may be broken: before its relations, and so on.
  function breaksBefore(element, shown, before, depth, level) {
    if (level < 3 && depth > 0) return false;
    if (RELATIONS.has(shown)) return shown !== "|" && shown !== ":";
    if (before && before.localName === "mjx-mspace") return true;
    if (level < 2) return false;
    if (before && operator(before) === ",") return true;
    if (SIGNS.has(shown)) return element.hasAttribute("space");
    if (level < 3) return false;
    return /^mjx-(mfrac|msqrt|mrow|mtext|munderover|munder)$/.test(element.localName) || OPEN.has(shown);
  }

  function wrap(parts) {
    const piece = document.createElement("span");
    piece.className = "formula-piece";
    parts[0].before(piece);
    piece.append(...parts);
  }

  function cut(row, level) {
    row.classList.add("formula-row");
    let piece = [];
    let depth = 0;
    let before = null;
    const close = () => piece.length && wrap(piece.splice(0));
    for (const element of [...row.children]) {
      const shown = operator(element);
      if (CLOSE.has(shown)) depth -= 1;
      if (breaksBefore(element, shown, before, depth, level)) close();
      if (OPEN.has(shown)) depth += 1;
      const alone = row.children.length === 1;
      const table = element.matches(ROWS) && element.querySelector("mjx-mtable");
      const inner = element.matches(ROWS) && !shown && (alone || table || level === 3);
      if (inner && element.querySelector("mjx-mo, mjx-mtext")) {
        close();
        cut(element, level);
      } else if (element.localName === "mjx-mtable" && !OPEN.has(operator(row.firstElementChild))) {
        // The lines of an aligned formula; a table in brackets stays one.
        close();
        element.classList.add("formula-row");
        element.querySelectorAll("mjx-table, mjx-itable").forEach((e) => e.classList.add("formula-row"));
        element.querySelectorAll("mjx-mtr, mjx-mlabeledtr").forEach((e) => e.classList.add("formula-line"));
        // A table in a table cuts its own.
        const own = [...element.querySelectorAll("mjx-mtd")].filter((e) => e.closest("mjx-mtable") === element);
        own.forEach((e) => cut(e, level));
      } else {
        piece.push(element);
      }
      before = element;
    }
    close();
  }

  function uncut(math) {
    math.querySelectorAll(".formula-piece").forEach((e) => e.replaceWith(...e.childNodes));
    const marked = ":scope.formula-row, .formula-row, .formula-line";
    [math, ...math.querySelectorAll(marked)].forEach((e) => {
      e.classList.remove("formula-row", "formula-line");
    });
  }

  // The room of a formula: that of the nearest block around it, less the number of an equation.
  function room(place) {
    const blocks = "p, li, td, th, dd, dt, figcaption, caption, summary, div, h1, h2, h3, h4";
    let block = (place.matches("div") ? place.parentElement : place).closest(blocks);
    // One that is set in a line has no width of its own.
    while (/^(inline|contents)$/.test(window.getComputedStyle(block).display)) block = block.parentElement;
    const style = window.getComputedStyle(block);
    const used = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const number = place.querySelector(":scope > .eqno");
    const taken = number ? number.getBoundingClientRect().width + NUMBER_GAP : 0;
    return block.clientWidth - used - taken;
  }

  function widest(math) {
    const pieces = math.querySelectorAll(".formula-piece");
    const boxes = pieces.length ? [...pieces] : [math];
    const left = math.parentElement.getBoundingClientRect().left;
    const right = Math.max(...boxes.map((e) => e.getBoundingClientRect().right));
    return pieces.length && math.parentElement.hasAttribute("display")
      ? right - left
      : Math.max(...boxes.map((e) => e.getBoundingClientRect().width));
  }

  function parts(place) {
    const container = place.querySelector(":scope > mjx-container");
    return [container, container.querySelector("mjx-math")];
  }

  function reset(place) {
    place.classList.remove("formula-fitted", "formula-lines", "formula-scrolls");
    const [container, math] = parts(place);
    container.style.removeProperty("font-size");
    uncut(math);
  }

  // Steps, each for all formulas at once: what is written between two measurements costs one layout.
  function fitAll(...places) {
    const find = (selector) => places.flatMap((place) => [...place.querySelectorAll(selector)]);
    find(".formula-fitted").forEach(reset);
    const all = find("span.math, div.math");
    const seen = all.filter((e) => e.querySelector(":scope > mjx-container > mjx-math"));
    const measured = seen.map((place) => {
      const width = parts(place)[1].getBoundingClientRect().width;
      return { place, width, available: width > 0 ? room(place) : 0 };
    });
    let wide = measured.filter((m) => m.width > 0 && m.width > m.available + 0.5);
    wide.forEach(({ place }) => place.classList.add("formula-fitted", "formula-lines"));
    // In lines, the box of a display has all the room that there is.
    wide.forEach((m) => {
      if (m.place.matches("div")) m.available = parts(m.place)[0].clientWidth;
    });
    for (const level of LEVELS) {
      wide.forEach(({ place }) => {
        const math = parts(place)[1];
        uncut(math);
        cut(math, level);
      });
      wide.forEach((m) => (m.width = widest(parts(m.place)[1])));
      wide = wide.filter((m) => m.width > m.available + 0.5);
    }
    wide.forEach((m) => (m.size = parseFloat(window.getComputedStyle(parts(m.place)[0]).fontSize)));
    wide.forEach((m) => {
      const scale = Math.max(SMALLEST, (0.99 * m.available) / m.width);
      parts(m.place)[0].style.fontSize = `${m.size * scale}px`;
    });
    wide = wide.filter((m) => widest(parts(m.place)[1]) > m.available + 0.5);
    wide.forEach(({ place }) => place.classList.add("formula-scrolls"));
    window.dispatchEvent(new Event("formulas-fitted"));
  }

  let known = 0;
  function onResize() {
    if (window.innerWidth === known) return; // a phone's address bar changes the height only
    known = window.innerWidth;
    fitAll(document);
  }

  function start() {
    const startup = window.MathJax && window.MathJax.startup;
    if (!startup || !startup.promise) return;
    // The page is ready when its formulas fit: who waits for MathJax waits for this.
    startup.promise = startup.promise.then(onResize);
    window.addEventListener("resize", onResize);
    window.addEventListener("formulas-added", (event) => fitAll(event.detail));
    window.addEventListener("beforeprint", () => fitAll(document));
    window.addEventListener("afterprint", () => fitAll(document));
    // All that is opened at once is fitted at once: paper opens everything.
    const opened = new Set();
    document.addEventListener(
      "toggle",
      function (event) {
        if (!event.target.open) return;
        if (!opened.size) window.requestAnimationFrame(fitOpened);
        opened.add(event.target);
      },
      true
    );
    function fitOpened() {
      // What lies in another one is fitted with it.
      const outer = [...opened].filter((e) => ![...opened].some((o) => o !== e && o.contains(e)));
      opened.clear();
      fitAll(...outer);
    }
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("DOMContentLoaded", start);
})();
