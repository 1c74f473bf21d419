// The page's pictures: those being uploaded, and the server's jobs.
//
// Each is {key, name, state, share, ...}; state is "sending" or "refused" during the upload, and
// then one of Job.state in jobs.py. A "change" event is sent after every change.

import * as server from "./server.js";

const SOON = 250; // milliseconds between polls while a job is active,
const LATER = 3000; // and otherwise, since another window may add pictures

const OVER = ["done", "failed", "cancelled", "refused"];

export const isOver = (picture) => OVER.includes(picture.state);

export class Pictures extends EventTarget {
  constructor() {
    super();
    this.uploads = []; // not yet on the server
    this.jobs = [];
    this.gone = ""; // why the server does not answer: "silent", or a sentence
    this.counted = 0;
    this.latestPoll = 0; // number of the latest poll; older ones still under way are ignored
    this.poll();
  }

  get all() {
    return [...this.jobs, ...this.uploads];
  }

  find(key) {
    return this.all.find((picture) => picture.key === key);
  }

  // How many pictures come before a waiting one.
  before(picture) {
    const active = this.jobs.filter((job) => !isOver(job));
    return active.findIndex((job) => job.key === picture.key);
  }

  // Upload files, one after the other, with {network, format}; returns their keys.
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
    const idle = !this.uploads.some((picture) => picture.state === "sending");
    this.uploads.push(...added);
    if (idle) this.sendAll();
    this.notify();
    return added.map(({ key }) => key);
  }

  async sendAll() {
    let next;
    while ((next = this.uploads.find((picture) => picture.state === "sending"))) {
      await this.send(next);
      this.notify();
    }
  }

  async send(picture) {
    const { file, options } = picture;
    const { sent, abort } = server.send(file, options, (share) => {
      picture.share = share;
      this.notify();
    });
    picture.abort = abort;
    try {
      const job = await sent;
      this.drop(picture);
      if (job && !this.find(job.id)) this.jobs.push(known(job));
      if (job) this.dispatchEvent(new CustomEvent("sent", { detail: [picture.key, job.id] }));
      this.poll();
    } catch (error) {
      Object.assign(picture, { state: "refused", failure: error.message, file: null });
    }
  }

  drop(picture) {
    this.uploads = this.uploads.filter((other) => other !== picture);
  }

  // Cancel a picture's upload or job.
  cancel(picture) {
    if (picture.state !== "sending") return this.ask(server.cancel(picture.key));
    if (picture.abort) picture.abort();
    else this.drop(picture);
    this.notify();
  }

  // Remove a picture from the page and from the server.
  remove(picture) {
    this.drop(picture);
    this.jobs = this.jobs.filter((job) => job !== picture);
    this.notify();
    if (picture.id) this.ask(server.remove(picture.id));
  }

  async ask(request) {
    this.latestPoll += 1; // a poll under way would bring outdated jobs
    try {
      await request;
    } catch (error) {
      this.gone = reason(error);
    }
    this.poll();
  }

  // Poll the server, now and again later.
  async poll() {
    clearTimeout(this.timer);
    const poll = ++this.latestPoll;
    let jobs = null;
    try {
      jobs = await server.jobs();
    } catch (error) {
      this.gone = reason(error); // shown on the page
    }
    if (poll !== this.latestPoll) return;
    if (jobs) Object.assign(this, { gone: "", jobs: jobs.map(known) });
    this.notify();
    const active = !this.gone && this.jobs.some((job) => !isOver(job));
    this.timer = setTimeout(() => this.poll(), active ? SOON : LATER);
  }

  notify() {
    this.dispatchEvent(new Event("change"));
  }
}

const reason = (error) => (error instanceof server.RefusedError ? error.message : "silent");

const known = (job) => ({ ...job, key: job.id });
