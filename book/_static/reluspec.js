// What CSS cannot do: boxes that scroll sideways must be reachable with the keyboard, and a page
// opened from a file must not ask for other files.
(function () {
  "use strict";

  // Search results quote the pages they found, which the script fetches; from file:// the browser
  // refuses that with an error for each result. Titles and links work without the quotes.
  if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
    DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  }

  const boxes = [
    "div.math",
    "mjx-container[display]",
    "div.highlight pre",
    "div.cell_output .output",
    "div.pst-scrollable-table-container",
    "div.verification-table-box",
    "div.status-table-box",
    "div.crosswalk-table-box",
    "div.open-table-box",
    "div.mutation-table-box",
    "p.item-claim",
    "dt.sig",
  ].join(",");

  function names(box) {
    if (box.matches("div.math, mjx-container, p.item-claim")) return "Formula";
    if (box.matches("pre")) return "Code";
    if (box.matches("dt")) return "Signature";
    if (box.querySelector("table")) return "Table";
    return "Output";
  }

  function markScrollable() {
    document.querySelectorAll(boxes).forEach(function (box) {
      const style = window.getComputedStyle(box);
      const scrolls = box.scrollWidth > box.clientWidth + 1 && /auto|scroll/.test(style.overflowX);
      if (scrolls) {
        box.setAttribute("tabindex", "0");
        if (!box.hasAttribute("role") && !box.matches("dt")) box.setAttribute("role", "group");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", names(box) + ", scrolls sideways");
      } else if (box.getAttribute("tabindex") === "0" && !box.matches("mjx-container")) {
        box.removeAttribute("tabindex");
      }
    });
  }

  function whenTypeset() {
    const startup = window.MathJax && window.MathJax.startup;
    if (startup && startup.promise) startup.promise.then(markScrollable);
    markScrollable();
  }

  window.addEventListener("load", whenTypeset);
  window.addEventListener("resize", markScrollable);
})();
