// What CSS cannot do: boxes that scroll sideways must be reachable with the keyboard and show that
// they go on, a page opened from a file must not ask for other files, and paper shows everything.
(function () {
  "use strict";

  // Search results quote the pages they found, which the script fetches; from file:// the browser
  // refuses that with an error for each result. Titles and links work without the quotes.
  if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  // The quotes leave formulas out: their source is not what a reader reads.
  window.addEventListener("DOMContentLoaded", function () {
    if (typeof Search === "undefined" || !Search.htmlToText) return;
    const text = Search.htmlToText;
    const formula = /<(span|div) class="math[^>]*>.*?<\/\1>/gs;
    Search.htmlToText = (html, anchor) => text(html.replace(formula, "…"), anchor);
  });

  const boxes = [
    "div.math",
    "mjx-container[display]",
    "span.formula-scrolls",
    "div.highlight pre",
    "div.cell_output .output",
    "div.pst-scrollable-table-container",
    "div.verification-table-box",
    "div.status-table-box",
    "div.crosswalk-table-box",
    "div.open-table-box",
    "div.mutation-table-box",
    "div.statement-map-box",
    "dt.sig",
  ].join(",");

  function names(box) {
    if (box.matches(".math, mjx-container")) return "Formula";
    if (box.matches("pre")) return "Code";
    if (box.matches("dt")) return "Signature";
    if (box.querySelector("table")) return "Table";
    return "Output";
  }

  // In which directions boxes go on: their edges fade there.
  function showMore(scrolling) {
    const found = scrolling.map((box) => [
      box.scrollLeft > 1 && "left",
      box.scrollLeft + box.clientWidth < box.scrollWidth - 1 && "right",
    ]);
    scrolling.forEach(function (box, k) {
      box.dataset.more = found[k].filter(Boolean).join(" ");
    });
  }

  function markScrollable() {
    // First all are measured, then all are changed: a change between lays the page out anew.
    const measured = [...document.querySelectorAll(boxes)].map(function (box) {
      const wide = box.scrollWidth > box.clientWidth + 1;
      return [box, wide && /auto|scroll/.test(window.getComputedStyle(box).overflowX)];
    });
    const scrolling = measured.filter(([, scrolls]) => scrolls).map(([box]) => box);
    scrolling.forEach(function (box) {
      box.setAttribute("tabindex", "0");
      if (!box.hasAttribute("role") && !box.matches("dt")) box.setAttribute("role", "group");
      if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", names(box) + ", scrolls sideways");
      box.onscroll = () => showMore([box]);
    });
    measured.filter(([, scrolls]) => !scrolls).forEach(function ([box]) {
      if (box.getAttribute("tabindex") === "0") box.removeAttribute("tabindex");
      delete box.dataset.more;
    });
    showMore(scrolling);
  }

  window.addEventListener("load", markScrollable);
  window.addEventListener("resize", markScrollable);
  window.addEventListener("formulas-fitted", markScrollable);
  // What is opened is marked once, however much is opened at once.
  let waiting = 0;
  document.addEventListener(
    "toggle",
    function (event) {
      if (event.target.open) waiting = waiting || window.requestAnimationFrame(markOpened);
    },
    true
  );
  function markOpened() {
    waiting = 0;
    markScrollable();
  }

  // Panels side by side are small on a phone: a tap or a button shows a figure at its own size, in a
  // window that scrolls. Esc closes it, and the browser gives the focus back.
  const SHRUNK = 0.75;
  let full = null;

  // A figure has more pixels than the page shows of it; its own size stands in the page.
  function ownWidth(image) {
    return Number(image.getAttribute("width")) || image.naturalWidth;
  }

  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  function enlarge(image) {
    if (!full) {
      full = document.createElement("dialog");
      full.className = "figure-full";
      full.setAttribute("aria-label", "Figure at its own size");
      const box = document.createElement("div");
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "Figure, scrolls");
      box.autofocus = true;
      full.append(box, button("Close", () => full.close()));
      // Not every browser closes it by itself.
      full.addEventListener("keydown", (event) => event.key === "Escape" && full.close());
      document.querySelector("article.bd-article").append(full);
    }
    const copy = image.cloneNode();
    copy.removeAttribute("id");
    full.firstChild.replaceChildren(copy);
    full.showModal();
  }

  function offerToEnlarge() {
    const images = [...document.querySelectorAll("article :is(figure, .cell_output) img")];
    const small = images.map((image) => image.clientWidth > 0 && image.clientWidth < SHRUNK * ownWidth(image));
    images.forEach(function (image, k) {
      if (small[k] && !image.enlarger) {
        image.enlarger = button("Enlarge the figure", () => enlarge(image));
        image.enlarger.className = "enlarge";
        image.after(image.enlarger);
        image.addEventListener("click", () => image.enlarger.hidden || enlarge(image));
      }
      if (image.enlarger) image.enlarger.hidden = !small[k];
    });
  }

  window.addEventListener("load", offerToEnlarge);
  window.addEventListener("resize", offerToEnlarge);
  document.addEventListener("toggle", (event) => event.target.open && offerToEnlarge(), true);

  // Paper is light and shows what is folded away.
  let before = null;
  window.addEventListener("beforeprint", function () {
    if (before) return;
    const closed = [...document.querySelectorAll("article details:not([open])")];
    before = { closed, theme: document.documentElement.dataset.theme };
    document.documentElement.dataset.theme = "light";
    closed.forEach((details) => (details.open = true));
  });
  window.addEventListener("afterprint", function () {
    if (!before) return;
    document.documentElement.dataset.theme = before.theme;
    before.closed.forEach((details) => (details.open = false));
    before = null;
  });
})();
