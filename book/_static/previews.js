// Beside a link to a theorem, an equation or a term: what it says. Shown when the pointer rests on
// the link and when the tab key reaches it; Esc, another place or leaving both hides it. A finger
// follows the link. The pages carry what they show (previews.py), so that nothing is fetched.
(function () {
  "use strict";

  const SHOW = 250; // milliseconds before it is shown, and before it goes
  const HIDE = 250;
  const GAP = 6; // pixels between link and preview
  const NAME = "preview";
  const HERE = "div.proof.admonition, div.math, dl.glossary > dt";

  let card = null;
  let link = null; // whose preview is shown, or about to be
  let timer = 0;

  function seen(element) {
    const box = element.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= window.innerHeight;
  }

  // A copy of what a link of this page leads to, if that is not before the reader's eyes.
  function copyOf(place) {
    if (!place || !place.matches(HERE) || seen(place)) return null;
    const copy = place.cloneNode(true);
    if (!place.matches("dt")) return copy;
    const list = document.createElement("dl");
    list.className = "glossary";
    list.append(copy, place.nextElementSibling.cloneNode(true));
    return list;
  }

  function contentOf(address) {
    if (address.startsWith("#")) return copyOf(document.getElementById(decodeURIComponent(address.slice(1))));
    const found = [...document.querySelectorAll("template.preview")].find((e) => e.dataset.target === address);
    return found ? found.content.cloneNode(true) : null;
  }

  function filled(content) {
    const made = document.createElement("div");
    made.id = NAME;
    made.className = "preview-card";
    made.setAttribute("role", "tooltip");
    made.append(content);
    made.querySelectorAll(".headerlink, button").forEach((e) => e.remove());
    made.querySelectorAll("a").forEach((e) => e.replaceWith(...e.childNodes));
    made.querySelectorAll("[id]").forEach((e) => e.removeAttribute("id"));
    made.addEventListener("pointerenter", () => window.clearTimeout(timer));
    made.addEventListener("pointerleave", hideSoon);
    return made;
  }

  // The bar at the top stays where it is and would hide what lies under it.
  function bar() {
    const found = document.querySelector(".bd-header-article");
    return found ? Math.max(0, found.getBoundingClientRect().bottom) : 0;
  }

  // Below the last line of the link, or above its first where there is more room.
  function place() {
    const lines = [...link.getClientRects()];
    const around = card.offsetParent.getBoundingClientRect();
    const below = window.innerHeight - lines.at(-1).bottom;
    const over = lines[0].top - bar();
    const above = below < card.offsetHeight + 2 * GAP && over > below;
    card.style.maxHeight = `${(above ? over : below) - 2 * GAP}px`;
    const top = above ? lines[0].top - card.offsetHeight - GAP : lines.at(-1).bottom + GAP;
    card.style.top = `${top - around.top}px`;
    const room = card.offsetParent.clientWidth - card.offsetWidth;
    card.style.left = `${Math.max(0, Math.min(lines.at(above ? 0 : -1).left - around.left, room))}px`;
  }

  async function show() {
    const content = contentOf(link.getAttribute("href"));
    if (!content) return;
    const mine = (card = filled(content));
    document.querySelector("article.bd-article").append(card);
    if (window.MathJax && window.MathJax.startup) {
      // One after the other, as MathJax asks for.
      const ready = window.MathJax.startup.promise.then(() => window.MathJax.typesetPromise([mine]));
      window.MathJax.startup.promise = ready.catch(() => undefined);
      await ready;
    }
    if (card !== mine) return;
    window.dispatchEvent(new CustomEvent("formulas-added", { detail: card }));
    place();
    link.setAttribute("aria-describedby", NAME);
    card.classList.add("preview-shown");
  }

  function hide() {
    window.clearTimeout(timer);
    if (card) {
      if (window.MathJax && window.MathJax.typesetClear) window.MathJax.typesetClear([card]);
      card.remove();
      link.removeAttribute("aria-describedby");
    }
    card = link = null;
  }

  function hideSoon() {
    window.clearTimeout(timer);
    timer = window.setTimeout(hide, HIDE);
  }

  function showSoon(next, wait) {
    window.clearTimeout(timer);
    if (next === link && card) return;
    hide();
    link = next;
    timer = window.setTimeout(show, wait);
  }

  const linkOf = (event) => event.target.closest && event.target.closest('article a[href*="#"]:not(.headerlink)');
  document.addEventListener("pointerover", function (event) {
    if (event.pointerType === "mouse" && linkOf(event)) showSoon(linkOf(event), SHOW);
  });
  document.addEventListener("pointerout", (event) => link && linkOf(event) === link && hideSoon());
  document.addEventListener("focusin", (event) => {
    if (linkOf(event) && event.target.matches(":focus-visible")) showSoon(linkOf(event), 0);
  });
  document.addEventListener("focusout", (event) => link && linkOf(event) === link && hide());
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  document.addEventListener("click", (event) => linkOf(event) && hide());
})();
