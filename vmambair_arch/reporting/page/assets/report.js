// The report's page: the image in the viewer, and the rows and columns of the tables.
"use strict";

class Report {
  constructor() {
    this.scenes = [...document.querySelectorAll("script.scene")];
    this.thumbnails = [...document.querySelectorAll(".thumbnails button")];
    this.choosers = [...document.querySelectorAll("[data-scene]")]; // thumbnails and table rows
    this.name = document.getElementById("name");
    this.current = 0;
    const images = this.read(0);
    const last = images.length - 1;
    const sides = { left: 1, right: last === 1 ? 0 : last, truth: 0 };
    this.viewer = new Viewer(document.getElementById("viewer"), { images, ...sides });
    this.mark();
    this.follow();
  }

  // The images of a scene; only those of the current scene are decoded.
  read(index) {
    return JSON.parse(this.scenes[index].textContent);
  }

  show(index) {
    this.current = (index + this.scenes.length) % this.scenes.length;
    const { left, right } = this.viewer.state;
    this.viewer.setImages({ images: this.read(this.current), left, right, truth: 0 });
    this.mark();
  }

  // Show the name of the current image, and highlight it in the lists.
  mark() {
    const thumbnail = this.thumbnails[this.current];
    const place = make("small", {}, `${this.current + 1} of ${this.scenes.length}`);
    this.name.replaceChildren(thumbnail.title, place);
    for (const button of this.choosers) {
      const chosen = Number(button.dataset.scene) === this.current;
      button.setAttribute("aria-current", chosen);
      button.closest("tr")?.classList.toggle("is-chosen", chosen);
    }
    const strip = thumbnail.parentElement;
    strip.scrollLeft = thumbnail.offsetLeft - (strip.clientWidth - thumbnail.clientWidth) / 2;
  }

  follow() {
    const step = (by) => this.show(this.current + by);
    document.getElementById("previous").addEventListener("click", () => step(-1));
    document.getElementById("next").addEventListener("click", () => step(1));
    document.addEventListener("keydown", (event) => {
      const by = { n: 1, p: -1 }[event.key.toLowerCase()];
      if (by && !isTaken(event)) step(by);
      if (event.target === document.body) pressKey(this.viewer, event); // nothing is focused
    });
    for (const button of this.choosers) {
      button.addEventListener("click", () => {
        this.show(Number(button.dataset.scene));
        document.getElementById("images").scrollIntoView({ block: "nearest" });
      });
    }
  }
}

// Show the table of one metric, and the images whose names contain the search text.
function followScores(section) {
  const choices = [...section.querySelectorAll("button[data-metric]")];
  const tables = [...section.querySelectorAll("table")];
  const choose = (metric) => {
    for (const button of choices) button.setAttribute("aria-pressed", button.dataset.metric === metric);
    for (const table of tables) table.classList.toggle("is-chosen", table.dataset.metric === metric);
  };
  for (const button of choices) button.addEventListener("click", () => choose(button.dataset.metric));
  choose(tables[0].dataset.metric);
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of section.querySelectorAll("tbody tr")) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    }
  });
}

Theme.follow(document.getElementById("theme"));
document.querySelectorAll("table").forEach(Sorting.follow);
followScores(document.getElementById("scores"));
new Report();
