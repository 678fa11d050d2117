"use strict";
// A click shows a picture at full size; the arrow keys go on to the next and the previous one.
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
const caption = dialog.querySelector("p");
const pictures = [...document.querySelectorAll("button.zoom img")];
let shown = 0;

function show(index) {
  shown = (index + pictures.length) % pictures.length;
  large.src = pictures[shown].src;
  large.alt = caption.textContent = pictures[shown].alt;
}

pictures.forEach((picture, index) => {
  picture.parentElement.addEventListener("click", () => { show(index); dialog.showModal(); });
});
dialog.addEventListener("click", () => dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
