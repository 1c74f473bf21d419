// The page's requests to the server. Failures are errors whose message is a sentence for the page.

// The server has been restarted since it delivered the page.
export class RefusedError extends Error {}

async function ask(path, options = {}) {
  const response = await fetch(path, options);
  if (response.status === 403) throw new RefusedError((await response.json()).error);
  if (!response.ok) throw new Error((await response.json()).error);
  return response.status === 204 ? null : response.json();
}

// {networks: [{key, label, origin, purpose}], formats: [name], suffixes: [of pictures and films],
// max_megapixels, strength}
export const choices = () => ask("/choices");

// Every job, the oldest first, as in Job.as_json of jobs.py.
export const jobs = () => ask("/jobs");

export const cancel = (id) => ask(`/jobs/${id}/cancel`, { method: "POST" });

export const remove = (id) => ask(`/jobs/${id}`, { method: "DELETE" });

// The address of a job's file: "preview", "before", "after" or "result".
export const address = (job, file) => `/jobs/${job.id}/${file}`;

// The address of a result, or of all results, at a strength.
export const result = (job, strength) => `${address(job, "result")}?strength=${strength}`;
export const results = (strength) => `/results.zip?strength=${strength}`;

// Upload a file, with {network, format}; network is a key, or several separated by commas. Returns
// {sent, abort}: the promise of a job, and a function that ends the upload and resolves the promise
// to null. XMLHttpRequest reports upload progress, which fetch does not.
export function send(file, options, progress) {
  const request = new XMLHttpRequest();
  const sent = new Promise((resolve, reject) => {
    request.upload.onprogress = ({ loaded, total }) => progress(loaded / Math.max(total, 1));
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error(request.response?.error ?? `${file.name}: could not be sent`));
    };
    request.onerror = () => reject(new Error(`${file.name}: could not be read or sent`));
    request.onabort = () => resolve(null);
  });
  request.open("POST", `/jobs?${new URLSearchParams({ name: file.name, ...options })}`);
  request.responseType = "json";
  request.send(file);
  return { sent, abort: () => request.abort() };
}
