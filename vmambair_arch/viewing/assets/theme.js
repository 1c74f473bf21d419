// The theme: the system's until the user chooses another, which the browser remembers if it may.
"use strict";

const Theme = {
  NAMES: ["auto", "light", "dark"],
  KEY: "vmambair-theme",

  get() {
    return document.documentElement.dataset.theme ?? "auto";
  },

  set(name) {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  },

  // The browser's storage; null where it is unavailable: private windows, some files.
  memory() {
    try {
      return localStorage;
    } catch {
      return null;
    }
  },

  restore() {
    const name = Theme.memory()?.getItem(Theme.KEY);
    if (Theme.NAMES.includes(name)) Theme.set(name);
  },

  // Make a button cycle through the themes.
  follow(button) {
    const label = () => (button.textContent = `Theme: ${Theme.get()}`);
    button.addEventListener("click", () => {
      const { NAMES } = Theme;
      Theme.set(NAMES[(NAMES.indexOf(Theme.get()) + 1) % NAMES.length]);
      Theme.memory()?.setItem(Theme.KEY, Theme.get());
      label();
    });
    label();
  },
};

Theme.restore();
