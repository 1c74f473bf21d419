// The choices for new pictures: networks, in sequence or side by side, and the format.
// make is the viewer's, a classic script.

import { keep, settings } from "./settings.js";
import * as words from "./words.js";

const ORIGINS = { given: "", bundled: " (bundled)", cache: " (from the cache folder)" };

export class Choices {
  // find(id) returns an element of the page.
  constructor(find, { networks, formats }) {
    const [network, then, format] = ["network", "then", "format"].map(find);
    Object.assign(this, { networks, network, then, format, beside: find("beside"), purpose: find("purpose") });
    for (const select of [network, then]) {
      select.append(...networks.map((one) => new Option(this.label(one), one.key)));
    }
    format.append(...formats.map((name) => new Option(name, name)));
    this.beside.append(...networks.map((one) => this.checkbox(one)));
    this.recall();
    for (const element of [network, then, format, this.beside]) {
      element.addEventListener("change", () => this.changed());
    }
    this.describe();
  }

  label({ label, origin }) {
    return label + ORIGINS[origin];
  }

  checkbox(network) {
    const box = make("input", { type: "checkbox", value: network.key });
    return make("label", {}, box, this.label(network));
  }

  boxes() {
    return [...this.beside.querySelectorAll("input")];
  }

  named(key) {
    const network = this.networks.find((one) => String(one.key) === key);
    return network ? this.label(network) : "";
  }

  // Restore the last choices, as far as they are still offered.
  recall() {
    const key = (name) => this.networks.find((one) => this.label(one) === name)?.key;
    this.network.value = key(settings.network) ?? this.networks[0].key;
    this.then.value = key(settings.then) ?? "";
    if ([...this.format.options].some(({ value }) => value === settings.format)) {
      this.format.value = settings.format;
    }
    for (const box of this.boxes()) box.checked = settings.beside.includes(this.named(box.value));
    this.beside.parentElement.open = this.boxes().some(({ checked }) => checked);
  }

  changed() {
    const beside = this.boxes().filter(({ checked }) => checked).map(({ value }) => this.named(value));
    const [network, then] = [this.network, this.then].map(({ value }) => this.named(value));
    keep({ network, then, beside, format: this.format.value });
    this.describe();
  }

  describe() {
    const keys = [this.network.value, this.then.value].filter((key) => key !== "");
    const purposes = keys.map((key) => this.networks.find((one) => String(one.key) === key).purpose);
    words.put(this.purpose, purposes.filter(Boolean).join("; then "));
  }

  // The options of each job for a picture: the chosen networks, and each one to compare with.
  jobs() {
    const chosen = [this.network.value, this.then.value].filter((key) => key !== "").join(",");
    const others = this.boxes().filter(({ checked, value }) => checked && value !== chosen);
    return [chosen, ...others.map(({ value }) => value)].map((network) => ({
      network,
      format: this.format.value,
    }));
  }
}
