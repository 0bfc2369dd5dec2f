// Draws the figures in the colours that are preferred, draws them again when the preference changes, moves the sliders.
(() => {
  const root = document.documentElement;
  const media = matchMedia("(prefers-color-scheme: dark)");
  const text = document.getElementById("figures-data").textContent;
  let managers = [];

  async function draw() {
    for (const manager of managers) manager.clear();
    let coloured = text;
    if (media.matches) for (const [light, dark] of Object.entries(DARK)) coloured = coloured.replaceAll(light, dark);
    root.classList.add("scripted");
    managers = (await Bokeh.embed.embed_items(JSON.parse(coloured), PLACES)).flat();
    document.querySelectorAll("input[data-figure]").forEach(show);
    root.dataset.drawn = media.matches ? "dark" : "light";
  }

  // The cells of a map at the slider's moment.
  function show(slider) {
    const moment = Number(slider.value);
    const told = "after cycle " + Number(slider.dataset.moments.split(" ")[moment]).toLocaleString("en");
    slider.setAttribute("aria-valuetext", told);
    slider.parentElement.querySelector("output").value = told;
    const place = slider.dataset.figure + "-plot";
    const id = Object.entries(PLACES[0].roots).find(([, element]) => element === place)[0];
    for (const document of Bokeh.documents)
      for (const model of document.roots().filter((model) => model.id === id))
        for (const source of model.references())
          if (source.name === "cells") {
            source.data.value = source.data["m" + moment];
            source.change.emit();
          }
  }

  function fail(error) {
    root.classList.remove("scripted");
    console.error(error);
  }

  document.addEventListener("input", (event) => event.target.dataset.figure && show(event.target));
  media.addEventListener("change", () => draw().catch(fail));
  draw().catch(fail);
})();
