// The pictures that the page knows: those on their way to the server, and the server's jobs.
//
// Each is {key, name, state, share, ...}; state is "sending" or "refused" on the way, and then
// what Job.state in jobs.py can be. An event "change" tells that something is different.

import * as server from "./server.js";

const SOON = 250; // milliseconds until the server is asked again: while something happens,
const LATER = 3000; // and otherwise, since another window may bring pictures

const OVER = ["done", "failed", "cancelled", "refused"];

export const isOver = (picture) => OVER.includes(picture.state);

export class Pictures extends EventTarget {
  constructor() {
    super();
    this.coming = []; // not yet on the server
    this.jobs = [];
    this.gone = ""; // why the server gives no answer: "silent", or a sentence
    this.counted = 0;
    this.turn = 0; // counts the looks: of two under way, the later is believed
    this.look();
  }

  get all() {
    return [...this.jobs, ...this.coming];
  }

  find(key) {
    return this.all.find((picture) => picture.key === key);
  }

  // How many come before a picture that waits.
  before(picture) {
    const active = this.jobs.filter((job) => !isOver(job));
    return active.findIndex((job) => job.key === picture.key);
  }

  // Send files, one after the other, with {network, format}; returns the keys that they have.
  add(files, options) {
    const added = files.map((file) => ({
      key: `coming-${++this.counted}`,
      name: file.name,
      state: "sending",
      share: 0,
      abort: null,
      file,
      options,
    }));
    const idle = !this.coming.some((picture) => picture.state === "sending");
    this.coming.push(...added);
    if (idle) this.sendAll();
    this.tell();
    return added.map(({ key }) => key);
  }

  async sendAll() {
    let next;
    while ((next = this.coming.find((picture) => picture.state === "sending"))) {
      await this.send(next);
      this.tell();
    }
  }

  async send(picture) {
    const { file, options } = picture;
    const { sent, abort } = server.send(file, options, (share) => {
      picture.share = share;
      this.tell();
    });
    picture.abort = abort;
    try {
      const job = await sent;
      this.drop(picture);
      if (job && !this.find(job.id)) this.jobs.push(known(job));
      if (job) this.dispatchEvent(new CustomEvent("sent", { detail: [picture.key, job.id] }));
      this.look();
    } catch (error) {
      Object.assign(picture, { state: "refused", failure: error.message, file: null });
    }
  }

  drop(picture) {
    this.coming = this.coming.filter((other) => other !== picture);
  }

  // End what is done with a picture.
  cancel(picture) {
    if (picture.state !== "sending") return this.ask(server.cancel(picture.key));
    if (picture.abort) picture.abort();
    else this.drop(picture);
    this.tell();
  }

  // Take a picture from the page and from the server.
  remove(picture) {
    this.drop(picture);
    this.jobs = this.jobs.filter((job) => job !== picture);
    this.tell();
    if (picture.id) this.ask(server.remove(picture.id));
  }

  async ask(request) {
    this.turn += 1; // what a look under way finds is old
    try {
      await request;
    } catch (error) {
      this.gone = reason(error);
    }
    this.look();
  }

  // See what the server says, now and then again.
  async look() {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    let jobs = null;
    try {
      jobs = await server.jobs();
    } catch (error) {
      this.gone = reason(error); // which the page says
    }
    if (turn !== this.turn) return;
    if (jobs) Object.assign(this, { gone: "", jobs: jobs.map(known) });
    this.tell();
    const active = !this.gone && this.jobs.some((job) => !isOver(job));
    this.timer = setTimeout(() => this.look(), active ? SOON : LATER);
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }
}

const reason = (error) => (error instanceof server.RefusedError ? error.message : "silent");

const known = (job) => ({ ...job, key: job.id });
